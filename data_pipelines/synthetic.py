"""A small complete dataset of coloured waves, written in seconds: for tests and debugging.

A clip is a plane wave of one of four colours that moves in one of four directions; its
caption says which ("red waves moving left"), its label counts the sixteen kinds. So a
model that ignores its conditions shows.
"""

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence

import jax
import numpy as np

from data_pipelines.facts import text_facts, tokenizer_facts
from data_pipelines.moments import Moments
from data_pipelines.text import embed
from videogen.core.types import Array
from videogen.data import records
from videogen.data.null_text import write_null_text
from videogen.data.schema import (
    SCHEMA_VERSION,
    DatasetInfo,
    Manifest,
    ShardInfo,
    SplitInfo,
    TokenizerInfo,
)
from videogen.data.writer import (
    ids_sha256,
    shard_name,
    write_dataset,
    write_manifest,
    write_shard,
)
from videogen.text.base import TextEncoder
from videogen.text.hashed import HashedWords
from videogen.tokenizers.base import num_frames
from videogen.tokenizers.linear import STRIDES, Fitter, LinearTokenizer

Shape = tuple[int, int, int, int]

FPS = 8.0
VERSION = "v1"  # of captions and text
COLOURS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "grey": (1, 1, 1)}
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}  # y, x
_KINDS = [(colour, direction) for colour in COLOURS for direction in DIRECTIONS]
_ROW_KINDS = ("latents", f"captions-{VERSION}", f"text-{VERSION}")
_FIT_CLIPS = 32  # the tokenizer's share; all sixteen kinds are among them


def write_synthetic(
    directory: str | os.PathLike[str],
    *,
    num_records: int,
    latent_shape: Shape,
    seed: int = 0,
    text_length: int = 16,
    text_dim: int = 384,
    text_encoder: TextEncoder | None = None,
    num_validation: int = 8,
    num_shards: int = 2,
    more_shapes: Sequence[Shape] = (),
) -> None:
    """Writes a dataset of `num_records` train clips for each latent shape (F, H, W, C).

    Text comes from `text_encoder`, or else from HashedWords(text_length, text_dim).
    """
    directory = pathlib.Path(directory)
    encoder = text_encoder or HashedWords(text_length, text_dim)
    shapes = (latent_shape, *more_shapes)
    tokenizer = _fit(shapes, seed)
    train = range(num_records)
    splits = {
        "train": train,
        "validation": range(len(train), len(train) + num_validation),
    }
    for shape in shapes:
        writing = _BucketWriter(
            directory=directory / _bucket_name(shape),
            shape=shape,
            seed=seed,
            num_shards=num_shards,
            encode=jax.jit(tokenizer.encode),
            encoder=encoder,
        )
        writing.write(splits)
    null_crc32 = write_null_text(directory, VERSION, embed(encoder, [""])[0])
    info = DatasetInfo(
        schema=SCHEMA_VERSION,
        name="synthetic",
        tokenizer=_tokenizer_info(tokenizer, directory, shapes, seed),
        text={VERSION: text_facts(encoder, null_crc32)},
        captions=(VERSION,),
        buckets=tuple(map(_bucket_name, shapes)),
        counts={"clips": len(shapes) * (num_records + num_validation)},
        encode={"seed": seed},
    )
    write_dataset(directory, info)


def wave_clip(shape: Shape, seed: int, index: int) -> tuple[np.ndarray, str, int]:
    """(pixels_THWC float32 in [-1, 1] at 8-bit levels, caption, label)."""
    random = np.random.default_rng((seed, index))
    label = index % len(_KINDS)
    colour, direction = _KINDS[label]
    frames = num_frames(shape[0], STRIDES)
    time, y, x = np.ogrid[:frames, : shape[1] * STRIDES[1], : shape[2] * STRIDES[2]]
    towards_y, towards_x = DIRECTIONS[direction]
    length, speed, phase = random.uniform((16, 1, 0), (48, 3, 2 * np.pi))
    along = towards_y * y + towards_x * x - speed * time
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * along / length + phase)
    levels = np.rint(255 * wave[..., None] * np.array(COLOURS[colour]))
    pixels_THWC = (levels / 127.5 - 1).astype(np.float32)
    return pixels_THWC, f"{colour} waves moving {direction}", label


@dataclasses.dataclass(frozen=True, kw_only=True)
class _BucketWriter:
    """What all shards of one bucket are written with."""

    directory: pathlib.Path
    shape: Shape
    seed: int
    num_shards: int
    encode: Callable[[np.ndarray], Array]
    encoder: TextEncoder

    def write(self, splits: dict[str, range]) -> None:
        """Every split's shards, then the manifest."""
        frames, height, width = wave_clip(self.shape, self.seed, 0)[0].shape[:3]
        manifest = Manifest(
            schema=SCHEMA_VERSION,
            latent_shape=self.shape,
            fps=FPS,
            num_frames=frames,
            height=height,
            width=width,
            splits={name: self._split(name, of) for name, of in splits.items()},
        )
        write_manifest(self.directory, manifest)

    def _split(self, split: str, indices: range) -> SplitInfo:
        count = min(self.num_shards, len(indices))
        cuts = [len(indices) * shard // max(count, 1) for shard in range(count + 1)]
        files: dict[str, list[ShardInfo]] = {kind: [] for kind in _ROW_KINDS}
        for shard in range(count):
            part = indices[cuts[shard] : cuts[shard + 1]]
            rows = [self._rows(index) for index in part]
            for kind, shards in files.items():
                path = self.directory / shard_name(kind, split, shard, count)
                shards.append(write_shard(path, [row[kind] for row in rows]))
        return SplitInfo(
            records=len(indices),
            ids_sha256=ids_sha256(self._id(index) for index in indices),
            latents=tuple(files.pop("latents")),
            sidecars={kind: tuple(shards) for kind, shards in files.items()},
        )

    def _rows(self, index: int) -> dict[str, bytes]:
        """The record of each kind, of one clip."""
        pixels_THWC, caption, label = wave_clip(self.shape, self.seed, index)
        frames, height, width = pixels_THWC.shape[:3]
        id = self._id(index)
        latent = records.latent_record(
            id=id,
            source_id="synthetic",
            latent_FHWC=np.asarray(self.encode(pixels_THWC[None])[0]),
            fps=FPS,
            start_s=0.0,
            num_frames=frames,
            height=height,
            width=width,
            label=label,
        )
        text = records.text_record(id=id, text_LD=embed(self.encoder, [caption])[0])
        rows = latent, records.caption_record(id=id, caption=caption), text
        return dict(zip(_ROW_KINDS, rows, strict=True))

    def _id(self, index: int) -> str:
        return f"{self.directory.name}-{index:06d}"


def _bucket_name(shape: Shape) -> str:
    return f"f{shape[0]}_h{shape[1]}_w{shape[2]}"


def _fit(shapes: Sequence[Shape], seed: int) -> LinearTokenizer:
    fitter = Fitter()
    for shape in shapes:
        for index in range(_FIT_CLIPS):
            pixels_THWC, _, _ = wave_clip(shape, seed, index)
            fitter.update(np.rint((pixels_THWC[None] + 1) * 127.5).astype(np.uint8))
    return fitter.finish(shapes[0][3])


def _tokenizer_info(
    tokenizer: LinearTokenizer,
    directory: pathlib.Path,
    shapes: Sequence[Shape],
    seed: int,
) -> TokenizerInfo:
    """With constants measured over the clips it was fitted on."""
    encode = jax.jit(tokenizer.encode)
    clips = [
        wave_clip(s, seed, index)[0] for s in shapes for index in range(_FIT_CLIPS)
    ]
    moments = Moments.empty(tokenizer.channels)
    for clip in clips:
        moments.add(np.asarray(encode(clip[None])[0]))
    return tokenizer_facts(tokenizer, directory, moments)
