"""Published models of the family. Figures and sources: see each entry."""

import dataclasses
from typing import Any

from videogen.models.joint import weights
from videogen.models.joint.config import JointConfig
from videogen.models.published import Published


def hunyuan_video(**changes: Any) -> JointConfig:
    """HunyuanVideo (arXiv 2412.03603, Table 2): a LLaVA's 256 tokens, CLIP-L's vector.

    The released T2V imitates guidance: `guidance=True`.
    """
    config = JointConfig(
        width=3072,
        depth=20,
        single_depth=40,
        num_heads=24,
        mlp_width=12288,
        text_dim=4096,
        pooled_dim=768,
        rope_split=(16, 56, 56),
        rope_theta=256.0,
    )
    return dataclasses.replace(config, **changes)


def hunyuan_video_1_5(**changes: Any) -> JointConfig:
    """HunyuanVideo-1.5, T2V and I2V: Qwen2.5-VL's tokens, ByT5's, an image's (SigLIP's)."""
    config = JointConfig(
        latent_channels=32,
        given_channels=33,
        patch=(1, 1, 1),
        width=2048,
        depth=54,
        num_heads=16,
        mlp_width=8192,
        text_dim=3584,
        more_text_dims=(1472,),
        image_dim=1152,
        rope_split=(16, 56, 56),
        rope_theta=256.0,
    )
    return dataclasses.replace(config, **changes)


def open_sora_2(**changes: Any) -> JointConfig:
    """Open-Sora 2.0 (arXiv 2503.09642), FLUX.1's sizes: T5-XXL's 512 tokens, CLIP-L's vector.

    The padding of the text is attended.
    """
    config = JointConfig(
        width=3072,
        depth=19,
        single_depth=38,
        num_heads=24,
        mlp_width=12288,
        text_dim=4096,
        text_projection="linear",
        pooled_dim=768,
        rope_split=(16, 56, 56),
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def gen3_style(**changes: Any) -> JointConfig:
    """Ours, for what is public of Runway's Gen-3 Alpha: first, last and earlier frames."""
    config = JointConfig(
        given_channels=17,
        width=3072,
        depth=12,
        single_depth=24,
        num_heads=24,
        mlp_width=12288,
        text_dim=4096,
    )
    return dataclasses.replace(config, **changes)


def _hunyuan(config: JointConfig, parameters: int, **more: Any) -> Published:
    """A HunyuanVideo at 129 x 720 x 1280, unless said."""
    fields: dict[str, Any] = {
        "latent_FHWC": (33, 90, 160, 16),
        "text_tokens": 256,
        "source": "arXiv 2412.03603; Tencent/HunyuanVideo hyvideo/modules/models.py",
        "weights": {"diffusers": weights.hunyuan, "native": weights.hunyuan_native},
        "diffusers_config": weights.hunyuan_config,
    }
    return Published(config=config, parameters=parameters, **(fields | more))


def _open_sora(config: JointConfig, parameters: int, **more: Any) -> Published:
    """An Open-Sora 2.0 at 129 x 576 x 1024, unless said."""
    fields: dict[str, Any] = {
        "latent_FHWC": (33, 72, 128, 16),
        "text_tokens": 512,
        "source": "arXiv 2503.09642; hpcaitech/Open-Sora opensora/models/mmdit",
        "weights": {"native": weights.open_sora_native},
    }
    return Published(config=config, parameters=parameters, **(fields | more))


_I2V = (
    "Tencent/HunyuanVideo-I2V; diffusers scripts/convert_hunyuan_video_to_diffusers.py"
)

PUBLISHED: dict[str, Published] = {
    "hunyuan_video": _hunyuan(hunyuan_video(guidance=True), 12_821_012_544),
    "hunyuan_video_no_guidance": _hunyuan(hunyuan_video(), 12_810_782_784),
    "hunyuan_video_i2v_concat": _hunyuan(
        hunyuan_video(given_channels=17), 12_810_991_680, source=_I2V
    ),
    "hunyuan_video_i2v": _hunyuan(
        hunyuan_video(guidance=True, clean_first_frame=True),
        12_821_012_544,
        source=_I2V,
    ),
    "hunyuan_video_1_5": Published(
        config=hunyuan_video_1_5(),
        parameters=8_326_608_160,
        latent_FHWC=(31, 45, 80, 32),
        text_tokens=1256,
        source="Tencent-Hunyuan/HunyuanVideo-1.5; diffusers "
        "scripts/convert_hunyuan_video1_5_to_diffusers.py",
        weights={
            "diffusers": weights.hunyuan_1_5,
            "native": weights.hunyuan_1_5_native,
        },
        diffusers_config=weights.hunyuan_1_5_config,
        assumed=("full attention, also where the release runs SSTA",),
    ),
    "open_sora_2": _open_sora(
        open_sora_2(),
        11_891_178_560,
        weights={"diffusers": weights.flux, "native": weights.open_sora_native},
        diffusers_config=weights.flux_config,
    ),
    "open_sora_2_i2v": _open_sora(
        open_sora_2(given_channels=17, given_embedder=True), 11_891_390_528
    ),
    "open_sora_2_high_compression": _open_sora(
        open_sora_2(
            latent_channels=128,
            given_channels=129,
            given_embedder=True,
            patch=(1, 1, 1),
        ),
        11_891_971_200,
        latent_FHWC=(32, 18, 32, 128),
    ),
    "gen3_style": Published(
        config=gen3_style(),
        parameters=None,
        latent_FHWC=(31, 96, 160, 16),
        text_tokens=512,
        source="Runway, Introducing Gen-3 Alpha (June 2024)",
        status="style",
        assumed=(
            "no architecture is public: the family and every size are ours",
            "12 blocks of two streams, 24 of one, width 3072: 7.8 billion parameters",
            "given frames beside the latent, as 16 channels and one of mask",
            "text embeddings of width 4096, 512 tokens, refined by two blocks",
            "121 frames at 768 x 1280, coded by 4 x 8 x 8 into 16 channels",
        ),
    ),
}
