"""What is diffused together: one array, or a dict of arrays, each a part of the sample.

Data, noise, what a network sees and what it predicts are all one or the other, alike. The
mathematics of a part knows no other part: only the network sees them all.

    {"video": z_BFHWC, "audio": z_BAC}        A audio frames of C channels
"""

from collections.abc import Callable
from typing import Any

import jax

from videogen.core.types import Parts


def each(function: Callable[..., Any], x: Parts, *rest: Any) -> Any:
    """`function` of every part of x; of `rest`, a dict has one for each, else all share it."""
    if not isinstance(x, dict):
        return function(x, *rest)
    return {
        name: function(part, *(r[name] if isinstance(r, dict) else r for r in rest))
        for name, part in x.items()
    }


def batch_size(x: Parts) -> int:
    """B, of any part."""
    return jax.tree.leaves(x)[0].shape[0]


def video_of(x: Parts) -> Any:
    """The part that is seen."""
    return x["video"] if isinstance(x, dict) else x


def with_video(x: Parts, video: Any) -> Any:
    """The same with another part that is seen."""
    return {**x, "video": video} if isinstance(x, dict) else video
