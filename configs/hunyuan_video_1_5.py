"""HunyuanVideo 1.5.

What: text or image to video by 54 blocks of two streams; Qwen2.5-VL, ByT5 (glyphs) and
SigLIP conditions.

Source: Tencent-Hunyuan/HunyuanVideo-1.5.
Recipe: not published.
Hardware: not published.
Counts: 8,326,608,160 parameters (exact).
Unverified: everything in config.assumed; full attention, also where the release runs a
sparse one.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.latent_channels=16 --config.model.given_channels=17
--config.model.text_dim=384 --config.model.more_text_dims="()" --config.model.image_dim=0.
Command:
  python -m data_pipelines add-image DATASET --image-encoder=siglip:IMAGE_ENCODER
  python -m videogen.train --config=configs/hunyuan_video_1_5.py \
      --workdir=runs/hunyuan_video_1_5 --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import hunyuan_video


def get_config() -> config_dict.ConfigDict:
    """HunyuanVideo 1.5."""
    config = hunyuan_video.get_config()
    config.model.name = "hunyuan_video_1_5"
    config.tasks = {"t2v": 1.0, "i2v": 1.0, "how": "channels", "mask_first": False}
    config.published = {}
    config.assumed.sample = "as HunyuanVideo's"
    config.assumed.tasks = "one network for both; their shares are not published"
    return config
