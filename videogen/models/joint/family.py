"""The family as the rest of the project sees it."""

from videogen.models.family import Family
from videogen.models.joint.config import JointConfig
from videogen.models.joint.flops import forward_flops
from videogen.models.joint.model import make
from videogen.models.joint.sharding import SHARDING
from videogen.models.joint.sizes import PUBLISHED

FAMILY = Family(
    config=JointConfig,
    make=make,
    sharding=SHARDING,
    flops=forward_flops,
    published=PUBLISHED,
)
