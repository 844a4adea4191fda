"""The family as the rest of the project sees it."""

from videogen.models.cross.config import CrossConfig
from videogen.models.cross.flops import forward_flops
from videogen.models.cross.model import make
from videogen.models.cross.sharding import SHARDING
from videogen.models.cross.sizes import PUBLISHED
from videogen.models.family import Family

FAMILY = Family(
    config=CrossConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    token_times=True,
    packs=True,
    published=PUBLISHED,
)
