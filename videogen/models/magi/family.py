"""The family as the rest of the project sees it."""

from videogen.models.family import Family
from videogen.models.magi.config import MagiConfig
from videogen.models.magi.flops import forward_flops
from videogen.models.magi.model import make
from videogen.models.magi.sharding import SHARDING
from videogen.models.magi.sizes import PUBLISHED

FAMILY = Family(
    config=MagiConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    token_times=True,
    published=PUBLISHED,
)
