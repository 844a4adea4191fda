"""HunyuanVideo I2V at 720p.

What: image to video: the first frame's tokens hold its clean latent and are modulated as at
t = 0.

Source: Tencent/HunyuanVideo-I2V.
Recipe: as HunyuanVideo; not published.
Hardware: not published.
Counts: 12,821,012,544 parameters (exact).
Unverified: everything in config.assumed. Clips of one frame are refused. Samples need
config.sample.given, an image each.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
Command:
  python -m videogen.train --config=configs/hunyuan_video_i2v.py \
      --workdir=runs/hunyuan_video_i2v --config.data.path=DATASET
"""

from ml_collections import config_dict

from configs import hunyuan_video


def get_config() -> config_dict.ConfigDict:
    """HunyuanVideo I2V at 720p."""
    config = hunyuan_video.get_config()
    config.model.name = "hunyuan_video_i2v"
    config.tasks = {"t2v": 0.0, "i2v": 1.0, "how": "clean"}
    config.published = {"tasks": "hyvideo: token_replace"}
    config.assumed.sample = "as HunyuanVideo's T2V"
    return config
