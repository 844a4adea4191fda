"""Any other text encoder, through transformers and PyTorch, while a dataset is made.

"hf:/path": the last hidden states of a local folder's model, of its encoder where it has a
decoder too. The only file outside of tests and benchmarks that may import either package;
nothing is downloaded.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from videogen.core.errors import ConfigError, DataError
from videogen.text import OFFLINE

ROWS = 8  # texts of a call
UNUSED = ("decoder.", "pooler.")  # keys that the last hidden states do not need


class TransformersText:
    """The encoder, as `text.base.TextEncoder` has it.

    Raises ConfigError without the packages or the folder's name, DataError for a folder that
    they cannot read.
    """

    name = OFFLINE

    def __init__(self, folder: str, length: int):
        if length < 1 or not folder:
            raise ConfigError(
                f"text encoder {OFFLINE!r} needs a folder and a length of at least 1: "
                f"'{OFFLINE}:/path/of/it' would work"
            )
        self.length = length
        self._model, self._tokenizer = _load(folder)
        self.dim = int(self._model.config.hidden_size)
        self.fingerprint = _fingerprint(Path(folder), length)

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """(text_BLD float32, text_mask_BL bool). Masked positions hold zeros."""
        text_BLD = np.zeros((len(texts), self.length, self.dim), np.float32)
        text_mask_BL = np.zeros(text_BLD.shape[:2], bool)
        for start in range(0, len(texts), ROWS):
            rows = slice(start, start + ROWS)
            text_BLD[rows], text_mask_BL[rows] = self._call(list(texts[rows]))
        text_BLD[~text_mask_BL] = 0
        return text_BLD, text_mask_BL

    def _call(self, texts: list[str]) -> tuple[np.ndarray, np.ndarray]:
        import torch  # pyright: ignore[reportMissingImports]

        made = self._tokenizer(
            texts,
            padding="max_length",
            truncation=True,
            max_length=self.length,
            return_tensors="pt",
        ).to(self._model.device)
        with torch.no_grad():
            out = self._model(
                input_ids=made["input_ids"], attention_mask=made["attention_mask"]
            )
        states = out.last_hidden_state.float().cpu().numpy()
        return states, made["attention_mask"].bool().cpu().numpy()


def _load(folder: str):
    """(model, tokenizer), on the first GPU if there is one."""
    try:
        import torch  # pyright: ignore[reportMissingImports]
        import transformers  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ConfigError(
            f"text encoder '{OFFLINE}:{folder}' needs PyTorch and transformers ({error}): "
            "pip install torch transformers"
        ) from error
    try:
        model, found = transformers.AutoModel.from_pretrained(
            folder,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            folder, local_files_only=True, padding_side="right"
        )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{folder}: transformers cannot read it ({error})") from error
    # What is missing transformers draws at random.
    if missing := [x for x in found["missing_keys"] if not x.startswith(UNUSED)]:
        raise DataError(f"{folder}: the weights lack {', '.join(sorted(missing)[:8])}")
    if hasattr(model, "encoder") and hasattr(model, "decoder"):
        model = model.get_encoder()
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return model.eval().to(device), tokenizer


def _fingerprint(folder: Path, length: int) -> str:
    """sha256 over the length and all files of the folder, by name."""
    digest = hashlib.sha256(f"{OFFLINE} 1 {length}".encode())
    for path in sorted(path for path in folder.iterdir() if path.is_file()):
        with path.open("rb") as file:
            digest.update(path.name.encode())
            digest.update(hashlib.file_digest(file, "sha256").digest())
    return digest.hexdigest()
