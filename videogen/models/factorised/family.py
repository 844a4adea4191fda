"""The family as the rest of the project sees it."""

from videogen.models.factorised.config import FactorisedConfig
from videogen.models.factorised.flops import forward_flops
from videogen.models.factorised.model import make
from videogen.models.factorised.sharding import SHARDING
from videogen.models.factorised.sizes import PUBLISHED
from videogen.models.family import Family

FAMILY = Family(
    config=FactorisedConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
