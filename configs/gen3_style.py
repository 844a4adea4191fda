"""In the style of Runway's Gen-3 Alpha: what is public of it; the rest is ours.

What: text, and given frames (the first, the first and last, or a beginning), to video: an
MM-DiT whose given frames stand beside the noisy latent, with a mask. t2v : i2v : forward :
keyframes = 6 : 2 : 1 : 1.

Source: Runway's announcement, "Introducing Gen-3 Alpha" (June 2024). Public: trained jointly
on videos and images, with highly descriptive, temporally dense captions; offered as text to
video, image to video and keyframes.
Recipe: not published; here rectified flow at one resolution.
Hardware: not published.
Counts: 7,815,069,760 parameters here; theirs are not public.
Not public: the architecture, every size, the autoencoder, the text encoder, the objective,
the data and its amounts, the shares of tasks, batch, steps and rates. `videogen models
gen3_style` lists what is assumed of the network, config.assumed the rest. Whether keyframes
were trained so, and from the start, is not public either.
Unverified: everything but what "Source" calls public; no number of this config
was compared with Gen-3.
Images come beside videos by their share of the clips, from a dataset of buckets of one frame
(data.mix); they are given no frames. Dense captions: `python -m data_pipelines caption`.
Needs: a text encoder of 4096 dims. On our own latents and captions the same trunk trains with
--config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/gen3_style.py \
      --workdir=runs/gen3_style --config.data.path=DATASET
  python -m videogen.sample --workdir=runs/gen3_style --config.sample.task=keyframes \
      "--config.sample.prompts=('a red bicycle',)" \
      "--config.sample.given=('first.png','last.png')"
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """In the style of Gen-3 Alpha."""
    config = pretraining.get_config()
    config.model = {"name": "gen3_style", "remat": "attention", "dtype": "bfloat16"}
    config.tasks = {
        "t2v": 6.0,
        "i2v": 2.0,
        "forward": 1.0,
        "keyframes": 1.0,
        "how": "channels",
    }
    config.assumed = {
        "sample": "not public",
        "model": "see `videogen models gen3_style`",
        "tasks": "that there are such tasks is public, no more",
        "objective": "flow; not public",
        "time": "logit-normal; not public",
        "optimizer": "not public",
        "data": {
            "global_batch": "not public",
            "text_dropout": "not public",
        },
        "train": {"steps": "not public"},
    }
    return config
