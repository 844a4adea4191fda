"""The bridge to transformers where that is not installed; with it: tests/parity."""

import sys

import pytest

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.text import load_text_encoder
from videogen.core.errors import ConfigError
from videogen.text import make_encoder


def test_what_it_needs_is_said(tmp_path, monkeypatch):
    EncodeSettings(text_encoder=f"hf:{tmp_path}")  # may be asked for
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(
        ConfigError, match=r"needs PyTorch and transformers .*pip install"
    ):
        load_text_encoder(f"hf:{tmp_path}", 8)
    for name, length in (("hf", 8), ("hf:/x", 0)):
        with pytest.raises(ConfigError, match="needs a folder and a length"):
            load_text_encoder(name, length)


def test_it_encodes_no_prompts():
    with pytest.raises(
        ConfigError, match="cannot encode prompts; --config.train.sample"
    ):
        make_encoder("hf:/x", 8)
