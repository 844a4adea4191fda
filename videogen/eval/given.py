"""Frames that samples are given: files -> latents, where training has them (tasks.py).

task        of a prompt's file
i2v         an image, or a video's first frame, begins the clip
forward     the video's last frames begin it: it goes on, for half the clip or more
backward    the video's first frames end it: what came before
keyframes   the first and the last frame; or two files, first and last

A clip is coded whole, since a latent frame may be of several frames, and of those before
it. What is not given stands still meanwhile; so does an image that fills a latent frame.
"""

from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image, ImageOps

from videogen.core.errors import ConfigError
from videogen.core.types import Array
from videogen.eval.video import read_frames
from videogen.tokenizers.base import Tokenizer, normalise, num_frames

Size = tuple[int, int, int]  # (frames, height, width), of latents or of pixels


def given_frames(
    task: str,
    prompts: Sequence[tuple[str, ...]],
    *,
    strides: Size,
    size: Size,
    patch_frames: int,
    fps: float,
) -> tuple[np.ndarray, np.ndarray]:
    """(frames_BTHWC uint8, given_BF bool) of each prompt's files: clips, as a dataset has them.

    Args:
      task: a name of tasks.NAMES that gives frames.
      prompts: the files of each, by `files_of`.
      strides: of the dataset's tokenizer.
      size: of the latent.
      patch_frames: latent frames of a token, which are given together.
      fps: of the dataset's clips; a video of another rate is resampled.
    """
    height, width = size[1] * strides[1], size[2] * strides[2]
    placed = [
        place(
            task,
            [fit(*read(file), fps, height, width) for file in files],
            num_latents=size[0],
            stride=strides[0],
            patch_frames=patch_frames,
        )
        for files in prompts
    ]
    frames_BTHWC, given_BF = (np.stack(x) for x in zip(*placed, strict=True))
    return frames_BTHWC, given_BF


def given_latents(frames_BTHWC: np.ndarray, tokenizer: Tokenizer) -> Array:
    """z_BFHWC, normalised, of such clips, by the dataset's tokenizer."""
    pixels_BTHWC = frames_BTHWC / np.float32(127.5) - 1
    # A dataset holds latents in bfloat16.
    latent_BFHWC = jax.jit(tokenizer.encode)(pixels_BTHWC).astype(jnp.bfloat16)
    return normalise(latent_BFHWC, tokenizer.mean_C, tokenizer.std_C)


def files_of(task: str, given: Sequence[str], count: int) -> list[tuple[str, ...]]:
    """The files of each of `count` prompts, or ConfigError."""
    each = len(given) // count
    if each * count != len(given) or each not in (
        (1, 2) if task == "keyframes" else (1,)
    ):
        two = f", or {2 * count}, each prompt's first and last" * (task == "keyframes")
        raise ConfigError(
            f"config.sample.given has {len(given)} files for {count} prompts; sample.task="
            f"{task!r} takes {count}{two}"
        )
    return [tuple(given[i : i + each]) for i in range(0, len(given), each)]


def read(file: str) -> tuple[np.ndarray, float]:
    """`read_frames`, or ConfigError for a file that is not there or damaged."""
    try:
        return read_frames(Path(file))
    except OSError as error:
        raise ConfigError(
            f"config.sample.given: {file}: {error.strerror or error}; an image or a video "
            "would work"
        ) from error


def fit(
    frames_THWC: np.ndarray, own_fps: float, fps: float, height: int, width: int
) -> np.ndarray:
    """Scaled to cover height x width, the centre cropped, at `fps` (own_fps 0: an image)."""
    if own_fps and own_fps != fps:
        seconds = len(frames_THWC) / own_fps
        places = np.arange(max(1, round(seconds * fps))) * own_fps / fps
        nearest = np.minimum(np.rint(places).astype(int), len(frames_THWC) - 1)
        frames_THWC = frames_THWC[nearest]
    smooth = Image.Resampling.HAMMING  # near the mean of an area, which datasets hold
    images = map(Image.fromarray, frames_THWC)
    return np.stack(
        [np.asarray(ImageOps.fit(x, (width, height), smooth)) for x in images]
    )


def place(
    task: str,
    clips: Sequence[np.ndarray],
    *,
    num_latents: int,
    stride: int,
    patch_frames: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(frames_THWC of a whole clip, given_F of its latent frames)."""
    num_tokens = num_latents // patch_frames
    if num_tokens < 2:
        raise ConfigError(
            f"config.sample.task={task!r}: clips of one frame, as the dataset's, are given "
            "nothing"
        )
    first, last = clips[0], clips[-1]
    group = stride * patch_frames  # frames of a token, but of the first
    start = num_frames(patch_frames, (stride, 1, 1))  # of the first
    most = max(1, num_tokens // 2)
    head, tail = {
        "i2v": (1, 0),
        "forward": (min(max(1, 1 + (len(first) - start) // group), most), 0),
        "backward": (0, min(max(1, len(first) // group), most)),
        "keyframes": (1, 1),
    }[task]
    length = start + group * (num_tokens - 1)
    size = start + group * (head - 1)
    frames = first[-size:] if task == "forward" else first[:size]
    if tail:
        if task == "keyframes":
            end = hold(last[-group:], group, before=True)
        else:
            end = hold(first[: group * tail], group * tail)
        begin = frames if head else end[:1]
        frames = np.concatenate([hold(begin, length - len(end)), end])
    token = np.arange(num_tokens)
    given = (token < head) | (token >= num_tokens - tail)
    return hold(frames, length), np.repeat(given, patch_frames)


def hold(frames_THWC: np.ndarray, length: int, *, before: bool = False) -> np.ndarray:
    """So many frames: the last one stays, or the first one waits."""
    missing = length - len(frames_THWC)
    pad = (missing, 0) if before else (0, missing)
    return np.pad(frames_THWC, [pad, *[(0, 0)] * 3], mode="edge")
