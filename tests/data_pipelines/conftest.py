"""Small videos with known cuts, drawn and coded by PyAV."""

import fractions
import pathlib
from collections.abc import Callable, Sequence

import av
import numpy as np
import pytest

BACKGROUNDS = ((200, 40, 40), (30, 160, 60), (40, 60, 210), (220, 220, 60))
WIDTH, HEIGHT = 96, 64


def draw(number: int, scene: int, height: int, width: int) -> np.ndarray:
    """A white square that moves over the scene's background."""
    image = np.empty((height, width, 3), np.uint8)
    image[:] = BACKGROUNDS[scene % len(BACKGROUNDS)]
    left, top = 2 * number % (width - 16), number % (height - 16)
    image[top : top + 16, left : left + 16] = 255
    return image


def write_video(
    path: pathlib.Path,
    scenes: Sequence[int],
    *,
    fps: fractions.Fraction | int = 24,
    height: int = HEIGHT,
    width: int = WIDTH,
    codec: str = "libx264",
    container_options: dict[str, str] | None = None,
) -> pathlib.Path:
    """A video of `scenes[i]` frames of scene i, cut hard from one to the next."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=fps)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        if codec == "libx264":
            stream.options = {"crf": "12"}
        number = 0
        for scene, count in enumerate(scenes):
            for _ in range(count):
                image = draw(number, scene, height, width)
                frame = av.VideoFrame.from_ndarray(image, format="rgb24")
                container.mux(stream.encode(frame))
                number += 1
        container.mux(stream.encode())
    return path


@pytest.fixture(scope="session")
def make_video() -> Callable[..., pathlib.Path]:
    return write_video
