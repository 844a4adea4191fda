"""The layout of a latent dataset on disk, versioned: what `data_pipelines` writes, we read.

    <dataset>/
      dataset.json                                   DatasetInfo; written last of all
      tokenizer-<fingerprint8>.safetensors           what decodes the latents
      null_text-<version>.safetensors                embedding of "": a dropped text's
      <bucket>/                                      one latent shape, e.g. f5_h8_w14
        manifest.json                                Manifest; written last in its bucket
        dataset_info.json features.json              for TFDS (tfds_layout.py), also in
        <sidecar>/                                   a directory per sidecar; may be absent
        latents-<split>.array_record-00000-of-00004
        captions-<version>-<split>.array_record-00000-of-00004
        text-<version>-<split>.array_record-00000-of-00004
        audio-<version>-<split>.array_record-00000-of-00004   (of sound)
        image-<version>-<split>.array_record-00000-of-00004   (of first frames)

Row i of shard k of a sidecar (captions, text, audio, image) belongs to row i of shard k of the
latents; their `id` fields say so. Recaptioning adds a sidecar version; it never rewrites
latents.
Shards are ArrayRecord files with `group_size:1,uncompressed`; a record is a serialised
tf.train.Example (see example.py), so that other readers can use them.

    latents   id, source_id: bytes | latent: bytes (bfloat16, little endian, C order)
              latent/shape: int64[4] (F, H, W, C) | fps, start_s: float
              num_frames, height, width: int64 (pixels) | label: int64 (-1: none)
              perhaps logvar: bytes, as latent; the latent is then a posterior's mean
    captions  id: bytes | caption: bytes (UTF-8, "" when null) | is_null: int64
              of `caption`'s versions also model, kind: bytes | reason: bytes (why null)
    text      id: bytes | text: bytes (bfloat16 [l, D], only the l valid tokens)
              text/shape: int64[2]
    audio     id: bytes | audio: bytes (bfloat16 [A, C], unnormalised)
              audio/shape: int64[2] | heard: int64 (0: no sound, the latent is zeros)
    image     id: bytes | image: bytes (bfloat16 [L, D], tokens of the clip's first frame)
              image/shape: int64[2]
"""

import dataclasses

SCHEMA_VERSION = 2
SPLITS = ("train", "validation")
WRITER_OPTIONS = "group_size:1,uncompressed"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardInfo:
    """One file of a shard set: `file` is relative to the bucket directory."""

    file: str
    records: int
    size: int  # bytes
    crc32: int  # of the whole file


@dataclasses.dataclass(frozen=True, kw_only=True)
class SplitInfo:
    """The shards of one split, in plan order; sidecars keyed "captions-v1", "text-v1"."""

    records: int
    ids_sha256: str  # of the ordered clip ids: enters the plan's key
    latents: tuple[ShardInfo, ...]
    sidecars: dict[str, tuple[ShardInfo, ...]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Manifest:
    """One bucket: clips of one latent shape."""

    schema: int
    latent_shape: tuple[int, int, int, int]  # (F, H, W, C)
    fps: float
    num_frames: int  # pixels: T, height, width
    height: int
    width: int
    splits: dict[str, SplitInfo]
    # Whether latents have log variances. Not in the file where they have none.
    logvar: bool = dataclasses.field(default_factory=bool)


@dataclasses.dataclass(frozen=True, kw_only=True)
class TokenizerInfo:
    """Which tokenizer made the latents, and the constants that normalise them."""

    name: str
    fingerprint: str
    file: str  # relative to the dataset directory
    strides: tuple[int, int, int]
    channels: int
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class TextInfo:
    """Which encoder made a text sidecar and its null text."""

    name: str
    fingerprint: str
    length: int
    dim: int
    null_crc32: int  # of the whole null text file
    # The caption version that is embedded, where it has another name.
    captions: str = dataclasses.field(default_factory=str)


@dataclasses.dataclass(frozen=True, kw_only=True)
class AudioInfo:
    """Which tokenizer made an audio sidecar, and the constants that normalise it."""

    name: str
    fingerprint: str
    rate: int  # samples a second, mono
    channels: int  # of one audio frame; also the samples from one to the next
    mean: tuple[float, ...]
    std: tuple[float, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageInfo:
    """Which encoder made an image sidecar."""

    name: str
    fingerprint: str
    length: int  # tokens of an image
    dim: int


@dataclasses.dataclass(frozen=True, kw_only=True)
class CaptionInfo:
    """What wrote a version of the captions."""

    model: str
    kind: str  # of caption: "dense", "short", ...
    origin: str  # sha256 of the instructions, or of the file of captions
    nulls: dict[str, int]  # why captions are null -> how many


@dataclasses.dataclass(frozen=True, kw_only=True)
class DatasetInfo:
    """The dataset: its buckets, its tokenizer, the versions of its sidecars."""

    schema: int
    name: str
    tokenizer: TokenizerInfo
    text: dict[str, TextInfo]  # {"v1": ...}: text sidecar version -> encoder
    captions: tuple[str, ...]  # caption sidecar versions
    buckets: tuple[str, ...]  # directories with a manifest.json
    counts: dict[str, int]  # videos, clips, null_captions, quarantined, ...
    encode: dict[str, object]  # the arguments that made it, for the record
    # Audio sidecar version -> tokenizer. Not in the file of a dataset without sound.
    audio: dict[str, AudioInfo] = dataclasses.field(default_factory=dict)
    # Caption version -> what wrote it; not of those that came with the latents.
    captioners: dict[str, CaptionInfo] = dataclasses.field(default_factory=dict)
    # Image sidecar version -> encoder. Not in the file of a dataset without any.
    image: dict[str, ImageInfo] = dataclasses.field(default_factory=dict)

    def captions_of(self, text: str) -> str:
        """The captions that a text version embeds; "" of files that do not say."""
        own = text if text in self.captions else ""
        return self.text[text].captions or own
