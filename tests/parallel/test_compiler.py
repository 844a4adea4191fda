"""Flags of the step's program are read as they are written, and only TPUs get them."""

import pytest

from videogen.core.errors import ConfigError
from videogen.parallel.compiler import TPU, options
from videogen.parallel.mesh import MeshConfig


def test_flags_of_a_config_join_ours():
    flags = ("--xla_enable_async_all_gather=true", "xla_max_concurrent=4")
    more = {"xla_enable_async_all_gather": True, "xla_max_concurrent": "4"}
    assert options(flags, "tpu") == TPU | more
    assert options(flags, "cpu") is None
    assert options([f"{name}=7" for name in TPU], "tpu") == dict.fromkeys(TPU, "7")


@pytest.mark.parametrize("flag", ("xla_tpu_fast", "fast=true", "xla_tpu_fast="))
def test_another_form_is_refused(flag):
    with pytest.raises(ConfigError, match=r"mesh.xla has .*'xla_name=value'"):
        MeshConfig(xla=(flag,))
