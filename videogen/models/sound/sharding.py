"""The table of `cross`, after that of what the sound adds."""

from videogen.models.cross import sharding as cross
from videogen.parallel.rules import Table

SHARDING: Table = (
    (r"audio_embedding\.kernel$", (None, "embed")),
    (r"audio_proj_out\.kernel$", ("embed", None)),
    (r"audio_unheard$", (None,)),
    *cross.SHARDING,
)
