"""Cuts come after `patience` validations without a better loss, each seen once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.train.plateau import PlateauConfig, new_state, observe


def scales(losses, config, learning_rate=1.0):
    """The scale after each of the losses, seen at steps 1, 2, ..."""
    state, found = new_state(config), []
    for step, loss in enumerate(losses, 1):
        state = observe(
            config, learning_rate, state, jnp.int32(step), jnp.float32(loss)
        )
        found.append(float(state["scale"]))
    return found


def test_it_cuts_after_the_patience_and_counts_anew():
    config = PlateauConfig(factor=0.5, patience=2)
    losses = [3.0, 2.0, 2.0, 2.5, 1.9, 1.95, 1.9, 2.0, 2.0, 1.0]
    expected = [1, 1, 1, 0.5, 0.5, 0.5, 0.25, 0.25, 0.125, 0.125]
    assert scales(losses, config) == expected


def test_a_loss_that_is_not_finite_is_no_better():
    assert scales([1.0, np.nan], PlateauConfig(factor=0.5, patience=1)) == [1, 0.5]


def test_the_least_rate_holds():
    config = PlateauConfig(factor=0.1, patience=1, least=0.02)
    assert scales([1.0, 1.0, 1.0, 1.0], config, learning_rate=0.1) == pytest.approx(
        [1, 0.2, 0.2, 0.2]
    )


def test_a_validation_counts_once():
    config = PlateauConfig(factor=0.5, patience=2)
    state = new_state(config, step=10)
    seen = observe(config, 1.0, state, jnp.int32(10), jnp.float32(1.0))
    jax.tree.map(np.testing.assert_array_equal, seen, state)
    once = observe(config, 1.0, state, jnp.int32(20), jnp.float32(1.0))
    again = observe(config, 1.0, once, jnp.int32(20), jnp.float32(1.0))
    jax.tree.map(np.testing.assert_array_equal, again, once)
    assert float(once["best"]) == 1.0 and int(once["seen"]) == 20


def test_off_it_is_nothing():
    assert new_state(PlateauConfig()) == {}


@pytest.mark.parametrize(
    "fields, said",
    [
        ({"factor": 0.0}, "plateau.factor=0.0"),
        ({"factor": 1.5}, "plateau.factor=1.5"),
        ({"patience": 0}, "plateau.patience=0"),
        ({"least": -1.0}, "plateau.least=-1.0"),
    ],
)
def test_bad_fields_are_named(fields, said):
    with pytest.raises(ConfigError, match=said):
        PlateauConfig(**fields)
