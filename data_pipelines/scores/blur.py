"""Sharpness: the variance of the Laplacian (Pech-Pacheco et al., 2000); low is blurred."""

from collections.abc import Sequence

import cv2
import numpy as np

from data_pipelines.scores.base import Image


class Blur:
    """The median over a few frames: one blurred in a pan does not condemn the clip."""

    every_frame = False

    def measure(self, image: Image) -> float:
        return float(cv2.Laplacian(image.gray, cv2.CV_32F).var())

    def summary(self, measures: Sequence[float]) -> dict[str, float]:
        return {"blur": float(np.median(measures))}
