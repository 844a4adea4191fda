"""Cuts by jumps in colour and brightness: PySceneDetect's ContentDetector.

The detector gets the frames that PyAV decoded, made small, one at a time. It is asked
for every jump above the threshold (no least scene length): a false cut costs a clip at
most, a missed one puts two scenes into one clip.
"""

import av
import scenedetect
from av.video.reformatter import Interpolation, VideoReformatter

WIDTH = 256  # of the frames the detector sees
NOMINAL_FPS = 25.0  # the detector wants one; only frame numbers are used


class ContentDetector:
    """Feed frames in order, then ask for the shots (base.ShotDetector)."""

    def __init__(self, threshold: float):
        self._detector = scenedetect.ContentDetector(
            threshold=threshold, min_scene_len=0
        )
        self._reformatter = VideoReformatter()
        self._count = 0
        self._starts = [0]

    def feed(self, frame: av.VideoFrame) -> None:
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
        if self._detector.process_frame(timecode, image):
            self._starts.append(self._count)
        self._count += 1

    def shots(self) -> list[tuple[int, int]]:
        """[first, end) frame numbers of each shot, which together are all frames."""
        return list(zip(self._starts, [*self._starts[1:], self._count], strict=True))
