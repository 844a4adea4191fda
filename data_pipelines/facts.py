"""What dataset.json says of the tokenizer and of the text encoder."""

import pathlib

from data_pipelines.moments import Moments
from videogen.data.schema import TextInfo, TokenizerInfo
from videogen.text.base import TextEncoder
from videogen.tokenizers.base import Tokenizer


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


def text_facts(encoder: TextEncoder, null_crc32: int) -> TextInfo:
    """With the checksum that `write_null_text` gave."""
    return TextInfo(
        name=encoder.name,
        fingerprint=encoder.fingerprint,
        length=encoder.length,
        dim=encoder.dim,
        null_crc32=null_crc32,
    )
