"""One shard of a dataset: decode, tokenise, embed the captions, write a file of each."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import jax
import numpy as np

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.guard import Limits
from data_pipelines.moments import Moments
from data_pipelines.pixels import hear_clips, read_levels
from data_pipelines.plan import Shard
from data_pipelines.text import embed, load_text_encoder
from data_pipelines.units import read_part, write_part
from videogen.data import records
from videogen.data.schema import ShardInfo
from videogen.data.writer import shard_name, write_shard
from videogen.tokenizers import KINDS
from videogen.tokenizers.base import LevelsTokenizer
from videogen.tokenizers.levels import pixels_of
from videogen.tokenizers.mdct import Mdct

LATENTS, CAPTIONS, TEXT, IMAGE = "latents", "captions-", "text-", "image-"
AUDIO = "audio-v1"


def version(number: int) -> str:
    """Of the captions and of their embeddings: v1, ... from 0 on."""
    return f"v{number + 1}"


@dataclasses.dataclass(frozen=True, kw_only=True)
class ShardResult:
    """The files of one shard by kind, the moments of its latents and of what is heard."""

    bucket: str
    split: str
    files: dict[str, ShardInfo]
    moments: Moments
    audio_moments: Moments | None = None  # None: without sound

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> "ShardResult":
        audio = data["audio_moments"]
        return cls(
            bucket=data["bucket"],
            split=data["split"],
            files={kind: ShardInfo(**info) for kind, info in data["files"].items()},
            moments=Moments.from_json(data["moments"]),
            audio_moments=audio and Moments.from_json(audio),
        )

    def to_json(self) -> dict[str, Any]:
        audio = self.audio_moments and self.audio_moments.to_json()
        moments = {"moments": self.moments.to_json(), "audio_moments": audio}
        return dataclasses.asdict(self) | moments


def finished_shard(
    parts: pathlib.Path, number: int, folder: pathlib.Path
) -> ShardResult | None:
    """The result of a shard whose files are there."""
    if (part := read_part(parts, number, 1)) is None:
        return None
    result = ShardResult.from_json(part[0])
    for file in result.files.values():
        path = folder / file.file
        if not path.is_file() or path.stat().st_size != file.size:
            return None
    return result


class ShardEncoder:
    """Writes shards; made once per worker, since compiling and loading cost seconds."""

    def __init__(
        self,
        out: pathlib.Path,
        parts: pathlib.Path,
        settings: EncodeSettings,
        tokenizer_file: str,
        limits: Limits,
    ):
        self._out, self._parts = out, parts
        self._settings, self._limits = settings, limits
        tokenizer = KINDS[settings.tokenizer].load(out / tokenizer_file)
        self._channels = tokenizer.channels
        self._encode = _levels_encoder(tokenizer, settings.logvar)
        self._text_encoder = load_text_encoder(
            settings.text_encoder, settings.text_length
        )

    def __call__(self, numbered: tuple[int, Shard]) -> dict[str, Any]:
        """Writes the shard's files, then its part: a ShardResult. Raises DataError."""
        number, shard = numbered
        moments, audio_moments = Moments.empty(self._channels), None
        rows: dict[str, Iterable[bytes]] = {LATENTS: self._latents(shard, moments)}
        for place in range(len(shard.clips[0].captions)):
            rows[CAPTIONS + version(place)] = _captions(shard, place)
            rows[TEXT + version(place)] = self._text(shard, place)
        if audio := self._settings.audio:
            audio_moments = Moments.empty(audio.channels)
            rows[AUDIO] = self._audio(audio, shard, audio_moments)
        files = {kind: self._write(kind, shard, rows[kind]) for kind in rows}
        result = ShardResult(
            bucket=shard.bucket.name,
            split=shard.split,
            files=files,
            moments=moments,
            audio_moments=audio_moments,
        )
        write_part(self._parts, number, [result.to_json()])
        return {}

    def _write(self, kind: str, shard: Shard, rows: Iterable[bytes]) -> ShardInfo:
        name = shard_name(kind, shard.split, shard.index, shard.count)
        return write_shard(self._out / shard.bucket.name / name, rows)

    def _latents(self, shard: Shard, moments: Moments) -> Iterator[bytes]:
        fps, bucket = self._settings.fps, shard.bucket
        clips = read_levels(shard.clips, bucket.size, fps, self._limits)
        for clip, levels_THWC in clips:
            mean, logvar = self._encode(levels_THWC[None])
            latent_FHWC = np.asarray(mean[0])
            moments.add(latent_FHWC)
            yield records.latent_record(
                id=clip.id,
                source_id=clip.source_id,
                latent_FHWC=latent_FHWC,
                logvar_FHWC=None if logvar is None else np.asarray(logvar[0]),
                fps=fps,
                start_s=clip.start_s,
                num_frames=bucket.frames,
                height=bucket.height,
                width=bucket.width,
                label=clip.label,
            )

    def _audio(self, audio: Mdct, shard: Shard, moments: Moments) -> Iterator[bytes]:
        num_samples = audio.num_samples(shard.bucket.frames / self._settings.fps)
        encode = jax.jit(audio.encode)
        sounds = hear_clips(shard.clips, audio.rate, num_samples, self._limits)
        for clip, sound_S, heard in sounds:
            audio_AC = np.asarray(encode(sound_S[None])[0])
            if heard:
                moments.add(audio_AC)
            yield records.audio_record(id=clip.id, audio_AC=audio_AC, heard=heard)

    def _text(self, shard: Shard, place: int) -> Iterator[bytes]:
        """Embeddings of each clip's caption of a version; those of "" where it is null."""
        texts = sorted({clip.captions[place].text or "" for clip in shard.clips})
        embedded = dict(zip(texts, embed(self._text_encoder, texts), strict=True))
        for clip in shard.clips:
            text_LD = embedded[clip.captions[place].text or ""]
            yield records.text_record(id=clip.id, text_LD=text_LD)


def _levels_encoder(
    tokenizer: Any, logvar: bool
) -> Callable[[np.ndarray], tuple[Any, Any]]:
    """levels_BTHWC -> (latent_BFHWC, its log variance or None)."""
    if logvar:
        return jax.jit(lambda levels: tokenizer.encode_posterior(pixels_of(levels)))
    if isinstance(tokenizer, LevelsTokenizer):
        return lambda levels: (tokenizer.encode_levels(levels), None)
    return jax.jit(lambda levels: (tokenizer.encode(pixels_of(levels)), None))


def _captions(shard: Shard, place: int) -> Iterator[bytes]:
    for clip in shard.clips:
        caption = clip.captions[place]
        yield records.caption_record(
            id=clip.id, caption=caption.text, **caption.made_by
        )
