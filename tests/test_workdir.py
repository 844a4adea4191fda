"""Runs that older versions recorded go on."""

import json

import pytest

from videogen import build, workdir
from videogen.core.errors import ConfigError


@pytest.fixture
def old():
    record = build.read(build.load_config("configs/quickstart.py")).record
    del record["data"]["buffer_mib"]
    return record | {"data": record["data"] | {"prefetch": 4}}


def test_a_field_that_is_no_more_ends_no_run(old, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(old))
    now = build.read(build.recorded_config(tmp_path))
    workdir.check_config(tmp_path, old, now, 5)
    assert old["data"]["prefetch"] == 4
    old["data"]["text_dropout"] = 0.5
    with pytest.raises(ConfigError, match=r"another config: config.data.text_dropout"):
        workdir.check_config(tmp_path, old, now, 5)


def test_it_is_told_where_it_is_asked_for():
    config = build.load_config("configs/quickstart.py")
    build.override(config, ["data.prefetch=4"])
    with pytest.raises(ConfigError, match="data.prefetch: no such field .*buffer_mib"):
        build.read(config)
