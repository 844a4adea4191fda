"""Prompts of a dataset whose text encoder is read from a folder."""

import shutil

import numpy as np
import pytest
from doors import overrides
from text_folders import write_t5

from data_pipelines.synthetic import write_synthetic
from videogen import build, run
from videogen.core.errors import ConfigError
from videogen.text import make_encoder

CONFIG = "configs/quickstart.py"


def settings(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, *extra))
    return build.read(config)


def test_the_encoder_may_have_moved_but_not_changed(tmp_path):
    first, moved, other = (tmp_path / name for name in ("first", "moved", "other"))
    for folder in (first, other):
        folder.mkdir()
    write_t5(first)
    write_t5(other, num_layers=1)
    encoder = make_encoder(f"byt5:{first}", 8)
    data = tmp_path / "data"
    write_synthetic(
        data, num_records=8, latent_shape=(2, 4, 4, 16), text_encoder=encoder
    )
    shutil.move(first, moved)
    dim = "model.text_dim=16"
    parts = run.make(settings(data, f"data.text_encoder=byt5:{moved}", dim))
    assert parts.feed.identity["text_encoder"].startswith("byt5 ")
    conditions, null = parts.feed.prompt_conditions(("red waves",))
    want, mask_BL = encoder.encode(["red waves"])
    np.testing.assert_array_equal(conditions["text_BLD"], want)
    np.testing.assert_array_equal(conditions["text_mask_BL"], mask_BL)
    np.testing.assert_array_equal(null["text_BLD"], encoder.encode([""])[0][0])
    for folder, said in ((other, "is not the one that"), ("", "read from a folder")):
        name = f"byt5:{folder}".removesuffix(":")
        feed = run.make(settings(data, f"data.text_encoder={name}", dim)).feed
        with pytest.raises(ConfigError, match=said):
            feed.prompt_conditions(("red waves",))
    with pytest.raises(ConfigError, match="'t5', but .* was made with 'byt5'"):
        run.make(settings(data, f"data.text_encoder=t5:{moved}", dim))
