"""Bars are measured by their area, and what is lit once is no bar."""

import numpy as np
import pytest

from data_pipelines.scores.borders import Borders


@pytest.mark.parametrize(
    "inner, share",
    [
        (np.s_[:, :], 0.0),
        (np.s_[18:126, :], 0.25),
        (np.s_[:, 32:224], 0.25),
        (np.s_[36:108, 64:192], 0.75),
    ],
)
def test_borders_are_the_area_of_the_bars(score, moving, inner, share):
    pictures = []
    for picture in moving(2):
        barred = np.full_like(picture, 16)
        barred[inner] = np.maximum(picture[inner], 60)
        pictures.append(barred)
    assert score(Borders(), pictures)["borders"] == pytest.approx(share, abs=0.03)


def test_what_is_lit_once_is_no_border(score):
    night = np.zeros((64, 96), np.uint8)
    lit = night.copy()
    lit[::63, ::95] = 255
    assert score(Borders(), [night] * 8)["borders"] == 1.0
    assert score(Borders(), [night] * 7 + [lit])["borders"] == 0.0
