"""A fingerprint that survives scaling and compression: dHash of a few frames.

A bit says whether a pixel of the frame, made 9 x 8, is brighter than its left neighbour
(Krawetz, Kind of Like That, 2013). Two copies of a clip differ in tens of 512 bits,
unrelated clips in about 240.
"""

from collections.abc import Sequence

import cv2
import numpy as np

from data_pipelines.scores.base import Image

FRAME_BITS = 64


class DHash:
    """The bits of all frames, as hexadecimal digits."""

    every_frame = False

    def measure(self, image: Image) -> bytes:
        small = cv2.resize(image.gray, (9, 8), interpolation=cv2.INTER_AREA)
        return np.packbits(small[:, 1:] > small[:, :-1]).tobytes()

    def summary(self, measures: Sequence[bytes]) -> dict[str, str]:
        return {"dhash": b"".join(measures).hex()}
