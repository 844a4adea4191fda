"""The families of models: a plain dict. A new family is a folder here and a line below.

Every network is called alike, by the conditions of `conditions.py`, and ignores those it
has no use for: model(latent_BFHWC, t_B, text_BLD=None, ...) -> prediction_BFHWC. t may
be (B, N), a time a token, for the networks that say so. Of `sound`, latent, prediction
and perhaps t are dicts of parts.
"""

from videogen.core.errors import ConfigError, suggest
from videogen.models.cogvideox import family as cogvideox
from videogen.models.cosmos import family as cosmos
from videogen.models.cross import family as cross
from videogen.models.dit import family as dit
from videogen.models.factorised import family as factorised
from videogen.models.family import Family
from videogen.models.hybrid import family as hybrid
from videogen.models.joint import family as joint
from videogen.models.kandinsky import family as kandinsky
from videogen.models.magi import family as magi
from videogen.models.mochi import family as mochi
from videogen.models.published import Published
from videogen.models.sound import family as sound

FAMILIES: dict[str, Family] = {
    "cogvideox": cogvideox.FAMILY,
    "cosmos": cosmos.FAMILY,
    "cross": cross.FAMILY,
    "dit": dit.FAMILY,
    "factorised": factorised.FAMILY,
    "hybrid": hybrid.FAMILY,
    "joint": joint.FAMILY,
    "kandinsky": kandinsky.FAMILY,
    "magi": magi.FAMILY,
    "mochi": mochi.FAMILY,
    "sound": sound.FAMILY,
}


def find_published(name: str) -> tuple[str, Published]:
    """(family's name, the published model). ConfigError when it is not known."""
    every = {
        model: (family_name, published)
        for family_name, family in FAMILIES.items()
        for model, published in family.published.items()
    }
    if name not in every:
        raise ConfigError(f"model {name!r} is not published here{suggest(name, every)}")
    return every[name]
