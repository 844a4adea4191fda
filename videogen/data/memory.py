"""Memory of batches, lent again: new memory costs the kernel as much as a copy into it.

What is lent comes back when nothing refers to it any more, no view and no JAX array, which
on the CPU backend may be that memory itself: when NumPy would have freed it. So a batch that
is held keeps its bytes, however long.
"""

import collections
import math
import weakref

import numpy as np

MOST_IDLE = 4  # pieces kept for the next batch
ALIGNMENT = 64  # bytes; so aligned, the CPU backend takes arrays as they are


class Memory:
    """Lends arrays; may be shared by threads. At most `most_idle` pieces wait for use."""

    def __init__(self, most_idle: int = MOST_IDLE):
        self._idle: collections.deque[np.ndarray] = collections.deque(maxlen=most_idle)

    def empty(self, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
        """As np.empty."""
        size = math.prod(shape) * dtype.itemsize
        piece = self._taken(size)
        # NumPy's views refer to the array whose base is no array: to this one.
        lent = np.frombuffer(piece.data, np.uint8)
        weakref.finalize(lent, self._idle.append, piece).atexit = False
        return lent.view(dtype).reshape(shape)

    def _taken(self, size: int) -> np.ndarray:
        """A piece of that size. Of other sizes, those that wait longest make room."""
        for _ in range(len(self._idle)):
            try:
                piece = self._idle.popleft()
            except IndexError:  # another thread has it
                break
            if len(piece) == size:
                return piece
            self._idle.append(piece)
        whole = np.empty(size + ALIGNMENT, np.uint8)
        start = -whole.ctypes.data % ALIGNMENT
        return whole[start : start + size]
