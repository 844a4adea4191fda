"""The families of models: a plain dict. A new family is a folder here and a line below.

Every network is called alike, and ignores the conditions it has no use for:
model(latent_BFHWC, t_B, text_BLD=None, text_mask_BL=None, label_B=None) -> velocity_BFHWC.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from videogen.core.errors import ConfigError, suggest
from videogen.models.cogvideox import config as cogvideox_config
from videogen.models.cogvideox import flops as cogvideox_flops
from videogen.models.cogvideox import model as cogvideox_model
from videogen.models.cogvideox import sharding as cogvideox_sharding
from videogen.models.cogvideox import sizes as cogvideox_sizes
from videogen.models.cross import config as cross_config
from videogen.models.cross import flops as cross_flops
from videogen.models.cross import model as cross_model
from videogen.models.cross import sharding as cross_sharding
from videogen.models.cross import sizes as cross_sizes
from videogen.models.dit import config as dit_config
from videogen.models.dit import flops as dit_flops
from videogen.models.dit import model as dit_model
from videogen.models.dit import sharding as dit_sharding
from videogen.models.joint import config as joint_config
from videogen.models.joint import flops as joint_flops
from videogen.models.joint import model as joint_model
from videogen.models.joint import sharding as joint_sharding
from videogen.models.joint import sizes as joint_sizes
from videogen.models.mochi import config as mochi_config
from videogen.models.mochi import flops as mochi_flops
from videogen.models.mochi import model as mochi_model
from videogen.models.mochi import sharding as mochi_sharding
from videogen.models.mochi import sizes as mochi_sizes
from videogen.models.published import Published
from videogen.parallel.rules import Table


@dataclass(frozen=True, kw_only=True)
class Family:
    """What the rest of the project needs to know of a model.

    config: the frozen dataclass of its sizes.
    make: (config, an AttentionPlan or None) -> what `nn.fence.Network.of` takes.
    sharding: the table for its parameters, and so for their moments and averages.
    flops: (config, latent_FHWC shape, text tokens) -> forward FLOPs of one sample.
    token_times: whether it takes t_BN, a time per token, too.
    """

    config: type
    make: Callable[..., Callable[[Any], Any]]
    sharding: Table
    flops: Callable[[Any, tuple[int, int, int, int], int], int]
    token_times: bool = False
    published: Mapping[str, Published] = field(default_factory=dict)


FAMILIES: dict[str, Family] = {
    "cogvideox": Family(
        config=cogvideox_config.CogVideoXConfig,
        make=cogvideox_model.make,
        sharding=cogvideox_sharding.SHARDING,
        flops=cogvideox_flops.forward_flops,
        published=cogvideox_sizes.PUBLISHED,
    ),
    "cross": Family(
        config=cross_config.CrossConfig,
        make=cross_model.make,
        sharding=cross_sharding.SHARDING,
        flops=cross_flops.forward_flops,
        token_times=True,
        published=cross_sizes.PUBLISHED,
    ),
    "dit": Family(
        config=dit_config.DiTConfig,
        make=dit_model.make,
        sharding=dit_sharding.SHARDING,
        flops=dit_flops.forward_flops,
    ),
    "joint": Family(
        config=joint_config.JointConfig,
        make=joint_model.make,
        sharding=joint_sharding.SHARDING,
        flops=joint_flops.forward_flops,
        published=joint_sizes.PUBLISHED,
    "mochi": Family(
        config=mochi_config.MochiConfig,
        make=mochi_model.make,
        sharding=mochi_sharding.SHARDING,
        flops=mochi_flops.forward_flops,
        published=mochi_sizes.PUBLISHED,
    ),
}


def find_published(name: str) -> tuple[str, Published]:
    """(family's name, the published model). ConfigError when it is not known."""
    every = {
        model: (family_name, published)
        for family_name, family in FAMILIES.items()
        for model, published in family.published.items()
    }
    if name not in every:
        raise ConfigError(f"model {name!r} is not published here{suggest(name, every)}")
    return every[name]
