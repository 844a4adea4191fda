"""MiniLM against PyTorch: the same safetensors through transformers' BertModel."""

import json

import numpy as np
import pytest

from videogen.text import minilm

pytestmark = pytest.mark.parity

TEXTS = [
    "A red bicycle leans on a wall.",
    "",
    "Cafe, na\u00efve? 3.14 -- (unbelievably) hyphenated-words; \u6771\u4eac",
    "a large white rabbit steps out of its burrow and stretches " * 8,
]


@pytest.fixture(scope="module")
def bert():
    """transformers' BertModel, float32, with the weights of the installed package."""
    pytest.importorskip("torch")
    from safetensors.torch import load_file
    from transformers import BertConfig, BertModel

    directory = minilm.find_directory()
    fields = json.loads((directory / "config.json").read_text())
    config = BertConfig(**fields, attn_implementation="eager")
    model = BertModel(config, add_pooling_layer=True).eval()
    state = load_file(directory / minilm.WEIGHTS)
    missing, extra = model.load_state_dict(state, strict=False)
    assert not missing and set(extra) <= {"embeddings.position_ids"}
    return model


@pytest.fixture(scope="module")
def encoder():
    return minilm.MiniLM(length=64)


def test_hidden_states_agree(bert, encoder):
    import torch

    tokens_BL, mask_BL = encoder.tokenize(TEXTS)
    with torch.no_grad():
        want = bert(
            torch.from_numpy(tokens_BL).long(),
            attention_mask=torch.from_numpy(mask_BL).long(),
        ).last_hidden_state.numpy()
    got, got_mask_BL = encoder.encode(TEXTS)
    np.testing.assert_array_equal(got_mask_BL, mask_BL)
    error = np.abs(got - want)[mask_BL].max()
    print(f"largest difference {error:.2e}")
    assert error < 1e-5


def test_tokens_agree(encoder):
    transformers = pytest.importorskip("transformers")
    path = minilm.find_directory() / minilm.VOCABULARY
    theirs = transformers.PreTrainedTokenizerFast(
        tokenizer_file=str(path), pad_token="[PAD]"
    )
    want = theirs(
        TEXTS, padding="max_length", truncation=True, max_length=64, return_tensors="np"
    )
    tokens_BL, mask_BL = encoder.tokenize(TEXTS)
    np.testing.assert_array_equal(tokens_BL, want["input_ids"])
    np.testing.assert_array_equal(mask_BL, want["attention_mask"])
