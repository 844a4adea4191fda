"""The family as the rest of the project sees it."""

from videogen.models.dit.config import DiTConfig
from videogen.models.dit.flops import forward_flops
from videogen.models.dit.model import make
from videogen.models.dit.sharding import SHARDING
from videogen.models.dit.sizes import PUBLISHED
from videogen.models.family import Family

FAMILY = Family(
    config=DiTConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
