"""Black bars: the share of the picture that lies outside of what is ever lit."""

from collections.abc import Sequence

import numpy as np

from data_pipelines.scores.base import Image

BLACK = 24  # luma; bars are 16 and a little noise


class Borders:
    """0 without bars; a 4:3 picture between bars in a 16:9 frame has 0.25."""

    every_frame = False

    def measure(self, image: Image) -> tuple[np.ndarray, np.ndarray]:
        """The brightest pixel of each row and of each column."""
        return image.gray.max(axis=1), image.gray.max(axis=0)

    def summary(
        self, measures: Sequence[tuple[np.ndarray, np.ndarray]]
    ) -> dict[str, float]:
        rows, columns = (np.max(lines, axis=0) for lines in zip(*measures, strict=True))
        return {"borders": 1 - _lit(rows) * _lit(columns)}


def _lit(brightest: np.ndarray) -> float:
    """The share from the first lit line to the last."""
    lit = np.flatnonzero(brightest >= BLACK)
    return float(lit[-1] - lit[0] + 1) / len(brightest) if len(lit) else 0.0
