"""What a captioner sees of clips: a few JPEGs each, decoded from latents or cut from videos."""

import base64
import fractions
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import jax
import numpy as np
from PIL import Image

from data_pipelines.clips import SLACK_S
from data_pipelines.decode import CentreCrop, Video, open_video
from data_pipelines.quarantine import Reject
from data_pipelines.sources import find_sources, source_id
from videogen import tokenizers
from videogen.core.errors import DataError
from videogen.data.records import LatentRow
from videogen.data.source import Dataset
from videogen.tokenizers.base import Tokenizer

LONGEST_SIDE = 768  # of a frame cut from a video, in pixels: what captioners look at
_QUALITY = 90

# Rows in order -> (row, JPEGs in order of time) in the same order.
Frames = Callable[[Iterable[LatentRow]], Iterator[tuple[LatentRow, list[bytes]]]]


def evenly_spaced(count: int, of: int) -> np.ndarray:
    """`count` of `of` indices, the first and the last among them; all if there are fewer."""
    return np.linspace(0, of - 1, min(count, of)).round().astype(int)


def data_url(content: bytes, kind: str) -> str:
    """An address that is the content, of a kind such as "image/jpeg"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def mp4_of(jpegs: Sequence[bytes], seconds: float) -> bytes:
    """The frames as an H.264 film of about so many seconds, of even height and width."""
    file = io.BytesIO()
    rate = fractions.Fraction(len(jpegs) / seconds).limit_denominator(1001)
    images = [Image.open(io.BytesIO(jpeg)) for jpeg in jpegs]
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options={"crf": "18"})
        stream.width, stream.height = (side - side % 2 for side in images[0].size)
        stream.pix_fmt = "yuv420p"
        for image in images:
            cut = image.crop((0, 0, stream.width, stream.height))
            container.mux(stream.encode(av.VideoFrame.from_image(cut)))
        container.mux(stream.encode())
    return file.getvalue()


def frames_of_latents(dataset: Dataset, count: int) -> Frames:
    """Frames that the dataset's own tokenizer decodes: its videos may be gone."""
    info = dataset.info.tokenizer
    tokenizer: Tokenizer = tokenizers.load(
        dataset.directory, name=info.name, file=info.file, fingerprint=info.fingerprint
    )
    decode = jax.jit(tokenizer.decode)

    def frames(rows):
        for row in rows:
            latent_FHWC = row.latent_FHWC.astype(np.float32)
            pixels_THWC = np.asarray(decode(latent_FHWC[None])[0])
            chosen_THWC = pixels_THWC[evenly_spaced(count, len(pixels_THWC))]
            levels = np.rint((np.clip(chosen_THWC, -1, 1) + 1) * 127.5)
            yield row, [_jpeg(image) for image in levels.astype(np.uint8)]

    return frames


def frames_of_videos(folder: str, count: int, otherwise: Frames) -> Frames:
    """Frames of the clips' own videos, finer than latents; `otherwise` where one is gone.

    Videos are known by their bytes, wherever they lie in the folder now.
    """
    paths = _by_id(folder)

    def frames(rows):
        for id, group in itertools.groupby(rows, key=lambda row: row.source_id):
            clips = list(group)
            if id in paths:
                yield from zip(clips, _read(paths[id], clips, count), strict=True)
            else:
                yield from otherwise(clips)

    return frames


def _by_id(folder: str) -> dict[str, str]:
    """{source id: path}; videos that cannot be read are not there."""
    paths = {}
    for source in find_sources(folder):
        try:
            paths[source_id(source.path)] = source.path
        except Reject:
            continue
    return paths


def _read(path: str, clips: Sequence[LatentRow], count: int) -> list[list[bytes]]:
    """JPEGs of each clip, in one pass: of the frames nearest to the clips' own times."""
    jpegs: list[list[bytes]] = [[] for _ in clips]
    wanted = sorted(
        (clip.start_s + int(number) / clip.fps, place)
        for place, clip in enumerate(clips)
        for number in evenly_spaced(count, clip.num_frames)
    )
    try:
        with open_video(path) as video:
            _take(video, clips, wanted, jpegs)
    except Reject as reject:
        raise DataError(
            f"{path}: {reject.reason}, but its clips were read before; leave --videos out "
            "to caption what the latents show"
        ) from reject
    return jpegs


def _take(
    video: Video,
    clips: Sequence[LatentRow],
    wanted: list[tuple[float, int]],
    jpegs: list[list[bytes]],
) -> None:
    """Appends to `jpegs` the frames of `wanted`, (second, place of its clip) in order."""
    first_s, before, crop, at = None, None, None, 0
    for frame in video.frames():
        first_s = frame.time if first_s is None else first_s
        crop = crop or _crop(clips[0], video.displayed_size(frame))
        while at < len(wanted) and wanted[at][0] <= frame.time - first_s + SLACK_S:
            second, place = first_s + wanted[at][0], wanted[at][1]
            nearest = min(before or frame, frame, key=lambda f: abs(f.time - second))
            jpegs[place].append(_jpeg(crop(nearest, video.pixel_aspect)))
            at += 1
        if at == len(wanted):
            return
        before = frame
    raise Reject("TRUNCATED", f"it ends before {wanted[at][0]:.2f} s")


def _crop(clip: LatentRow, displayed: tuple[int, int]) -> CentreCrop:
    """The clip's own crop, as fine as the video has it, within LONGEST_SIDE."""
    finest = min(displayed[0] / clip.height, displayed[1] / clip.width)
    scale = min(finest, LONGEST_SIDE / max(clip.height, clip.width))
    return CentreCrop(round(clip.height * scale), round(clip.width * scale))


def _jpeg(image_HWC: np.ndarray) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image_HWC).save(file, "JPEG", quality=_QUALITY)
    return file.getvalue()
