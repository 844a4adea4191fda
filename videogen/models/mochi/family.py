"""The family as the rest of the project sees it."""

from videogen.models.family import Family
from videogen.models.mochi.config import MochiConfig
from videogen.models.mochi.flops import forward_flops
from videogen.models.mochi.model import make
from videogen.models.mochi.sharding import SHARDING
from videogen.models.mochi.sizes import PUBLISHED

FAMILY = Family(
    config=MochiConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
