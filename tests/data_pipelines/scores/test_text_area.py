"""Text over the picture, by OCR where it is installed, refused in one line where not."""

import importlib.util

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from data_pipelines.scores import text_area
from data_pipelines.scores.text_area import TextArea
from data_pipelines.settings import ScoreSettings
from videogen.core.errors import ConfigError

needs_ocr = pytest.mark.skipif(
    importlib.util.find_spec("rapidocr") is None, reason="no rapidocr (extra `ocr`)"
)


class OneBox:
    """Finds one box, twice, in the frames that are lit."""

    def __call__(self, bgr):
        box = np.array([[0, 0], [47, 0], [47, 31], [0, 31]], np.float32)
        self.boxes = [box, box] if bgr.any() else None
        return self


def test_without_ocr_the_cure_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="--text-area.*videogen.ocr."):
        ScoreSettings(text_area=True)


def test_boxes_count_once_and_the_larger_frame_counts(monkeypatch, score):
    monkeypatch.setattr(text_area, "load_detector", OneBox)
    dark, lit = np.zeros((64, 96), np.uint8), np.full((64, 96), 99, np.uint8)
    assert score(TextArea(), [dark] * 8)["text_area"] == 0.0
    titled = score(TextArea(), [dark] * 4 + [lit] * 4)
    assert titled["text_area"] == pytest.approx(0.25)


@needs_ocr
def test_a_title_is_found(score):
    picture = Image.new("RGB", (320, 180), (60, 90, 120))
    plain = np.asarray(picture)
    font = ImageFont.load_default(32)
    ImageDraw.Draw(picture).text((10, 70), "SUBSCRIBE NOW", font=font, fill="white")
    assert score(TextArea(), [plain])["text_area"] == 0.0
    assert 0.05 < score(TextArea(), [np.asarray(picture)])["text_area"] < 0.4
