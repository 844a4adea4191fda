"""Images in a container are the images: every pixel, in order, at its time."""

import io

import av
import numpy as np
import pytest
from PIL import Image

from data_pipelines.film import film


def coded(image, kind):
    file = io.BytesIO()
    Image.fromarray(image).save(file, kind)
    return file.getvalue()


def decoded(file):
    with av.open(file, "r") as container:
        return [
            (f.time, f.to_ndarray(format="rgb24")) for f in container.decode(video=0)
        ]


@pytest.mark.parametrize("fps", [24, 29.97, 0.5])
@pytest.mark.parametrize(("kind", "depth"), [("PNG", [3]), ("PNG", []), ("JPEG", [3])])
def test_images_come_back(kind, depth, fps):
    images = np.random.default_rng(0).integers(0, 256, (12, 6, 8, *depth), np.uint8)
    contents = [coded(image, kind) for image in images]
    frames = decoded(film(contents, fps))
    assert len(frames) == len(contents)
    for number, ((time_s, frame), content) in enumerate(
        zip(frames, contents, strict=True)
    ):
        ((_, alone),) = decoded(io.BytesIO(content))
        assert time_s == pytest.approx(number / fps, rel=1e-3)
        assert np.array_equal(frame, alone)
        if kind == "PNG":
            assert np.array_equal(
                frame, np.broadcast_to(images[number].reshape(6, 8, -1), frame.shape)
            )


def test_the_same_images_are_the_same_bytes():
    contents = [coded(np.full((6, 8, 3), n, np.uint8), "PNG") for n in range(3)]
    assert film(contents, 25).getvalue() == film(contents, 25).getvalue()


def test_what_is_no_png_or_jpeg_is_refused():
    webp = coded(np.zeros((6, 8, 3), np.uint8), "WEBP")
    with pytest.raises(ValueError, match="does not support"):
        film([webp, webp], 25)
