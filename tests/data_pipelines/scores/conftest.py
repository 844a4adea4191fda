"""Frames of any picture, and a score of a few of them."""

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import VideoReformatter

from data_pipelines.scores.base import Image


def image_of(picture, before=None):
    """Of gray (height, width) or RGB (height, width, 3) uint8."""
    picture = np.asarray(picture, np.uint8)
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return Image(frame, VideoReformatter(), before)


def score_of(scorer, pictures):
    """The summary of the pictures, as one clip."""
    measures, before = [], None
    for picture in pictures:
        image = image_of(picture, before)
        measures.append(scorer.measure(image))
        image.before, before = None, image
    return scorer.summary(measures)


@pytest.fixture(scope="session")
def score():
    return score_of


@pytest.fixture(scope="session")
def moving():
    """(speed, count) -> frames of a smooth picture that moves by so many pixels each."""
    noise = np.random.default_rng(0).integers(0, 256, (144, 400), np.uint8)
    smooth = cv2.GaussianBlur(noise, (9, 9), 0)

    def frames(speed, count=8):
        return [smooth[:, speed * n : speed * n + 256] for n in range(count)]

    return frames
