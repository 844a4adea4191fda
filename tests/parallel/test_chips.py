"""Chip facts agree with the published peaks, and names are found or suggested."""

import math

import pytest

from videogen.core.errors import ConfigError
from videogen.parallel.chips import (
    CHIPS,
    chip_of_kind,
    find_chip,
    find_slice,
    find_topology,
    num_devices,
)

# bf16 TFLOP/s of one device: Google's system pages, tpu7x's 2307 over two devices.
PUBLISHED = {"v5e": 197, "v5p": 459, "v6e": 918, "tpu7x": 2307 / 2}


@pytest.mark.parametrize("name", CHIPS)
def test_units_and_clock_give_the_published_peak(name):
    assert find_chip(name).peak_flops / 1e12 == pytest.approx(PUBLISHED[name], rel=3e-3)


def test_each_chip_is_found_by_the_kind_that_jax_reports():
    assert all(chip_of_kind(chip.device_kind) is chip for chip in CHIPS.values())
    assert chip_of_kind("cpu") is None


def test_an_unknown_chip_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match="'v5i' is not known.*v5"):
        find_chip("v5i")


def test_a_topology_names_its_chip_or_is_refused_with_those_known():
    assert find_topology("v5p:4x4x8").name == "v5p"
    assert num_devices("v5p:4x4x8") == 128
    assert num_devices("tpu7x:2x2x1") == 8  # two of a chip
    for name in ("v5p:4x4", "v5e:4x4x4", "v6e", "v6e:4xA", "v6e:0x4", "v6e:3x4"):
        with pytest.raises(ConfigError, match="is not known: v.* has .*x"):
            find_topology(name)
    with pytest.raises(ConfigError, match="did you mean 'v5p'"):
        find_topology("v5x:2x2x1")


@pytest.mark.parametrize("chip", CHIPS.values(), ids=CHIPS)
def test_a_number_of_chips_is_a_slice(chip):
    for dims in chip.topologies:
        number = math.prod(int(x) for x in dims.split("x"))
        topology = f"{chip.name}:{dims}"
        assert find_slice(f"{chip.name}:{number}") == (chip, topology)
        assert find_slice(topology) == (chip, topology)


def test_a_number_that_no_slice_has_is_told_with_the_nearest():
    for name, near in {
        "v5p:100": "v5p:64 or v5p:128 would",
        "v5e:3": "that size; v5e:4 would",
        "v5e:1000": "that size; v5e:256 would",
        "v6e": "'v6e': say how many, as v6e:4$",
    }.items():
        with pytest.raises(ConfigError, match=near):
            find_slice(name)
