"""JPEGs of a video's frames at given seconds. No JAX: a guarded process loads this."""

import dataclasses
import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

from data_pipelines.clips import SLACK_S
from data_pipelines.decode import CentreCrop, open_video
from data_pipelines.quarantine import Reject

LONGEST_SIDE = 768  # of a frame cut from a video, in pixels: what captioners look at
_QUALITY = 90


@dataclasses.dataclass(frozen=True, kw_only=True)
class Look:
    """At a video, where its clips were cut: frames of height : width from its centre."""

    path: str
    seconds: tuple[float, ...]  # since the first frame, in order
    height: int
    width: int


def read_jpegs(look: Look) -> Iterator[bytes]:
    """Of the frame nearest to each second, in one pass. Raises Reject."""
    first_s, before, crop, at = None, None, None, 0
    with open_video(look.path) as video:
        for frame in video.frames():
            first_s = frame.time if first_s is None else first_s
            crop = crop or _crop(look, video.displayed_size(frame))
            passed_s = frame.time - first_s + SLACK_S
            while at < len(look.seconds) and look.seconds[at] <= passed_s:
                second = first_s + look.seconds[at]
                nearest = min(
                    before or frame, frame, key=lambda f: abs(f.time - second)
                )
                yield jpeg(crop(nearest, video.pixel_aspect))
                at += 1
            if at == len(look.seconds):
                return
            before = frame
    raise Reject("TRUNCATED", f"it ends before {look.seconds[at]:.2f} s")


def jpeg(image_HWC: np.ndarray) -> bytes:
    """Of uint8 pixels."""
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()


def _crop(look: Look, displayed: tuple[int, int]) -> CentreCrop:
    """The clips' own crop, as fine as the video has it, within LONGEST_SIDE."""
    finest = min(displayed[0] / look.height, displayed[1] / look.width)
    scale = min(finest, LONGEST_SIDE / max(look.height, look.width))
    return CentreCrop(round(look.height * scale), round(look.width * scale))
