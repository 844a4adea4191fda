"""What the network sees of a frame. No JAX: the process that decodes loads this."""

import av
import numpy as np
from av.video.reformatter import Interpolation, VideoReformatter

HEIGHT, WIDTH = 27, 48


class SmallFrames:
    """Each frame as uint8 (HEIGHT, WIDTH, 3), whatever its aspect (base.Eye)."""

    def __init__(self):
        self._reformatter = VideoReformatter()

    def __call__(self, frame: av.VideoFrame) -> np.ndarray:
        return self._reformatter.reformat(
            frame,
            width=WIDTH,
            height=HEIGHT,
            format="rgb24",
            interpolation=Interpolation.BICUBIC,  # as FFmpeg did for the training
        ).to_ndarray()
