"""What a captioner sees of clips: a few JPEGs each, decoded from latents or cut from videos."""

import base64
import collections
import contextlib
import fractions
import io
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence

import av
import jax
import numpy as np
from PIL import Image

from data_pipelines.captioning.jpegs import Look, jpeg, read_jpegs
from data_pipelines.guard import Guard, Limits
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings
from data_pipelines.sources import paths_by_id
from videogen import tokenizers
from videogen.core import h264
from videogen.core.errors import DataError
from videogen.data.records import LatentRow
from videogen.data.source import Dataset
from videogen.tokenizers.base import Tokenizer

MOST_CLIPS = 256  # of a video, whose frames are held together
LIMITS = Limits(timeout_s=3600.0)  # until the next frame, perhaps late in a long video

# Rows in order -> (row, JPEGs in order of time) in the same order.
Frames = Callable[[Iterable[LatentRow]], Iterator[tuple[LatentRow, list[bytes]]]]


def evenly_spaced(count: int, of: int) -> np.ndarray:
    """`count` of `of` indices, the first and the last among them; all if there are fewer."""
    return np.linspace(0, of - 1, min(count, of)).round().astype(int)


def data_url(content: bytes, kind: str) -> str:
    """An address that is the content, of a kind such as "image/jpeg"."""
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


def mp4_of(jpegs: Sequence[bytes], seconds: float) -> bytes:
    """The frames as an H.264 film of about so many seconds, of even height and width.

    A still image lasts 0: it is shown for one.
    """
    file = io.BytesIO()
    rate = fractions.Fraction(len(jpegs) / (seconds or 1)).limit_denominator(1001)
    images = [Image.open(io.BytesIO(jpeg)) for jpeg in jpegs]
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("libx264", rate=rate, options=h264.OPTIONS)
        stream.width, stream.height = (side - side % 2 for side in images[0].size)
        stream.pix_fmt = "yuv420p"
        for image in images:
            cut = image.crop((0, 0, stream.width, stream.height))
            container.mux(stream.encode(av.VideoFrame.from_image(cut)))
        container.mux(stream.encode())
    return file.getvalue()


def frames_of_latents(dataset: Dataset, count: int) -> Frames:
    """Frames that the dataset's own tokenizer decodes: its videos may be gone."""
    tokenizer: Tokenizer = tokenizers.load(
        dataset.directory, **vars(dataset.info.tokenizer)
    )
    decode = jax.jit(tokenizer.decode)

    def frames(rows):
        for row in rows:
            latent_FHWC = row.latent_FHWC.astype(np.float32)
            pixels_THWC = np.asarray(decode(latent_FHWC[None])[0])
            chosen_THWC = pixels_THWC[evenly_spaced(count, len(pixels_THWC))]
            levels = np.rint((np.clip(chosen_THWC, -1, 1) + 1) * 127.5)
            yield row, [jpeg(image) for image in levels.astype(np.uint8)]

    return frames


def frames_of_videos(videos: IngestSettings, count: int, otherwise: Frames) -> Frames:
    """Frames of the clips' own videos, finer than latents; `otherwise` where one is gone.

    Videos are known by their bytes, wherever they lie now.
    """
    paths = paths_by_id(videos)

    def frames(rows):
        with contextlib.closing(Guard(LIMITS)) as guard:
            for (id, *_), group in itertools.groupby(rows, key=_cut_of):
                while clips := list(itertools.islice(group, MOST_CLIPS)):
                    if id in paths:
                        jpegs = _read(guard, paths[id], clips, count)
                        yield from zip(clips, jpegs, strict=True)
                    else:
                        yield from otherwise(clips)

    return frames


def _cut_of(row: LatentRow) -> tuple[str, int, int]:
    return row.source_id, row.height, row.width


def _read(
    guard: Guard, path: str, clips: Sequence[LatentRow], count: int
) -> list[list[bytes]]:
    """JPEGs of each clip: of the frames nearest to the clips' own times."""
    moments = [
        [
            clip.start_s + int(number) / clip.fps
            for number in evenly_spaced(count, clip.num_frames)
        ]
        for clip in clips
    ]
    try:
        return list(jpegs_at(guard, path, moments, clips[0].height, clips[0].width))
    except Reject as reject:
        raise DataError(
            f"{path}: {reject.reason}, but its clips were read before; leave --videos out "
            "to caption what the latents show"
        ) from reject


def jpegs_at(
    guard: Guard, path: str, moments: Sequence[Sequence[float]], height: int, width: int
) -> Iterator[list[bytes]]:
    """JPEGs of each clip's moments, given as seconds in order, in one pass over the video.

    Clips begin in order of time; a clip is given as soon as it and those before are whole.
    Raises Reject.
    """
    wanted = sorted((s, place) for place, own in enumerate(moments) for s in own)
    seconds = tuple(second for second, _ in wanted)
    look = Look(path=path, seconds=seconds, height=height, width=width)
    found: dict[int, list[bytes]] = collections.defaultdict(list)
    done = 0
    for (_, place), content in zip(wanted, guard.stream(read_jpegs, look), strict=True):
        found[place].append(content)
        while done < len(moments) and len(found[done]) == len(moments[done]):
            yield found.pop(done)
            done += 1
