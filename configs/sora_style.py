"""Sora style: videos and images of any size, length and shape, packed into rows.

What: text to video; a row of 65,536 tokens holds clips and images at the size, duration and
aspect they were made in, each attending itself alone, each with a time of its own.

Source: OpenAI, Video generation models as world simulators (2024): a diffusion transformer
on spacetime patches of a latent that is compressed in time and space; trained on images and
videos together at their native durations, resolutions and aspect ratios; descriptive
captions by a captioner of their own, prompts rewritten to be like them. Packing: NaViT
(arXiv 2307.06304), which the report cites.
Recipe: not published.
Hardware: not published.
Counts: 4,923,595,840 parameters here; not published.
Unverified: whether Sora packs rows at all (the report says native sizes, not how), its size,
objective, autoencoder, patch, positions, text encoder, data, schedule: all of these are
ours. Generation from given images and videos, which the report shows, is not in this
config: packed rows go with text to video.
Needs: latents of any buckets (`python -m data_pipelines`), images in a second dataset made
with the same tokenizer (data.mix). On our own latents and
captions the same trunk trains with --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/sora_style.py \
      --workdir=runs/sora_style --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Sora style."""
    config = pretraining.get_config()
    config.model = {"name": "sora_style", "remat": "attention", "dtype": "bfloat16"}
    config.time = {"shift_rule": "sqrt", "shift_tokens": (4096, 65536)}
    config.data.update(
        {
            "global_batch": 128,  # rows
            "row_tokens": 65536,
            "row_clips": 32,
            "row_text_tokens": 8192,
            "mix": (),
        }
    )
    config.published = {"data": {"row_tokens": "native sizes, together: the report"}}
    config.assumed = {
        "sample": "ours",
        "data": "ours",
        "train": "ours",
        "model": "see `videogen models sora_style`",
        "objective": "flow matching, logit-normal",
        "time": "more noise for more tokens, as SD3",
        "optimizer": "ours",
    }
    return config
