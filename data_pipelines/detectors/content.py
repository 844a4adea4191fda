"""Cuts by jumps in colour and brightness: PySceneDetect's ContentDetector.

The detector gets the frames that PyAV decoded, made small, one at a time. It is asked
for every jump above the threshold (no least scene length): a false cut costs a clip at
most, a missed one puts two scenes into one clip.
"""

from collections.abc import Iterable

import av
import numpy as np
import scenedetect
from av.video.reformatter import Interpolation, VideoReformatter

WIDTH = 256  # of the frames the detector sees
NOMINAL_FPS = 25.0  # the detector wants one; only frame numbers are used


class Jumps:
    """Whether a frame is unlike the one before (base.Eye)."""

    def __init__(self, threshold: float):
        self._detector = scenedetect.ContentDetector(
            threshold=threshold, min_scene_len=0
        )
        self._reformatter = VideoReformatter()
        self._count = 0

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        width = min(WIDTH, frame.width)
        height = max(1, round(frame.height * width / frame.width))
        image = self._reformatter.reformat(
            frame,
            width=width,
            height=height,
            format="bgr24",
            interpolation=Interpolation.AREA,
        ).to_ndarray()
        timecode = scenedetect.FrameTimecode(self._count, NOMINAL_FPS)
        self._count += 1
        return np.array(bool(self._detector.process_frame(timecode, image)))


def shots_between(kept: Iterable[np.ndarray]) -> list[tuple[int, int]]:
    """Shots that are all frames together; `kept` is of Jumps (base.Judge)."""
    jumps_T = np.stack(list(kept))
    starts = [0, *map(int, np.flatnonzero(jumps_T))]
    return list(zip(starts, [*starts[1:], len(jumps_T)], strict=True))
