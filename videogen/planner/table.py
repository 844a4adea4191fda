"""Ranked layouts for people."""

from collections.abc import Sequence

from videogen.planner.verify import Choice, verified_gib, verified_seconds

HEADER = ["mesh", "remat", "parts", "step ms", "MFU", "peak GiB", "compiled ms", "GiB"]


def describe(found: Sequence[Choice], shown: int) -> str:
    """The first so many, a line each."""
    rows = [HEADER, *(row(choice) for choice in found[:shown])]
    widths = [max(len(row[i]) for row in rows) for i in range(len(HEADER))]
    left = [f"total: {len(found)} layouts fit"] if len(found) > shown else []
    lines = [
        "  ".join(
            cell.ljust(width) if i < 2 else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in rows
    ]
    return "\n".join([*lines, *left])


def row(choice: Choice) -> list[str]:
    found = choice.estimate
    sizes = found.layout.axes.items()
    mesh = " ".join(f"{axis}={size}" for axis, size in sizes if size > 1)
    return [
        mesh or "one device",
        found.layout.remat,
        str(found.layout.microbatches),
        f"{1e3 * found.step_seconds:,.0f}",
        f"{found.mfu:.1%}",
        f"{found.peak_gib:.2f}",
        verified_seconds(choice),
        verified_gib(choice),
    ]
