"""Published models of the family. Figures and sources: see each entry."""

import dataclasses
from typing import Any

from videogen.models.cross import weights
from videogen.models.cross.config import CrossConfig
from videogen.models.published import Published

_WAN_SOURCE = "arXiv 2503.20314; Wan-Video/Wan2.1 wan/configs"


def wan2_1_t2v_1_3b(**changes: Any) -> CrossConfig:
    """Wan2.1-T2V-1.3B: umT5-XXL's 512 tokens, padding attended."""
    config = CrossConfig(
        width=1536,
        depth=30,
        num_heads=12,
        mlp_width=8960,
        text_dim=4096,
        mask_text=False,
    )
    return dataclasses.replace(config, **changes)


def wan2_1_t2v_14b(**changes: Any) -> CrossConfig:
    """Wan2.1-T2V-14B, and each of Wan2.2-T2V-A14B's two."""
    sizes = {"width": 5120, "depth": 40, "num_heads": 40, "mlp_width": 13824}
    return wan2_1_t2v_1_3b(**(sizes | changes))


def movie_gen_30b(**changes: Any) -> CrossConfig:
    """Movie Gen Video (arXiv 2410.13720, Tables 1 and 9)."""
    config = CrossConfig(
        width=6144,
        depth=48,
        num_heads=48,
        mlp_width=16384,
        mlp="swiglu",
        bias=False,
        mlp_bias=False,
        norm="rms_affine",
        cross_norm="rms_affine",
        norm_eps=1e-5,
        qk_norm=None,
        text_dim=4096,  # UL2
        more_text_dims=(1280, 1472),  # Long-prompt MetaCLIP, ByT5
        text_projection="linear_norm",
        more_text_projection="linear_norm",
        position="learned",
        position_sizes=(32, 48, 48),
    )
    return dataclasses.replace(config, **changes)


def goku_2b(**changes: Any) -> CrossConfig:
    """Goku-2B (arXiv 2502.04896, Table 1): Flan-T5, adaLN-zero in each layer."""
    config = CrossConfig(
        width=1792,
        depth=28,
        num_heads=28,
        mlp_width=7168,
        modulation="own",
        cross_norm=None,
        qk_norm="rms_head",
        text_dim=4096,
    )
    return dataclasses.replace(config, **changes)


def ltx_video_2b(**changes: Any) -> CrossConfig:
    """LTX-Video 2B (arXiv 2501.00103): one latent pixel, 8 x 32 x 32 of video, is a token."""
    config = CrossConfig(
        latent_channels=128,
        patch=(1, 1, 1),
        width=2048,
        depth=28,
        num_heads=32,
        mlp_width=8192,
        norm="rms",
        cross_norm=None,
        text_dim=4096,
        position="fractional_rope",
        rope_scale=(8.0, 32.0, 32.0),
        rope_base=(20.0, 2048.0, 2048.0),
    )
    return dataclasses.replace(config, **changes)


def step_video_30b(**changes: Any) -> CrossConfig:
    """Step-Video-T2V (arXiv 2502.10248): Step-LLM's and HunyuanCLIP's tokens."""
    config = CrossConfig(
        latent_channels=64,
        patch=(1, 1, 1),
        width=6144,
        depth=48,
        num_heads=48,
        mlp_width=24576,
        bias=False,
        mlp_bias=False,
        norm="layer_affine",
        cross_norm=None,
        norm_eps=1e-5,
        qk_norm="rms_head",
        text_dim=6144,
        text_projection="norm_mlp",
        more_text_dims=(1024,),
        rope_split=(64, 32, 32),
    )
    return dataclasses.replace(config, **changes)


def allegro(**changes: Any) -> CrossConfig:
    """Allegro (arXiv 2410.15458)."""
    config = CrossConfig(
        latent_channels=4,
        width=2304,
        depth=32,
        num_heads=24,
        mlp_width=9216,
        cross_norm=None,
        qk_norm=None,
        text_dim=4096,
        rope_split=(32, 32, 32),
        rope_scale=(1 / 2.2, 1 / 2.0, 1 / 2.0),
    )
    return dataclasses.replace(config, **changes)


_A14B = "Wan-Video/Wan2.2 wan/configs"


def _wan(config: CrossConfig, parameters: int, **more: Any) -> Published:
    """A Wan at 720p, unless said."""
    shape = {"latent_FHWC": (21, 90, 160, 16), "text_tokens": 512}
    fields: dict[str, Any] = {"source": _WAN_SOURCE} | shape | more
    return Published(
        config=config,
        parameters=parameters,
        weights={"diffusers": weights.wan, "native": weights.wan_native},
        diffusers_config=weights.wan_config,
        **fields,
    )


def _goku(config: CrossConfig) -> Published:
    """With 22 D^2 a block, 2.0 and 8.3 billion parameters: what their names say."""
    return Published(
        config=config,
        parameters=None,
        latent_FHWC=(24, 90, 160, 16),
        text_tokens=256,
        source="arXiv 2502.04896",
        status="approximate",
        assumed=(
            "latents of 16 channels, of 93 frames at 720 x 1280; tokens of 1 x 2 x 2",
            "Flan-T5-XXL (width 4096), 256 tokens, a two-layer projection",
            "cross-attention without a norm before it or a gate after it (as PixArt)",
            "layer norm without gain; biases in all layers; GELU",
            "norms of q and k per head, in both attentions",
            "the rotation's dims for (frame, row, column) by Wan's rule: 24, 20, 20",
            "the output's modulation is a table and the time (as Wan's)",
        ),
    )


PUBLISHED: dict[str, Published] = {
    "wan2_1_t2v_1_3b": _wan(
        wan2_1_t2v_1_3b(), 1_418_996_800, latent_FHWC=(21, 60, 104, 16)
    ),
    "wan2_1_t2v_14b": _wan(wan2_1_t2v_14b(), 14_288_491_584),
    "wan2_1_i2v_14b": _wan(
        wan2_1_t2v_14b(given_channels=20, image_dim=1280), 16_394_878_784
    ),
    "wan2_2_t2v_a14b": _wan(wan2_1_t2v_14b(), 14_288_491_584, source=_A14B, experts=2),
    "wan2_2_i2v_a14b": _wan(
        wan2_1_t2v_14b(given_channels=20), 14_288_901_184, source=_A14B, experts=2
    ),
    "wan2_2_ti2v_5b": _wan(
        wan2_1_t2v_1_3b(latent_channels=48, width=3072, num_heads=24, mlp_width=14336),
        4_999_787_712,
        latent_FHWC=(31, 44, 80, 48),
        source=_A14B,
    ),
    "movie_gen_30b": Published(
        config=movie_gen_30b(),
        parameters=None,
        latent_FHWC=(32, 96, 96, 16),
        text_tokens=768,
        source="arXiv 2410.13720",
        status="approximate",
        assumed=(
            "modulation shared by all blocks, with a table in each (of the size, 30B)",
            "no norm of q and k; the last norm is a layer norm without gain (as PixArt's)",
            "256 tokens of each text encoder (256 of MetaCLIP is published)",
        ),
    ),
    "movie_gen_5b": Published(
        config=movie_gen_30b(width=3072, depth=32, num_heads=24, mlp_width=8192),
        parameters=None,
        latent_FHWC=(16, 24, 44, 16),
        text_tokens=768,
        source="arXiv 2410.13720, section 3.6",
        status="approximate",
        assumed=("mlp_width=8192", "as movie_gen_30b"),
    ),
    "sora_style": Published(
        config=CrossConfig(
            width=3072, depth=32, num_heads=24, mlp_width=12288, text_dim=4096
        ),
        parameters=None,
        latent_FHWC=(31, 90, 160, 16),
        text_tokens=512,
        source="Video generation models as world simulators (OpenAI, 2024)",
        status="style",
        assumed=(
            "all sizes, the autoencoder's strides and the text encoder: ours",
            "blocks, norms and positions as Wan2.1's",
        ),
    ),
    "goku_2b": _goku(goku_2b()),
    "goku_8b": _goku(goku_2b(width=3072, depth=40, num_heads=48, mlp_width=12288)),
    "ltx_video_2b": Published(
        config=ltx_video_2b(),
        parameters=1_923_385_472,
        latent_FHWC=(16, 16, 24, 128),
        text_tokens=128,
        source="arXiv 2501.00103; Lightricks/LTX-Video",
        weights={"diffusers": weights.ltx},
        diffusers_config=weights.ltx_config,
    ),
    "ltx_video_13b": Published(
        config=ltx_video_2b(width=4096, depth=48, mlp_width=16384),
        parameters=13_042_569_344,
        latent_FHWC=(16, 16, 24, 128),
        text_tokens=128,
        source="Lightricks/LTX-Video 0.9.7",
        weights={"diffusers": weights.ltx},
        diffusers_config=weights.ltx_config,
    ),
    "step_video_30b": Published(
        config=step_video_30b(),
        parameters=29_342_478_400,
        latent_FHWC=(36, 34, 62, 64),
        text_tokens=397,
        source="arXiv 2502.10248; stepfun-ai/Step-Video-T2V",
        weights={"native": weights.step_video},
    ),
    "allegro": Published(
        config=allegro(),
        parameters=2_771_907_856,
        latent_FHWC=(22, 90, 160, 4),
        text_tokens=512,
        source="arXiv 2410.15458; rhymes-ai/Allegro",
        weights={"diffusers": weights.allegro},
        diffusers_config=weights.allegro_config,
    ),
}
