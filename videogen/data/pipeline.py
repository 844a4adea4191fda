"""This host's rows of the plan, as batches: read, drop some texts, pad, stack.

A batch is a dict of numpy arrays, one row per record:

    latent_BFHWC   bfloat16, unnormalised
    text_BLD       float32, zeros where masked
    text_mask_BL   bool
    label_B        int32, -1: none
    fps_B          float32, frames per second of the pixels
    id_B           uint32, crc32 of the clip's id
    weight_B       float32, 0 for padding (validation only)
    audio_BAC      bfloat16, unnormalised; with heard_B bool, of sources with sound
    image_BLX      bfloat16, tokens of the first frame, of sources with images

and of further text encoders, if sources have them: text2_BLX and text2_mask_BL, text3_BLX and
text3_mask_BL, pooled_BX (one vector of a text).
"""

import dataclasses
import itertools
import math
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import numpy as np

from videogen.core.errors import DataError
from videogen.data.ahead import BUDGET, HostBatch, in_threads
from videogen.data.hashing import draw64
from videogen.data.memory import Memory
from videogen.data.plan import Plan
from videogen.data.records import BFLOAT16
from videogen.data.source import Clip, Source

# Of a batch, what a network can be told.
CONDITIONS = ("text_BLD", "text_mask_BL", "label_B", "fps_B")
# What further texts may be; one is pooled, a text of one token.
POOLED = "pooled"
MORE_TEXT = ("text2", "text3", POOLED)

Rows = slice | np.ndarray
# A clip by its source, its index there, the number of its text, and where its latent goes.
Read = Callable[..., Clip]
# A step's clips and their rows in the global batch -> the clips as they enter the batch.
Draw = Callable[[Iterable[Clip], int, np.ndarray], Iterable[Clip]]
Text = tuple[np.ndarray, ...]  # (text_LD, mask_L), or with a leading dim B
ALL_ROWS = slice(None)


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class Conditioning:
    """How conditions enter a batch; its null text gives every text's length and width.

    A clip without a text sidecar gets the null text. A dropped row gets it too, and
    label -1: the unconditional half of classifier-free guidance. Further texts drop with it.

    more: condition -> (null text, mask) of a further text.
    """

    null_text_LD: np.ndarray
    null_mask_L: np.ndarray
    drop_rate: float = 0.0
    seed: int = 0
    shares: tuple[float, ...] = ()  # of the second text of a clip, the third, ...
    more: Mapping[str, Text] = dataclasses.field(default_factory=dict)

    @classmethod
    def of(
        cls,
        null_text_LD: np.ndarray,
        *,
        length: int,
        drop_rate: float,
        seed: int,
        shares: tuple[float, ...] = (),
        more: Mapping[str, Text] | None = None,
    ) -> "Conditioning":
        """From the null caption's valid tokens, padded or cut to `length`."""
        text_LD, mask_L = pad_text(null_text_LD, length)
        return cls(
            null_text_LD=text_LD,
            null_mask_L=mask_L,
            drop_rate=drop_rate,
            seed=seed,
            shares=shares,
            more=more or {},
        )

    def null_of(self, name: str) -> Text:
        """The null text and its mask: of "text", or of a further one."""
        if name == "text":
            return self.null_text_LD, self.null_mask_L
        return self.more[name]

    def null(self) -> dict[str, np.ndarray]:
        """All texts of a dropped row, as a batch names them, without its dim B."""
        names = ("text", *self.more)
        rows = {x: tuple(part[None] for part in self.null_of(x)) for x in names}
        return {x: array[0] for x, array in text_arrays(rows).items()}

    def dropped(self, step: int, row_B: np.ndarray) -> np.ndarray:
        """Which global rows of a step lose their conditions: alike on any host."""
        return self._uniform("text_dropout", step, row_B) < self.drop_rate

    def chosen(self, step: int, row_B: np.ndarray) -> np.ndarray:
        """Which of its texts each global row of a step has: alike on any host."""
        ends = np.cumsum(self.shares)
        uniform_B = self._uniform("text_version", step, row_B)
        # Past the last end is what the others leave to the first.
        place_B = np.searchsorted(ends, uniform_B, side="right")
        return (place_B + 1) % (len(ends) + 1)

    def _uniform(self, stream: str, step: int, row_B: np.ndarray) -> np.ndarray:
        """In [0, 1), a function of (seed, step, row) for each use."""
        bits_B = draw64(stream, self.seed, step, row_B)
        return (bits_B >> np.uint64(11)) * 2.0**-53


def read_clip(
    source: Source, index: int, text: int, into_FHWC: np.ndarray | None = None
) -> Clip:
    """The clip of a row, with its text of that number."""
    return source.clip(index, text, into_FHWC)


def as_they_are(clips: Iterable[Clip], step: int, row_B: np.ndarray) -> Iterable[Clip]:
    """The clips of a step and their rows, unchanged."""
    return clips


def make_batches(
    sources: Sequence[Source],
    plan: Plan,
    *,
    conditioning: Conditioning,
    rows: Rows | Callable[[int], Rows] = ALL_ROWS,
    start_step: int = 0,
    stop_step: int | None = None,
    num_threads: int = 2,
    budget: int = BUDGET,
    read: Read = read_clip,
    draw: Draw = as_they_are,
) -> Iterator[HostBatch]:
    """The batches of steps [start_step, stop_step), in order; endless without a stop.

    Args:
      sources: one per bucket of the plan, in its order.
      plan: which records make each step's batch.
      conditioning: the null text and its rate.
      rows: which rows of the global batch this host needs (device.local_rows), or a
        function of its size.
      start_step: the first step; nothing else needs restoring.
      stop_step: the first step not made.
      num_threads: threads that read.
      budget: bytes of the batches read ahead; one always is.
      read: the clip of a row, with its text of that number (BadRecords.read replaces bad
        ones).
      draw: what becomes of a step's clips and their rows (posterior.Posterior).
    """
    if tuple(source.bucket for source in sources) != plan.buckets:
        raise DataError("the sources are not the plan's buckets, in its order")
    memory = Memory()

    def batch(step: int) -> HostBatch:
        size = plan.batch_size(step)
        row_B = np.arange(size)[rows(size) if callable(rows) else rows]
        bucket, record_B = plan.batch(step)
        texts_B = conditioning.chosen(step, row_B)
        latent_BFHWC, places, clips = _reading(
            sources[bucket], record_B[row_B], texts_B, read, memory
        )
        clips = _placed(draw(clips, step, row_B), places)
        dropped_B = conditioning.dropped(step, row_B)
        return _collate(latent_BFHWC, clips, conditioning, dropped_B)

    stop = sys.maxsize if stop_step is None else stop_step
    growth = plan.growth(start_step)
    return in_threads(
        batch, start_step, stop, num_threads=num_threads, budget=budget, growth=growth
    )


def validation_batches(
    sources: Sequence[Source],
    *,
    batch_size: int,
    conditioning: Conditioning,
    rows: Rows = ALL_ROWS,
    max_records: int | None = None,
    num_threads: int = 2,
    budget: int = BUDGET,
    read: Read = read_clip,
) -> Iterator[HostBatch]:
    """Every record once, in order, bucket by bucket; nothing is dropped.

    The last batch of a bucket repeats its last record with weight_B 0. Of more than
    `max_records` over all buckets, each keeps its first, in proportion to its size.
    """
    row_B = np.arange(batch_size)[rows]
    sizes = _shares([len(source) for source in sources], max_records)
    starts = [
        (source, size, start)
        for source, size in zip(sources, sizes, strict=True)
        for start in range(0, size, batch_size)
    ]
    memory = Memory()

    def batch(index: int) -> HostBatch:
        source, size, start = starts[index]
        record_B = start + row_B
        present_B, text_B = np.minimum(record_B, size - 1), np.zeros_like(record_B)
        latent_BFHWC, places, clips = _reading(source, present_B, text_B, read, memory)
        clips = _placed(clips, places)
        made = _collate(latent_BFHWC, clips, conditioning, np.zeros(len(clips), bool))
        return made | {"weight_B": (record_B < size).astype(np.float32)}

    used = [math.prod(source.bucket.latent_shape) for source, _, _ in starts]
    growth = max(used) / used[0] if used else 1.0
    return in_threads(
        batch, 0, len(starts), num_threads=num_threads, budget=budget, growth=growth
    )


def pad_text(text_LD: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """(text_LD float32, mask_L) of valid tokens, zero-padded or cut to `length`."""
    valid = min(len(text_LD), length)
    padded_LD = np.zeros((length, text_LD.shape[1]), np.float32)
    padded_LD[:valid] = text_LD[:valid]
    return padded_LD, np.arange(length) < valid


def _shares(sizes: Sequence[int], most: int | None) -> list[int]:
    """How many of each to keep, in proportion: `most` in all, or all if there are fewer."""
    total = sum(sizes)
    kept = total if most is None else min(most, total)
    ends = [end * kept // total for end in itertools.accumulate(sizes)]
    return [end - start for start, end in itertools.pairwise([0, *ends])]


def text_arrays(texts: Mapping[str, Text]) -> dict[str, np.ndarray]:
    """Arrays by the names of a batch, of condition -> (text_BLX, mask_BL)."""
    arrays = {}
    for name, (text_BLX, mask_BL) in texts.items():
        if name == POOLED:
            arrays[more_name(name)] = text_BLX[:, 0]
            continue
        arrays["text_BLD" if name == "text" else more_name(name)] = text_BLX
        arrays[f"{name}_mask_BL"] = mask_BL
    return arrays


def more_name(name: str) -> str:
    """What a batch calls a further text."""
    return f"{name}_BX" if name == POOLED else f"{name}_BLX"


def _collate(
    latent_BFHWC: np.ndarray,
    clips: Sequence[Clip],
    conditioning: Conditioning,
    dropped_B: np.ndarray,
) -> HostBatch:
    texts = {}
    for name in ("text", *conditioning.more):
        length = len(conditioning.null_of(name)[0])
        rows = texts_of(clips, conditioning, dropped_B, name)
        padded = [pad_text(text_LD, length) for text_LD in rows]
        text_BLD, mask_BL = (np.stack(x) for x in zip(*padded, strict=True))
        texts[name] = text_BLD, mask_BL
    label_B = np.array([clip.latent.label for clip in clips], np.int32)
    ids = [zlib.crc32(clip.latent.id.encode()) for clip in clips]
    return {
        "latent_BFHWC": latent_BFHWC,
        **text_arrays(texts),
        "label_B": np.where(dropped_B, np.int32(-1), label_B),
        "fps_B": np.array([clip.latent.fps for clip in clips], np.float32),
        "id_B": np.array(ids, np.uint32),
        **_sound(clips),
        **_images(clips),
    }


def _reading(
    source: Source, record_B: np.ndarray, text_B: np.ndarray, read: Read, memory: Memory
) -> tuple[np.ndarray, list[np.ndarray], Iterator[Clip]]:
    """(latent_BFHWC, not yet filled; its rows; the clips, each read into its row)."""
    shape = len(record_B), *source.bucket.latent_shape
    latent_BFHWC = memory.empty(shape, BFLOAT16)
    places = list(latent_BFHWC)
    rows = zip(record_B.tolist(), text_B.tolist(), places, strict=True)
    return latent_BFHWC, places, (read(source, *row) for row in rows)


def _placed(clips: Iterable[Clip], places: Sequence[np.ndarray]) -> list[Clip]:
    """The clips with their latents where they belong, and no variances.

    One record is held at a time: its memory serves the next one, which a fresh piece of as
    many megabytes would not.
    """
    placed = []
    for clip, place_FHWC in zip(clips, places, strict=True):
        latent = clip.latent
        if latent.latent_FHWC is not place_FHWC:  # drawn since
            place_FHWC[...] = latent.latent_FHWC
            latent = dataclasses.replace(latent, latent_FHWC=place_FHWC)
        if latent.logvar_FHWC is not None:
            latent = dataclasses.replace(latent, logvar_FHWC=None)
        placed.append(
            clip if latent is clip.latent else dataclasses.replace(clip, latent=latent)
        )
    return placed


def _sound(clips: Sequence[Clip]) -> HostBatch:
    rows = [clip.audio for clip in clips if clip.audio is not None]
    if not rows:
        return {}
    return {
        "audio_BAC": np.stack([row.audio_AC for row in rows]),
        "heard_B": np.array([row.heard for row in rows]),
    }


def _images(clips: Sequence[Clip]) -> HostBatch:
    rows = [clip.image_LD for clip in clips if clip.image_LD is not None]
    return {"image_BLX": np.stack(rows)} if rows else {}


def texts_of(
    clips: Sequence[Clip],
    conditioning: Conditioning,
    dropped_B: np.ndarray,
    name: str = "text",
) -> list[np.ndarray]:
    """text_LD of each clip, valid tokens only; the null text where it is dropped."""
    whole_LD, mask_L = conditioning.null_of(name)
    null_LD = whole_LD[mask_L]
    texts = []
    for clip, dropped in zip(clips, dropped_B, strict=True):
        text_LD = clip.text_LD if name == "text" else clip.more_text.get(name)
        if dropped or text_LD is None:
            texts.append(null_LD)
            continue
        if text_LD.shape[1] != null_LD.shape[1]:
            raise DataError(
                f"clip {clip.latent.id}: {name} of width {text_LD.shape[1]}, but the "
                f"null text has {null_LD.shape[1]}: of another encoder"
            )
        texts.append(text_LD[: len(whole_LD)])
    return texts
