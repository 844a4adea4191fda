"""Texts -> tokens and masks: by a folder's tokenizer files, or by bytes."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    models,
    normalizers,
    pre_tokenizers,
    processors,
)

from videogen.core.errors import ConfigError, DataError
from videogen.text.pieces import read_pieces

VOCABULARY = "tokenizer.json"
# What splits words before CLIP's byte-level BPE (Radford et al. 2021, simple_tokenizer.py).
CLIP_WORDS = (
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d"
    r"|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
)
START, END = "<|startoftext|>", "<|endoftext|>"


class Words:
    """A tokenizer of the `tokenizers` library, at a fixed length."""

    def __init__(self, tokenizer: Tokenizer, length: int):
        tokenizer.enable_truncation(max_length=length)
        tokenizer.enable_padding(length=length, pad_id=0)
        self._tokenizer, self._length = tokenizer, length

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(tokens_BL int32, mask_BL bool), with the special tokens; longer texts are cut."""
        # One by one: the tokenizer's own threads would not survive a fork.
        encodings = [self._tokenizer.encode(text) for text in texts]
        shape = (len(texts), self._length)
        tokens_BL = np.array([e.ids for e in encodings], np.int32).reshape(shape)
        mask_BL = np.array([e.attention_mask for e in encodings], bool).reshape(shape)
        return tokens_BL, mask_BL


class Bytes:
    """ByT5's tokens: the bytes of UTF-8 plus 3, then 1; 0 pads (Xue et al. 2022)."""

    def __init__(self, length: int):
        self._length = length

    def __call__(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(tokens_BL int32, mask_BL bool); longer texts are cut, and still end with 1."""
        tokens_BL = np.zeros((len(texts), self._length), np.int32)
        for row, text in enumerate(texts):
            bytes_ = text.encode()[: self._length - 1]
            tokens_BL[row, : len(bytes_) + 1] = [*(byte + 3 for byte in bytes_), 1]
        return tokens_BL, tokens_BL > 0


def find_files(folder: Path, kinds: Sequence[tuple[str, ...]]) -> tuple[Path, ...]:
    """The first of `kinds` whose files are all there, in the folder or in the tokenizer's.

    DataError if there is none.
    """
    sibling = folder.with_name(folder.name.replace("text_encoder", "tokenizer"))
    for names in kinds:
        for place in (folder, sibling):
            files = tuple(place / name for name in names)
            if all(file.is_file() for file in files):
                return files
    wanted = ", or ".join(" with ".join(names) for names in kinds)
    places = folder if sibling == folder else f"{folder} and {sibling}"
    raise DataError(f"{places}: no tokenizer is there; {wanted} would work")


def read_tokenizer(files: Sequence[Path]) -> Tokenizer:
    """Of tokenizer.json, spiece.model (T5) or vocab.json and merges.txt (CLIP)."""
    readers: dict[str, Callable[..., Tokenizer]] = {
        VOCABULARY: lambda path: Tokenizer.from_str(path.read_text("utf-8")),
        "spiece.model": _of_pieces,
        "vocab.json": _of_merges,
    }
    try:
        return readers[files[0].name](*files)
    except Exception as error:  # what tokenizers raises for a damaged file is bare
        raise DataError(f"{files[0]}: cannot be read ({error})") from error


def check_length(kind: str, length: int, least: int, most: int | None = None) -> None:
    """ConfigError for a length that the encoder has no place for."""
    if length < least or (most is not None and length > most):
        works = f"at least {least}" if most is None else f"in {least}..{most}"
        raise ConfigError(f"text length={length} must be {works} for {kind}")


def _of_pieces(path: Path) -> Tokenizer:
    """T5's: words of a unigram model, then </s>."""
    pieces = read_pieces(path.read_bytes())
    tokenizer = Tokenizer(
        models.Unigram(pieces.scores, pieces.unknown, byte_fallback=pieces.has_bytes)
    )
    if pieces.charsmap:
        tokenizer.normalizer = normalizers.Precompiled(pieces.charsmap)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.WhitespaceSplit(),
            pre_tokenizers.Metaspace(prepend_scheme="always"),
        ]
    )
    tokenizer.add_special_tokens(
        [AddedToken(x, special=True, normalized=False) for x in pieces.controls]
    )
    end = "</s>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=["$A", end], special_tokens=[(end, tokenizer.token_to_id(end))]
    )
    return tokenizer


def _of_merges(vocabulary: Path, merges: Path) -> Tokenizer:
    """CLIP's: start, words of byte-level BPE in lower case, end."""
    words = json.loads(vocabulary.read_text("utf-8"))
    bpe = models.BPE.from_file(
        str(vocabulary), str(merges), unk_token=END, end_of_word_suffix="</w>"
    )
    tokenizer = Tokenizer(bpe)
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.NFC(),
            normalizers.Replace(Regex(r"\s+"), " "),
            normalizers.Lowercase(),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(CLIP_WORDS), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.add_special_tokens([START, END])
    tokenizer.post_processor = processors.RobertaProcessing(
        (END, words[END]), (START, words[START]), False, False
    )
    return tokenizer
