"""Brightness: mean luma, and the shares of pixels that are nearly black or nearly white."""

from collections.abc import Sequence

import numpy as np

from data_pipelines.scores.base import Image

BLACK, WHITE = 16, 240


class Luma:
    """luma 0 to 255; dark and bright are shares of the pixels, 0 to 1."""

    every_frame = False

    def measure(self, image: Image) -> tuple[float, float, float]:
        gray = image.gray
        dark, bright = (gray < BLACK).mean(), (gray > WHITE).mean()
        return float(gray.mean()), float(dark), float(bright)

    def summary(
        self, measures: Sequence[tuple[float, float, float]]
    ) -> dict[str, float]:
        means = np.mean(measures, axis=0)
        return dict(zip(("luma", "dark", "bright"), map(float, means), strict=True))
