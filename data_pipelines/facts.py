"""What dataset.json says of the tokenizers and of the encoders of text and images."""

import pathlib

import numpy as np

from data_pipelines.moments import Moments
from videogen.data.schema import AudioInfo, ImageInfo, TextInfo, TokenizerInfo
from videogen.image.base import ImageEncoder
from videogen.text.base import TextEncoder
from videogen.tokenizers.base import Tokenizer
from videogen.tokenizers.mdct import SCALE_FLOOR, Mdct


def tokenizer_facts(
    tokenizer: Tokenizer, directory: pathlib.Path, moments: Moments
) -> TokenizerInfo:
    """With the constants of its latents' moments. Saves it into `directory`."""
    mean, std = moments.mean_and_std()
    return TokenizerInfo(
        name=tokenizer.name,
        fingerprint=tokenizer.fingerprint,
        file=tokenizer.save(str(directory)),
        strides=tokenizer.strides,
        channels=tokenizer.channels,
        mean=mean,
        std=std,
    )


def audio_facts(audio: Mdct, moments: Moments) -> AudioInfo:
    """With the constants of the moments of what is heard; of silence alone, 0 and 1."""
    if not moments.count:
        moments.add(np.zeros((1, audio.channels)))
    mean, std = moments.mean_and_std()
    return AudioInfo(
        name=audio.name,
        fingerprint=audio.fingerprint,
        rate=audio.rate,
        channels=audio.channels,
        mean=mean,
        std=tuple(max(scale, SCALE_FLOOR) for scale in std),
    )


def image_facts(encoder: ImageEncoder) -> ImageInfo:
    """What made an image sidecar."""
    return ImageInfo(
        name=encoder.name,
        fingerprint=encoder.fingerprint,
        length=encoder.length,
        dim=encoder.dim,
    )


def text_facts(encoder: TextEncoder, null_crc32: int, captions: str = "") -> TextInfo:
    """With the checksum that `write_null_text` gave; captions: of another version's name."""
    return TextInfo(
        name=encoder.name,
        fingerprint=encoder.fingerprint,
        length=encoder.length,
        dim=encoder.dim,
        null_crc32=null_crc32,
        captions=captions,
    )
