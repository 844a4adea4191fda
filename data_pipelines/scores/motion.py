"""Motion: how much the picture changes from a frame to the next, as VMAF's feature does."""

from collections.abc import Sequence

import cv2
import numpy as np

from data_pipelines.scores.base import Image


class Motion:
    """Mean absolute difference of blurred luma, 0 to 255, averaged over the clip.

    A still card has 0.2 to 0.4, people talking 1 to 3, a camera on the move 6 and more.
    A single frame has none (null).
    """

    every_frame = True

    def measure(self, image: Image) -> float | None:
        """From the frame before, which for a clip's first frame is outside of it."""
        if image.before is None or image.before.gray.shape != image.gray.shape:
            return None
        return float(np.mean(cv2.absdiff(_blurred(image), _blurred(image.before))))

    def summary(self, measures: Sequence[float | None]) -> dict[str, float | None]:
        inside = [value for value in measures[1:] if value is not None]
        return {"motion": float(np.mean(inside)) if inside else None}


def _blurred(image: Image) -> np.ndarray:
    return cv2.GaussianBlur(image.gray.astype(np.float32), (5, 5), 0)
