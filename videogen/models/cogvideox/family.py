"""The family as the rest of the project sees it."""

from videogen.models.cogvideox.config import CogVideoXConfig
from videogen.models.cogvideox.flops import forward_flops
from videogen.models.cogvideox.model import make
from videogen.models.cogvideox.sharding import SHARDING
from videogen.models.cogvideox.sizes import PUBLISHED
from videogen.models.family import Family

FAMILY = Family(
    config=CogVideoXConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
