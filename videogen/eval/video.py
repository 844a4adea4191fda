"""Frames -> mp4 that a browser plays, contact sheets, and files -> frames."""

import os
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps, UnidentifiedImageError

from videogen.core import h264
from videogen.core.errors import DataError

PAPER, INK, GAP = (255, 255, 255), (40, 40, 40), 4
FONT_SIZE, CAPTION_HEIGHT = 13, 20
AAC_FRAME = 1024  # samples
NARROWEST = 240  # a sheet's width in pixels below which captions would be cut


def write_mp4(
    path: Path,
    frames_THWC: np.ndarray,
    *,
    fps: float,
    scale: int = 1,
    sound_S: np.ndarray | None = None,
    sound_rate: int = 0,
) -> None:
    """uint8 RGB frames -> H.264 mp4 (yuv420p); the file appears whole or not at all.

    Each pixel becomes scale x scale; an odd size repeats its last row or column. A sound, in
    [-1, 1], becomes an AAC track from the first frame on. The same frames are the same bytes.
    """
    frames = _even(enlarge(_checked(frames_THWC), scale))
    part = path.with_name(f".{path.name}.part")
    try:
        rate = Fraction(fps).limit_denominator(1001)
        _encode(part, frames, rate, sound_S, sound_rate)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def _encode(
    path: Path,
    frames_THWC: np.ndarray,
    rate: Fraction,
    sound_S: np.ndarray | None,
    sound_rate: int,
) -> None:
    # The index goes before the frames, so that a player starts before it has all.
    options = {"movflags": "+faststart"}
    with av.open(path, "w", format="mp4", options=options) as container:
        stream = container.add_stream("libx264", rate=rate, options=h264.OPTIONS)
        stream.height, stream.width = frames_THWC.shape[1:3]
        stream.pix_fmt = "yuv420p"
        track = None
        if sound_S is not None:  # all streams before the first packet
            track = container.add_stream("aac", rate=sound_rate, layout="mono")
        for frame in frames_THWC:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
        container.mux(stream.encode())
        if track is not None and sound_S is not None:
            for frame in _audio_frames(sound_S, sound_rate):
                container.mux(track.encode(frame))
            container.mux(track.encode())


def _audio_frames(sound_S: np.ndarray, rate: int) -> Iterator[av.AudioFrame]:
    """Of so many samples as AAC codes at once."""
    samples_1S = np.clip(sound_S, -1, 1).astype(np.float32)[None]
    for start in range(0, samples_1S.shape[1], AAC_FRAME):
        block = np.ascontiguousarray(samples_1S[:, start : start + AAC_FRAME])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts = rate, start
        frame.time_base = Fraction(1, rate)
        yield frame


def read_mp4(path: Path) -> tuple[np.ndarray, float]:
    """(frames_THWC uint8 RGB, frames per second) of the first video stream."""
    try:
        with av.open(path) as container:
            stream = container.streams.video[0]
            frames = [
                frame.to_ndarray(format="rgb24") for frame in container.decode(stream)
            ]
            fps = float(stream.average_rate or 0)
    except (av.error.FFmpegError, IndexError) as error:
        raise DataError(f"{path}: not a video that can be read ({error})") from error
    if not frames:
        raise DataError(f"{path}: a video without frames")
    return np.stack(frames), fps


def read_frames(path: Path) -> tuple[np.ndarray, float]:
    """`read_mp4`, or the frame of an image at 0 frames per second. OSError if unreadable."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))[None], 0.0
    except UnidentifiedImageError:
        return read_mp4(path)


def read_sound(path: Path) -> tuple[np.ndarray, int]:
    """(sound_S float32 of the first channel, its rate) of the first audio stream."""
    try:
        with av.open(path) as container:
            stream = container.streams.audio[0]
            blocks = [frame.to_ndarray()[0] for frame in container.decode(stream)]
            return np.concatenate(blocks), stream.rate
    except (av.error.FFmpegError, IndexError) as error:
        raise DataError(f"{path}: no sound that can be read ({error})") from error


def enlarge(frames_THWC: np.ndarray, scale: int) -> np.ndarray:
    """Each pixel becomes scale x scale: small clips can be looked at, unsmoothed."""
    return frames_THWC.repeat(scale, axis=1).repeat(scale, axis=2)


def contact_sheet(
    videos: Sequence[np.ndarray], captions: Sequence[str], *, columns: int = 6
) -> Image.Image:
    """A row of `columns` frames over time for each video_THWC, its caption below."""
    rows = [_row(_checked(video), columns) for video in videos]
    if not rows:
        raise ValueError("contact_sheet needs at least one video")
    width = max(NARROWEST, *(row.width for row in rows)) + 2 * GAP
    height = sum(row.height + CAPTION_HEIGHT + GAP for row in rows) + GAP
    sheet = Image.new("RGB", (width, height), PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(FONT_SIZE)
    top = GAP
    for row, caption in zip(rows, captions, strict=True):
        sheet.paste(row, (GAP, top))
        top += row.height
        draw.text((GAP, top + 2), _fit(caption, width - 2 * GAP, font), INK, font)
        top += CAPTION_HEIGHT + GAP
    return sheet


def _row(frames_THWC: np.ndarray, columns: int) -> Image.Image:
    """Frames evenly over time, first and last included, side by side."""
    last = len(frames_THWC) - 1
    picks = np.unique(np.linspace(0, last, columns).round().astype(int))
    height, width = frames_THWC.shape[1:3]
    row = Image.new("RGB", (len(picks) * (width + GAP) - GAP, height), PAPER)
    for column, pick in enumerate(picks):
        row.paste(Image.fromarray(frames_THWC[pick]), (column * (width + GAP), 0))
    return row


def _fit(text: str, width: int, font) -> str:
    """The text on one line, cut with dots where it would pass `width` pixels."""
    text = " ".join(text.split())
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."


def _even(frames_THWC: np.ndarray) -> np.ndarray:
    """Even height and width, as yuv420p needs: colour has half the resolution."""
    odd = [(0, size % 2) for size in frames_THWC.shape[1:3]]
    return np.pad(frames_THWC, [(0, 0), *odd, (0, 0)], mode="edge")


def _checked(frames_THWC: np.ndarray) -> np.ndarray:
    shape, dtype = frames_THWC.shape, frames_THWC.dtype
    if dtype != np.uint8 or len(shape) != 4 or shape[3] != 3 or 0 in shape:
        raise ValueError(f"frames are {dtype}{list(shape)}, not uint8[T, H, W, 3]")
    return frames_THWC
