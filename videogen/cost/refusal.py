"""What libtpu says when a program does not fit, as figures (forecast.py has the advice)."""

import re
from dataclasses import dataclass

_SIZE = r"([\d.]+)([KMGT])"
_REFUSED = re.compile(
    rf"[Uu]sed {_SIZE} of {_SIZE} hbm|\({_SIZE}\) exceeds available HBM \({_SIZE}\)"
)
_GIB = {"K": 2.0**-20, "M": 2.0**-10, "G": 1.0, "T": 2.0**10}


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """HBM that a program needs on one device, and what the compiler allows; in GiB."""

    needed: float
    allowed: float

    @property
    def excess(self) -> float:
        return self.needed - self.allowed


def parse(message: str) -> Refusal | None:
    """None: the compiler refused for another reason."""
    found = _REFUSED.search(message)
    if found is None:
        return None
    needed, unit, allowed, allowed_unit = (x for x in found.groups() if x)
    return Refusal(
        needed=float(needed) * _GIB[unit], allowed=float(allowed) * _GIB[allowed_unit]
    )
