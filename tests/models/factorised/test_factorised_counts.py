"""The published numbers of parameters, and the closed forms they are made of."""

import math

import pytest

from videogen.models.factorised.model import make
from videogen.models.factorised.sizes import PUBLISHED
from videogen.nn.fence import Network


def counted(name):
    """Sizes by path, all layers of a stack together."""
    shapes = Network.of(make(PUBLISHED[name].config)).abstract()
    return {path: math.prod(leaf.shape) for path, leaf in shapes.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_have_the_published_number_of_parameters(name):
    row = PUBLISHED[name]
    assert sum(counted(name).values()) + row.fixed == row.parameters


@pytest.mark.parametrize(
    "name, first, second",
    [
        ("latte_1", 21_255_552, 15_942_528),
        ("open_sora_1_2", 21_255_696, 21_255_696),
        ("open_sora_plan_1_3", 84_978_432, 84_978_432),
    ],
)
def test_blocks_have_their_closed_forms(name, first, second):
    config, sizes = PUBLISHED[name].config, counted(name)
    d = config.width
    norms = 2 * config.head_dim if config.qk_norm else 0
    assert first == 16 * d * d + 19 * d + norms
    assert second == (first if config.text_in_second else 12 * d * d + 15 * d)
    for block, size in (("first", first), ("second", second)):
        found = sum(n for path, n in sizes.items() if f"blocks.{block}." in path)
        assert found == config.depth * size
