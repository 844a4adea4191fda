"""Several datasets as one: how many clips of each come in a cycle.

A cycle is what a plan repeats. Of one dataset it is an epoch. Of several it is as long as
the epoch of the one whose clips come most rarely; the others come more than once in it, each
bucket as one endless stream of epochs, so within a dataset no clip is ahead of another by
more than one turn.
"""

from collections.abc import Sequence

from videogen.core.errors import ConfigError

Sizes = Sequence[int]  # records of the buckets of one dataset


def cycle_counts(datasets: Sequence[Sizes], shares: Sequence[float]) -> tuple[int, ...]:
    """Clips of every bucket in a cycle, datasets one after another.

    shares: of the clips, for each dataset but the first, which has the rest.
    """
    first = 1 - sum(shares)
    if min(shares, default=1) <= 0 or first <= 0:
        raise ConfigError(
            f"data.mix: shares {tuple(shares)} must be positive and leave some of 1 to "
            "data.path"
        )
    totals = [sum(sizes) for sizes in datasets]
    whole = max(n / w for n, w in zip(totals, (first, *shares), strict=True))
    return tuple(
        max(1, round(whole * share * size / total))
        for sizes, total, share in zip(datasets, totals, (first, *shares), strict=True)
        for size in sizes
    )
