"""Embeddings as a dataset keeps them."""

import numpy as np

from data_pipelines.text import TEXTS, embed
from videogen.text.hashed import HashedWords


def test_many_texts_go_through_the_encoder_in_turns(monkeypatch):
    """An encoder gives padded arrays: of a shard's texts at once they may be 50 GB."""
    encoder, counts = HashedWords(length=4), []
    encode = encoder.encode

    def counted(texts):
        counts.append(len(texts))
        return encode(texts)

    texts = [f"word {n}" for n in range(TEXTS + 3)]
    text_BLD, mask_BL = encode(texts)
    monkeypatch.setattr(HashedWords, "encode", lambda self, texts: counted(texts))
    for text_LD, whole_LD, mask_L in zip(
        embed(encoder, texts), text_BLD, mask_BL, strict=True
    ):
        np.testing.assert_array_equal(text_LD, whole_LD[mask_L])
    assert counts == [TEXTS, 3]
    assert embed(encoder, []) == []
