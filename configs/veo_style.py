"""Veo 3's kind of model: video and its sound by one transformer. In its style, not it.

What: text, or text and a first frame, to 8 s of 720p with sound: 176,400 tokens of video and
504 of audio in one sequence, two losses, one ODE.

Source: Google DeepMind, Veo: a text-to-video generation system (2025, the report on Veo 3).
It says: latent diffusion, applied jointly to the temporal audio latents and the
spatio-temporal video latents; each encoded by an autoencoder of its own; a transformer as
the denoiser; text and image as conditions; captions written by Gemini.
Recipe: not public. Nor are: the size, how the parts meet in the network, the objective and
its times, the weight of each loss, the autoencoders, the text encoder, data, hours. All values
here are ours: Wan2.1's trunk and optimizer, rectified flow, half of the clips with their
first frame given, the losses of both parts added.
Hardware: TPUs, says the report, and no number. Sequences are cut over `context`, which must
divide the tokens of both parts together.
Counts: 14.3B parameters here; none is published.
Unverified: everything in config.assumed, and `videogen models veo_style`.
Needs: a dataset with sound, `python -m data_pipelines all --audio-rate=16000 ...`, whose
audio latents are those of a lapped transform without weights (tokenizers/mdct.py), and whose
captions are MiniLM's: --config.model.text_dim=384
Command:
  python -m videogen.train --config=configs/veo_style.py \
      --workdir=runs/veo_style --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining

OURS = "not published"


def get_config() -> config_dict.ConfigDict:
    """Video with sound, in the style of Veo 3."""
    config = pretraining.get_config()
    config.model = {"name": "veo_style", "remat": "attention", "dtype": "bfloat16"}
    config.data.audio_version = "v1"
    config.objective = {"path": "flow", "predict": "velocity", "audio_weight": 1.0}
    config.tasks = {"t2v": 0.5, "i2v": 0.5, "how": "clean"}
    config.optimizer.update({"weight_decay": 1e-3})
    config.assumed = {
        "data": "captions by Gemini; nothing else is said",
        "model": "see `videogen models veo_style`",
        "objective": OURS,
        "optimizer": OURS,
        "sample": OURS,
        "tasks": OURS,
        "time": OURS,
        "train": {"steps": OURS},
    }
    return config
