"""The family as the rest of the project sees it."""

from videogen.models.cosmos.config import CosmosConfig
from videogen.models.cosmos.flops import forward_flops
from videogen.models.cosmos.model import make
from videogen.models.cosmos.sharding import SHARDING
from videogen.models.cosmos.sizes import PUBLISHED
from videogen.models.family import Family

FAMILY = Family(
    config=CosmosConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    token_times=True,
    published=PUBLISHED,
)
