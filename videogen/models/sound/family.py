"""The family as the rest of the project sees it."""

from videogen.models.family import Family
from videogen.models.sound.config import SoundConfig
from videogen.models.sound.flops import forward_flops
from videogen.models.sound.model import make
from videogen.models.sound.sharding import SHARDING
from videogen.models.sound.sizes import PUBLISHED

FAMILY = Family(
    config=SoundConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    token_times=True,
    published=PUBLISHED,
)
