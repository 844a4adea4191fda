"""Text over the picture: the share of its area in boxes that an OCR detector draws.

RapidOCR (PP-OCR, ONNX) finds text, without reading it, at more than a second a frame: so
of two frames only. It is the optional extra `ocr`.
"""

import functools
from collections.abc import Sequence

import cv2
import numpy as np

from data_pipelines.scores.base import Image


class TextArea:
    """0 to 1, the larger of two frames: subtitles come and go."""

    every_frame = False

    def __init__(self):
        self._detect = load_detector()

    def measure(self, image: Image) -> np.ndarray:
        return image.rgb

    def summary(self, measures: Sequence[np.ndarray]) -> dict[str, float]:
        frames = {len(measures) // 4, 3 * len(measures) // 4}
        return {"text_area": max(self._area(measures[n]) for n in sorted(frames))}

    def _area(self, rgb: np.ndarray) -> float:
        found = self._detect(cv2.cvtColor(rgb, cv2.COLOR_RGB2BGR))
        boxes = [] if found.boxes is None else found.boxes
        mask = np.zeros(rgb.shape[:2], np.uint8)  # boxes may overlap
        for box in boxes:
            cv2.fillPoly(mask, [np.rint(box).astype(np.int32)], 1)
        return float(mask.mean())


@functools.lru_cache(maxsize=1)
def load_detector():
    """RapidOCR's detector of text; ScoreSettings has seen that it is installed."""
    from rapidocr import RapidOCR  # type: ignore[import-not-found]

    engine = RapidOCR(params={"Global.log_level": "error"})
    return functools.partial(engine, use_det=True, use_cls=False, use_rec=False)
