"""The family as the rest of the project sees it."""

from videogen.models.family import Family
from videogen.models.hybrid.config import HybridConfig
from videogen.models.hybrid.flops import forward_flops
from videogen.models.hybrid.model import make
from videogen.models.hybrid.sharding import SHARDING
from videogen.models.hybrid.sizes import PUBLISHED

FAMILY = Family(
    config=HybridConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
