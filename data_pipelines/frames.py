"""The frames of the clips of one video, in one pass: frame i is the one nearest to its time.

Frames of a clip are kept until it is whole, and shared by clips that overlap.
"""

from collections.abc import Iterator, Sequence

import av
import numpy as np

from data_pipelines.clips import TIE_S, Clip
from data_pipelines.decode import CentreCrop, Video, open_video
from data_pipelines.places import source_id
from data_pipelines.quarantine import Reject


class Frame:
    """A decoded frame, its place in the source, and its crop once somebody wants it."""

    def __init__(self, frame: av.VideoFrame, number: int, start_s: float, video: Video):
        self._frame, self._video = frame, video
        self.number, self.time_s = number, frame.time - start_s
        self._last: tuple[CentreCrop, np.ndarray] | None = None

    def cropped(self, crop: CentreCrop) -> np.ndarray:
        """The crop, made once where several clips ask for the same one after another."""
        if self._last is None or self._last[0] is not crop:
            self._last = crop, crop(self._frame, self._video.pixel_aspect)
        return self._last[1]


class Taking:
    """A clip that collects its frames as they come."""

    def __init__(self, clip: Clip, num_frames: int, fps: float):
        self.clip = clip
        self._times_s = [clip.start_s + i / fps for i in range(num_frames)]
        self._images: list[np.ndarray] = []

    @property
    def whole(self) -> bool:
        return len(self._images) == len(self._times_s)

    def feed(self, frame: Frame, before: Frame | None, crop: CentreCrop) -> None:
        """Takes this frame, or the one before, for every moment that is nearest to it."""
        if before and before.number < self.clip.first_frame:
            before = None
        is_last = frame.number == self.clip.last_frame
        while not self.whole:
            time_s = self._times_s[len(self._images)]
            if time_s > frame.time_s and not is_last:
                return
            after_s = frame.time_s - time_s
            if before and time_s - before.time_s <= after_s + TIE_S:
                self._images.append(before.cropped(crop))
            else:
                self._images.append(frame.cropped(crop))

    def levels_THWC(self) -> np.ndarray:
        return np.stack(self._images)


def read_source(
    clips: Sequence[Clip], *, size: tuple[int, int, int], fps: float
) -> Iterator[np.ndarray]:
    """levels_THWC uint8 of each clip of one source, in order of time. Raises Reject."""
    path, (num_frames, height, width) = clips[0].path, size
    if source_id(path) != clips[0].source_id:
        raise Reject("UNREADABLE", "other bytes than when it was ingested")
    waiting = [Taking(clip, num_frames, fps) for clip in clips]
    crop = CentreCrop(height, width)
    with open_video(path) as video:
        start_s, before = None, None
        for number, decoded in enumerate(video.frames()):
            start_s = decoded.time if start_s is None else start_s
            frame = Frame(decoded, number, start_s, video)
            for taking in waiting:
                if taking.clip.first_frame > number:
                    break
                taking.feed(frame, before, crop)
            while waiting and waiting[0].whole:
                yield waiting.pop(0).levels_THWC()
            if not waiting:
                return
            before = frame
    raise Reject("TRUNCATED", "fewer frames than when its shots were found")
