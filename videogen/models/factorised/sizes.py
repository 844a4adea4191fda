"""Published models of the family. Figures and sources: see each entry."""

import dataclasses
import functools
from typing import Any

from videogen.models.factorised import weights
from videogen.models.factorised.config import FactorisedConfig
from videogen.models.published import Published


def latte_1(**changes: Any) -> FactorisedConfig:
    """Latte-1, text to video (arXiv 2401.03048): T5-XXL's tokens, read within frames only."""
    config = FactorisedConfig(
        latent_channels=4,
        learn_sigma=True,
        width=1152,
        depth=28,
        num_heads=16,
        mlp_width=4608,
        text_dim=4096,
        text_in_second=False,
    )
    return dataclasses.replace(config, **changes)


def open_sora_1_2(**changes: Any) -> FactorisedConfig:
    """STDiT3-XL/2: 512 x 512 pixels, 8 a latent and 2 latents a token, are position_base."""
    open_sora = {"qk_norm": "rms_head", "position": "sincos_rope", "embeds_fps": True}
    return latte_1(**({"text_in_second": True} | open_sora | changes))


def open_sora_plan_1_3(**changes: Any) -> FactorisedConfig:
    """OpenSoraT2V_v1_3-2B/122: Skiparse in layers 2 to 29 of 0 to 31."""
    config = FactorisedConfig(
        latent_channels=8,
        width=2304,
        depth=16,
        num_heads=24,
        mlp_width=9216,
        groups=("skip", "group_skip"),
        skip=4,
        full_pairs=1,
        text_dim=4096,  # mT5-XXL
        position="rope",
        rope_split=(32, 32, 32),
    )
    return dataclasses.replace(config, **changes)


PUBLISHED: dict[str, Published] = {
    "latte_1": Published(
        config=latte_1(),
        parameters=1_057_246_880,
        latent_FHWC=(16, 64, 64, 4),
        text_tokens=120,
        source="arXiv 2401.03048; maxin-cn/Latte-1",
        weights={"diffusers": weights.latte},
        diffusers_config=functools.partial(weights.latte_config, frames=16),
        assumed=(
            "predicts noise, and its variance in the second half of the channels",
        ),
    ),
    "open_sora_1_2": Published(
        config=open_sora_1_2(),
        parameters=1_207_643_972,
        fixed=36,  # RoPE's rates, a parameter of theirs that is not trained
        latent_FHWC=(30, 90, 160, 4),
        text_tokens=300,
        source="arXiv 2412.20404; hpcaitech/Open-Sora v1.2.0 opensora/models/stdit",
        weights={"native": weights.open_sora},
        assumed=("predicts data - noise in the first half of the channels",),
    ),
    "open_sora_plan_1_3": Published(
        config=open_sora_plan_1_3(),
        parameters=2_771_981_600,
        latent_FHWC=(24, 44, 80, 8),
        text_tokens=512,
        source="arXiv 2412.00131; PKU-YuanGroup/Open-Sora-Plan v1.3.0 opensora_v1_3",
        weights={"native": weights.open_sora_plan},
        assumed=("predicts v of a diffusion with zero terminal SNR",),
    ),
}
