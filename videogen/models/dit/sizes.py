"""Published models of the family: DiT, SiT, Latte. Figures and sources: see each entry.

SiT has the network of DiT. It is told the time from noise to data, without the factor 1000,
and asked for the velocity to data; the second half of its output is not used.

Latte trained jointly with images ("LatteIMG") is not here: it appends 8 single images to the
16 frames of each video, which attention across frames leaves out. It has the parameters of
Latte, whose size serves its checkpoints.
"""

import dataclasses
import functools
from typing import Any

from videogen.models.dit import weights
from videogen.models.dit.config import DiTConfig
from videogen.models.published import Published


def dit_xl_2(**changes: Any) -> DiTConfig:
    """DiT-XL/2: the noise of ImageNet latents, and its variance."""
    config = DiTConfig(
        latent_channels=4,
        out_channels=8,
        width=1152,
        depth=28,
        num_heads=16,
        mlp_width=4608,
        num_classes=1000,
        position="sincos_2d",
    )
    return dataclasses.replace(config, **changes)


def dit_s_2(**changes: Any) -> DiTConfig:
    """DiT-S/2."""
    sizes = {"width": 384, "depth": 12, "num_heads": 6, "mlp_width": 1536}
    return dit_xl_2(**(sizes | changes))


def dit_b_2(**changes: Any) -> DiTConfig:
    """DiT-B/2."""
    sizes = {"width": 768, "depth": 12, "num_heads": 12, "mlp_width": 3072}
    return dit_xl_2(**(sizes | changes))


def dit_l_2(**changes: Any) -> DiTConfig:
    """DiT-L/2."""
    return dit_xl_2(**({"width": 1024, "depth": 24, "mlp_width": 4096} | changes))


def latte_xl_2(**changes: Any) -> DiTConfig:
    """Latte-XL/2, unconditional, of 16 frames of 256 x 256."""
    return dit_xl_2(**({"num_classes": 0, "factorised": True} | changes))


_ASSUMED = (
    "to_q, to_k and to_v start with the spread of square layers, sqrt(2) that of the "
    "released code's one fused layer",
)
_WEIGHTS = {"native": weights.native, "diffusers": weights.diffusers}


def _dit(config: DiTConfig, parameters: int, size: int = 32, **more: Any) -> Published:
    """Of images of size x size latent pixels, unless said."""
    grid = size // config.patch[1]
    fields: dict[str, Any] = {
        "fixed": grid * grid * config.width,
        "latent_FHWC": (1, size, size, 4),
        "source": "arXiv 2212.09748; facebookresearch/DiT models.py",
        "weights": _WEIGHTS,
    }
    fields |= more
    if "diffusers" in fields["weights"]:
        told = functools.partial(weights.diffusers_config, size=size)
        fields["diffusers_config"] = told
    return Published(
        config=config,
        parameters=parameters,
        text_tokens=0,
        assumed=_ASSUMED,
        **fields,
    )


def _latte(config: DiTConfig, parameters: int) -> Published:
    """16 frames, which it counts a table of positions for."""
    return _dit(
        config,
        parameters,
        fixed=(16 * 16 + 16) * config.width,
        latent_FHWC=(16, 32, 32, 4),
        source="arXiv 2401.03048; Vchitect/Latte models/latte.py",
        weights={"native": weights.native},
    )


PUBLISHED: dict[str, Published] = {
    "dit_s_2": _dit(dit_s_2(), 32_963_360),
    "dit_b_2": _dit(dit_b_2(), 130_512_416),
    "dit_l_2": _dit(dit_l_2(), 458_102_816),
    "dit_xl_2": _dit(dit_xl_2(), 675_129_632),
    "dit_xl_2_512": _dit(dit_xl_2(), 676_014_368, size=64),
    "dit_xl_4": _dit(dit_xl_2(patch=(1, 4, 4)), 675_074_432),
    "sit_xl_2": _dit(
        dit_xl_2(),
        675_129_632,
        source="arXiv 2401.08740; willisma/SiT models.py",
        weights={"native": weights.native},
    ),
    "latte_xl_2": _latte(latte_xl_2(), 673_994_912),
    "latte_xl_2_ucf101": _latte(latte_xl_2(num_classes=101), 674_112_416),
}
