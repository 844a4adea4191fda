"""Mochi-1 10B.

What: text to video, 163 frames of 480 x 848 (44,520 tokens); an asymmetric pair of streams.

Source: genmoai/mochi; its paper has no pre-training recipe.
Recipe: not published; the released fine-tuner draws times uniformly and drops captions with
0.1.
Hardware: not published.
Counts: 10,027,677,744 parameters (exact).
Unverified: everything in config.assumed; the network embeds 1 - t.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.text_dim=384.
Command:
  python -m videogen.train --config=configs/mochi_1.py \
      --workdir=runs/mochi_1 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import pretraining


def get_config() -> config_dict.ConfigDict:
    """Mochi-1 10B."""
    config = pretraining.get_config()
    config.model = {"name": "mochi_1", "remat": "attention", "dtype": "bfloat16"}
    config.time = {"kind": "uniform"}
    config.sample.update(
        {"num_steps": 64, "schedule": "linear_quadratic", "guidance": 4.5}
    )
    config.data.update({"text_dropout": 0.1})
    config.published = {
        "time": "demos/fine_tuner",
        "sample": {"schedule": "pipelines.py"},
        "data": {"text_dropout": "demos/fine_tuner"},
    }
    config.assumed = {
        "data": {"global_batch": "not published"},
        "sample": "guidance and steps: not checked",
        "optimizer": "not published",
        "train": {"steps": "not published"},
    }
    return config
