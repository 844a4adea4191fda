"""What the rest of the project needs to know of a family of models."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from videogen.models.published import Published
from videogen.parallel.rules import Table


@dataclass(frozen=True, kw_only=True)
class Family:
    """Each family's folder makes one, in its family.py.

    config: the frozen dataclass of its sizes.
    make: (config, an AttentionPlan or None) -> what `nn.fence.Network.of` takes.
    sharding: the table for its parameters, and so for their moments and averages.
    flops: (config, latent_FHWC shape, text tokens) -> forward FLOPs of one sample: its matrix
        products. Not the rotation's with zeros and ones, which stands for a shuffle
        (nn/position.py), nor how a mixed rotation's angles and a masked mean are summed.
    token_times: whether it takes t_BN, a time per token, too.
    packs: whether it takes packed rows (its method `packed`).
    published: the named sizes.
    """

    config: type
    make: Callable[..., Callable[[Any], Any]]
    sharding: Table
    flops: Callable[[Any, tuple[int, int, int, int], int], int]
    token_times: bool = False
    packs: bool = False
    published: Mapping[str, Published] = field(default_factory=dict)
