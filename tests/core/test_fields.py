"""A dict becomes a dataclass, or one line says which field cannot."""

import dataclasses

import pytest

from videogen.core.errors import ConfigError
from videogen.core.fields import fill


@dataclasses.dataclass(frozen=True, kw_only=True)
class Box:
    size: int
    scale: float = 1.0
    shape: tuple[int, int] = (1, 2)
    names: tuple[str, ...] = ()
    kind: str | None = None
    closed: bool = False

    def __post_init__(self):
        if self.size < 1:
            raise ConfigError(f"box.size={self.size} must be positive")


def test_values_take_the_types_of_the_annotations():
    box = fill(
        Box, {"size": 3, "scale": 2, "shape": [4, 5], "names": ["a"]}, "config.box"
    )
    assert box == Box(size=3, scale=2.0, shape=(4, 5), names=("a",))
    assert type(box.scale) is float


@pytest.mark.parametrize(
    "values, said",
    [
        ({}, "config.box.size is missing"),
        (
            {"size": 1, "shap": (1, 2)},
            "config.box.shap: no such field (did you mean 'shape'?)",
        ),
        ({"size": "1"}, "config.box.size='1' is not a whole number"),
        ({"size": None}, "config.box.size=None is not a whole number"),
        ({"size": True}, "config.box.size=True is not a whole number"),
        ({"size": 1, "scale": "x"}, "config.box.scale='x' is not a number"),
        ({"size": 1, "shape": (1,)}, "config.box.shape=(1,) must have 2 values"),
        (
            {"size": 1, "shape": (1, "a")},
            "config.box.shape[1]='a' is not a whole number",
        ),
        ({"size": 1, "names": "abc"}, "config.box.names='abc' is not"),
        ({"size": 1, "kind": 3}, "config.box.kind=3 is not a text"),
        ({"size": 1, "closed": 1}, "config.box.closed=1 is not True or False"),
        ({"size": 0}, "config.box.size=0 must be positive"),
    ],
)
def test_a_field_that_cannot_be_is_named(values, said):
    with pytest.raises(ConfigError) as error:
        fill(Box, values, "config.box")
    assert str(error.value).startswith(said)
