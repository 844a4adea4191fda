"""A tokenizer known by name alone: its facts, and one line where weights are wanted."""

import jax.numpy as jnp
import numpy as np
import pytest

from videogen import tokenizers
from videogen.core.errors import ConfigError
from videogen.tokenizers.base import Tokenizer
from videogen.tokenizers.published import PUBLISHED

FACTS = {"name": "wan2_1", "strides": (4, 8, 8), "channels": 2, "fingerprint": "f"}


def stated(**changes):
    facts = FACTS | {"file": "", "mean": (0.5, 1.0), "std": (2.0, 3.0)} | changes
    return tokenizers.load("nowhere", **facts)


def test_it_has_what_training_asks_for(tmp_path):
    tokenizer = stated()
    assert isinstance(tokenizer, Tokenizer)
    np.testing.assert_array_equal(tokenizer.std_C, np.float32([2, 3]))
    assert (tokenizer.strides, tokenizer.channels) == ((4, 8, 8), 2)
    assert tokenizer.save(str(tmp_path)) == "" and not list(tmp_path.iterdir())
    assert tokenizer.fingerprint == stated(mean=(0.0, 0.0)).fingerprint
    for other in ({"name": "x"}, {"strides": (4, 8, 4)}, {"channels": 3}):
        assert tokenizer.fingerprint != stated(**other).fingerprint


def test_what_needs_weights_is_one_line():
    tokenizer = stated()
    with pytest.raises(ConfigError, match="'wan2_1' .* not here to encode pixels"):
        tokenizer.encode(jnp.zeros((1, 1, 8, 8, 3), jnp.float32))
    with pytest.raises(ConfigError, match="not here to decode .*sample_every=0"):
        tokenizer.decode(jnp.zeros((1, 1, 1, 1, 2), np.float32))


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_constants_are_of_every_channel(name):
    vae = PUBLISHED[name]
    for values in (vae.mean, vae.std):
        assert len(values) in (0, 1, vae.channels)
    assert all(std > 0 for std in vae.std) and name not in tokenizers.KINDS
