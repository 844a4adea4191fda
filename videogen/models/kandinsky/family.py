"""The family as the rest of the project sees it."""

from videogen.models.family import Family
from videogen.models.kandinsky.config import KandinskyConfig
from videogen.models.kandinsky.flops import forward_flops
from videogen.models.kandinsky.model import make
from videogen.models.kandinsky.sharding import SHARDING
from videogen.models.kandinsky.sizes import PUBLISHED

FAMILY = Family(
    config=KandinskyConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
