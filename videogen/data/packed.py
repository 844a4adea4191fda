"""This host's rows of packs (packs.py): clips of many shapes, one after another in a row.

A batch is a dict of numpy arrays, one row per row of the pack:

    tokens_BNP        bfloat16, unnormalised latents cut into patches (nn/patch.py), zeros
                      after the last clip
    grid_BR3          int32, tokens of each of the row's clips in (frames, rows, columns);
                      zeros: no clip. Tokens, texts and grids come in the same order
    text_BLD          float32, the valid tokens of all texts, zeros after the last
    text_segments_BL  int32, whose text a token is of: 1 for the first clip; 0: of none
    fps_BR            float32
    label_BR          int32, -1: none
    id_BR             uint32, crc32 of the clip's id
"""

import dataclasses
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from videogen.core.errors import DataError
from videogen.data.ahead import BUDGET, HostBatch, in_threads
from videogen.data.packs import Packs
from videogen.data.pipeline import (
    ALL_ROWS,
    Conditioning,
    Draw,
    Read,
    Rows,
    as_they_are,
    read_clip,
    texts_of,
)
from videogen.data.source import Clip, Source

Triple = tuple[int, int, int]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """The fixed sizes of a row. text_tokens: of all its texts; longer ones are cut."""

    tokens: int
    clips: int
    text_tokens: int
    patch: Triple


def packed_batches(
    sources: Sequence[Source],
    packs: Packs,
    *,
    patch: Triple,
    conditioning: Conditioning,
    text_tokens: int = 0,
    rows: Rows | Callable[[int], Rows] = ALL_ROWS,
    start_step: int = 0,
    stop_step: int | None = None,
    num_threads: int = 2,
    budget: int = BUDGET,
    read: Read = read_clip,
    draw: Draw = as_they_are,
) -> Iterator[HostBatch]:
    """The batches of steps [start_step, stop_step), as `pipeline.make_batches`.

    text_tokens: room for the texts of a row; 0: for all in full length.
    """
    if tuple(source.bucket for source in sources) != packs.buckets:
        raise DataError("the sources are not the packs' buckets, in their order")
    row = Row(
        tokens=packs.row_tokens,
        clips=packs.row_clips,
        text_tokens=text_tokens or packs.row_clips * len(conditioning.null_text_LD),
        patch=patch,
    )

    def batch(step: int) -> HostBatch:
        wanted = rows(packs.batch_size(step)) if callable(rows) else rows
        index_B = np.arange(packs.batch_size(step))[wanted]
        made = []
        for index, places in zip(index_B, packs.rows(step, wanted), strict=True):
            # All rows have places for as many clips: by these a clip's draws are known.
            place_R = int(index) * row.clips + np.arange(len(places))
            texts_R = conditioning.chosen(step, place_R)
            clips = [
                read(sources[bucket], record, int(text))
                for (bucket, record), text in zip(places, texts_R, strict=True)
            ]
            clips = list(draw(clips, step, place_R))
            dropped_R = conditioning.dropped(step, place_R)
            made.append(_make_row(clips, row, conditioning, dropped_R))
        return {name: np.stack([part[name] for part in made]) for name in made[0]}

    stop = sys.maxsize if stop_step is None else stop_step
    return in_threads(batch, start_step, stop, num_threads=num_threads, budget=budget)


def _make_row(
    clips: Sequence[Clip],
    row: Row,
    conditioning: Conditioning,
    dropped_R: np.ndarray,
) -> HostBatch:
    """One row of a batch, without its dim B."""
    text_LD, segments_L = join_texts(
        texts_of(clips, conditioning, dropped_R), row.text_tokens
    )
    tokens_NP, grid_R3 = join_latents([clip.latent.latent_FHWC for clip in clips], row)
    label_R = np.array([clip.latent.label for clip in clips], np.int32)
    ids = [zlib.crc32(clip.latent.id.encode()) for clip in clips]

    def fill(values: np.ndarray, empty: int) -> np.ndarray:
        room = row.clips - len(values)
        pad = ((0, room),) + ((0, 0),) * (values.ndim - 1)
        return np.pad(values, pad, constant_values=empty)

    return {
        "tokens_BNP": tokens_NP,
        "grid_BR3": fill(grid_R3, 0),
        "text_BLD": text_LD,
        "text_segments_BL": segments_L,
        "fps_BR": fill(np.array([c.latent.fps for c in clips], np.float32), 0),
        "label_BR": fill(np.where(dropped_R, np.int32(-1), label_R), -1),
        "id_BR": fill(np.array(ids, np.uint32), 0),
    }


def join_latents(
    latents: Sequence[np.ndarray], row: Row
) -> tuple[np.ndarray, np.ndarray]:
    """(tokens_NP, grid_R3) of latents (F, H, W, C) that fit into the row."""
    pt, ph, pw = row.patch
    dim = pt * ph * pw * latents[0].shape[-1]
    tokens_NP = np.zeros((row.tokens, dim), latents[0].dtype)
    grids, start = [], 0
    for latent_FHWC in latents:
        frames, height, width, channels = latent_FHWC.shape
        f, h, w = frames // pt, height // ph, width // pw
        cut = latent_FHWC.reshape(f, pt, h, ph, w, pw, channels)
        stop = start + f * h * w
        tokens = tokens_NP[start:stop].reshape(f, h, w, pt, ph, pw, channels)
        tokens[...] = cut.transpose(0, 2, 4, 1, 3, 5, 6)  # straight into the row
        grids.append((f, h, w))
        start = stop
    return tokens_NP, np.array(grids, np.int32)


def join_texts(texts: Sequence[np.ndarray], room: int) -> tuple[np.ndarray, np.ndarray]:
    """(text_LD float32, segments_L) of `room` tokens; the longest are cut if need be."""
    lengths = np.array([len(text_LD) for text_LD in texts])
    longest = _longest_that_fits(lengths, room)
    lengths = np.minimum(lengths, longest)
    text_LD = np.zeros((room, texts[0].shape[1]), np.float32)
    segments_L = np.zeros(room, np.int32)
    starts = np.cumsum(lengths) - lengths
    for index, (text, start, length) in enumerate(
        zip(texts, starts, lengths, strict=True)
    ):
        text_LD[start : start + length] = text[:length]
        segments_L[start : start + length] = index + 1
    return text_LD, segments_L


def _longest_that_fits(lengths: np.ndarray, room: int) -> int:
    """The greatest length that texts may keep, all together within `room`."""
    longest = int(lengths.max(initial=0))
    while np.minimum(lengths, longest).sum() > room:
        longest -= 1
    return longest
