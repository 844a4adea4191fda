"""Wan2.1 I2V 14B at 720p.

What: image to video: 20 given channels (mask and latent of the first frame) beside the
noise, and CLIP ViT-H's 257 tokens by keys and values of their own.

Source: arXiv 2503.20314 (Wan), sections 4.2 and 4.3; Wan-Video repositories, wan/configs.
Recipe: AdamW, weight decay 1e-3, learning rate 1e-4 reduced on a plateau, bfloat16; images
of 256 px, then images with 5 s at 192 px (16 fps), then 480 px, then 720 px, then both.
Batches, steps and hours are not published.
Hardware: published layout for 14B: 128 GPUs as ulysses 8 x ring 2, FSDP 32, data 4.
Counts: 16,394,878,784 parameters (exact).
Unverified: everything in config.assumed. Training puts the first frame beside the noise
(config.tasks) and CLIP's tokens of it beside the text, of a sidecar that add-image makes, or
`import --image-key` brings; its folder is the image_encoder of a Wan2.1 I2V release in
diffusers' form.
Needs: latents of the release's own autoencoder, which this project does not hold yet; of text
encoders it reads T5's, UMT5's, ByT5's and CLIP's weights (README).
On our own latents and captions the same trunk trains with
--config.model.text_dim=384 --config.model.image_dim=0.
Command:
  python -m data_pipelines add-image DATASET --image-encoder=clip:IMAGE_ENCODER
  python -m videogen.train --config=configs/wan2_1_i2v_14b.py \
      --workdir=runs/wan2_1_i2v_14b --config.data.path=DATASET --config.train.sample_every=0
or, with samples while it trains, in place of the last flag:
      --config.data.image_encoder=clip:IMAGE_ENCODER --config.sample.task=i2v \
      "--config.sample.given=('a.png','b.png')" "--config.sample.prompts=('first','second')"
"""

from ml_collections import config_dict

from configs import wan2_1_t2v_14b


def get_config() -> config_dict.ConfigDict:
    """Wan2.1 I2V 14B at 720p."""
    config = wan2_1_t2v_14b.get_config()
    config.model.name = "wan2_1_i2v_14b"
    config.tasks = {"t2v": 0.0, "i2v": 1.0, "how": "channels"}
    config.published.tasks = "Wan-Video/Wan2.1 wan/image2video.py: the first frame"
    return config
