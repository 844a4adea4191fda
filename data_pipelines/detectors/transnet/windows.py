"""A video of any length through a network of a hundred frames, and shots from what it says.

Windows overlap by half, and of each the middle half is used: every frame is judged with 25
or more on both sides. The first and the last frame are repeated where there are none.
"""

from collections.abc import Iterable, Iterator

import numpy as np

WINDOW, STEP, PAD = 100, 50, 25  # frames


def windows(frames: Iterable[np.ndarray]) -> Iterator[tuple[np.ndarray, int]]:
    """(WINDOW frames, how many of the STEP in its middle are of the video), in order."""
    buffer: list[np.ndarray] = []
    for frame in frames:
        buffer += [frame] if buffer else [frame] * (PAD + 1)
        if len(buffer) == WINDOW:
            yield np.stack(buffer), STEP
            del buffer[:STEP]
    left = len(buffer) - PAD  # frames that no window's middle has shown
    while left > 0:
        filled = buffer[:WINDOW] + [buffer[-1]] * (WINDOW - len(buffer))
        yield np.stack(filled), min(left, STEP)
        del buffer[:STEP]
        left -= STEP


def shots_of(chances_T: np.ndarray, threshold: float) -> list[tuple[int, int]]:
    """[first, end) of each shot: it ends with the first frame of a transition.

    The rest of the transition's frames, if it is gradual, are in no shot. Without any
    frame outside of transitions the whole is one shot.
    """
    inside = chances_T > threshold  # of a transition
    before = np.concatenate([[False], inside[:-1]])
    starts = [0, *np.flatnonzero(before & ~inside)]
    ends = [*(np.flatnonzero(~before & inside) + 1), len(inside)]
    if len(inside) and inside[0]:  # it begins within a transition
        starts, ends = starts[1:], ends[1:]
    pairs = list(zip(starts, ends, strict=False))  # none starts in a last transition
    return [(int(a), int(b)) for a, b in pairs] or [(0, len(inside))]
