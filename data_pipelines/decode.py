"""Frames of a video by PyAV, each check of damage made here.

Frames come in one sequential pass, and their place in it is their number: clips name
the frames they want, so nothing depends on how well a container can be searched.
"""

import contextlib
from collections.abc import Iterator

import av
import av.container
import numpy as np
from av.error import FFmpegError
from av.video.reformatter import Interpolation, VideoReformatter

from data_pipelines.places import place, source_id
from data_pipelines.quarantine import Reject
from videogen.core.errors import ConfigError

MAX_PIXELS = 8192 * 4320  # of a frame
MAX_FRAMES = 500_000  # of a video: 4.6 hours at 30 frames per second
# Containers round the number of frames they declare; a cut file misses far more.
DECLARED = 0.9


class Video:
    """An open video: its facts, and its frames in one pass."""

    def __init__(self, container: av.container.InputContainer, path: str):
        self._container, self._path = container, path
        self._stream = container.streams.video[0]
        ratio = self._stream.sample_aspect_ratio
        # Width over height of one pixel: 1 unless the container says otherwise.
        self.pixel_aspect = float(ratio) if ratio else 1.0
        self.size = 0  # bytes of video decoded so far, without sound and container

    @property
    def codec(self) -> str:
        return self._stream.codec_context.name

    def frames(self) -> Iterator[av.VideoFrame]:
        """The frames in order. Raises Reject, possibly after some frames."""
        count = 0
        for frame in self._decoded():
            _check_frame(frame, count)
            yield frame
            count += 1
        if not count:
            reason = "the video stream decodes to nothing"
            raise _verdict("ZERO_FRAMES", self._path, reason)
        declared = self._stream.frames
        if count < DECLARED * declared - 1:
            reason = f"{count} frames of {declared} declared"
            raise _verdict("TRUNCATED", self._path, reason)

    def displayed_size(self, frame: av.VideoFrame) -> tuple[int, int]:
        """(height, width) as shown: pixels made square, the rotation undone."""
        height, width = frame.height, round(frame.width * self.pixel_aspect)
        return (width, height) if frame.rotation % 180 == 90 else (height, width)

    def _decoded(self) -> Iterator[av.VideoFrame]:
        self._stream.thread_type = "AUTO"
        try:
            for packet in self._container.demux(self._stream):
                self.size += packet.size
                for frame in packet.decode():
                    assert isinstance(frame, av.VideoFrame)
                    if frame.is_corrupt:
                        raise Reject("DECODE_ERROR", "the decoder reports corruption")
                    yield frame
        except MemoryError:  # FFmpeg's is an FFmpegError too, but no fault of the file
            raise
        except (FFmpegError, OSError, ValueError) as error:
            raise _verdict("DECODE_ERROR", self._path, _reason(error)) from error


@contextlib.contextmanager
def open_video(path: str) -> Iterator[Video]:
    """The first video stream of what lies there. Raises Reject when there is none to read."""
    with contextlib.ExitStack() as stack:
        try:
            readable = stack.enter_context(place(path).opened())
            container = stack.enter_context(av.open(readable, "r"))
        except (MemoryError, ConfigError):  # no fault of the file
            raise
        except (FFmpegError, OSError, ValueError) as error:
            raise _verdict("UNREADABLE", path, _reason(error)) from error
        if not container.streams.video:
            raise Reject("NO_VIDEO_STREAM", "the file opens, but holds no video")
        if container.streams.video[0].codec_context is None:
            raise Reject("UNSUPPORTED_CODEC", "no decoder for the video stream")
        yield Video(container, path)


class CentreCrop:
    """Scales frames to cover height x width, keeping their aspect; crops the centre.

    The aspect is the displayed one: non-square pixels and a rotation (a telephone held
    upright) are undone.
    """

    def __init__(self, height: int, width: int):
        self.height, self.width = height, width
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame, pixel_aspect: float) -> np.ndarray:
        """uint8 (height, width, 3) of a frame whose pixels are so much wider than high."""
        turned = frame.rotation % 180 == 90
        height, width = self.height, self.width
        if turned:
            height, width = width, height
        scale = max(height / frame.height, width / (frame.width * pixel_aspect))
        scaled_height = max(height, round(frame.height * scale))
        scaled_width = max(width, round(frame.width * pixel_aspect * scale))
        scaled = self._reformatter.reformat(
            frame,
            width=scaled_width,
            height=scaled_height,
            format="rgb24",
            interpolation=Interpolation.AREA,
        ).to_ndarray()
        top, left = (scaled_height - height) // 2, (scaled_width - width) // 2
        cropped = scaled[top : top + height, left : left + width]
        return np.ascontiguousarray(np.rot90(cropped, frame.rotation // 90))


def _check_frame(frame: av.VideoFrame, number: int) -> None:
    if frame.width * frame.height > MAX_PIXELS:
        raise Reject("TOO_LARGE", f"{frame.width} x {frame.height} pixels")
    if number == MAX_FRAMES:
        raise Reject("TOO_LARGE", f"more than {MAX_FRAMES} frames")
    if frame.time is None:
        raise Reject("BAD_TIMESTAMPS", f"frame {number} has no time")


def _reason(error: Exception) -> str:
    """The system's words for an error, without the path, which may be long."""
    return getattr(error, "strerror", None) or str(error)


def _verdict(code: str, path: str, reason: str) -> Reject:
    """`code`, unless the system cannot read the file: FFmpeg does not tell them apart."""
    try:
        source_id(path)  # reads all of it
    except Reject as reject:
        return reject
    return Reject(code, reason)
