"""What every shot detector offers."""

from typing import Protocol

import av


class ShotDetector(Protocol):
    """Feed the frames of one video in order, then ask once for its shots."""

    def feed(self, frame: av.VideoFrame) -> None: ...

    def shots(self) -> list[tuple[int, int]]:
        """[first, end) frame numbers of each shot, which together are all frames."""
        ...
