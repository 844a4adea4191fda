"""What fits is loaded, what grew is adapted exactly, the rest is new, dropped or refused."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from videogen.core.errors import ConfigError
from videogen.nn.patch import patchify
from videogen.train.adapt import Rules, apply, compare, report

PATCH = (1, 2, 2)
RULES = Rules(cells=4)


def draw(shape, seed=0):
    return jax.random.normal(jax.random.key(seed), shape)


def adapted(path, old, fresh, rules):
    found = compare({path: old.shape}, {path: fresh.shape}, rules)
    return apply(found, {path: old}, {path: fresh})[path]


def test_every_leaf_has_one_fate():
    theirs = {"a": (2, 3), "b": (4,), "patch_embedding.kernel": (8, 3)}
    ours = {"a": (2, 3), "c": (5,), "patch_embedding.kernel": (12, 3)}
    found = compare(theirs, ours, RULES)
    assert (found.loaded, found.new, found.dropped) == (("a",), ("c",), ("b",))
    assert list(found.adapted) == ["patch_embedding.kernel"]
    assert report(found, theirs, ours).splitlines() == [
        "  loaded: 1 leaves, 6 parameters",
        "  adapted: 1 leaves, 36 parameters: patch_embedding.kernel (8 -> 12 rows, "
        "the new ones zero)",
        "  new: 1 leaves, 5 parameters: c",
        "  dropped: 1 leaves, 4 parameters: b",
    ]


def test_a_long_report_is_cut():
    ours = {f"n{i}": (2,) for i in range(9)}
    (line,) = [
        x for x in report(compare({}, ours, RULES), {}, ours).splitlines() if "new" in x
    ]
    assert line == "  new: 9 leaves, 18 parameters: n0, n1, n2, n3 and 5 more"


@pytest.mark.parametrize("path", ["patch_embedding.kernel", "patch_embed.proj.kernel"])
def test_new_input_channels_change_nothing_until_trained(path):
    """The old channels meet the old rows, wherever the new ones stand among them."""
    old, fresh = draw((4 * 3, 6)), draw((4 * 5, 6), seed=1)
    new = adapted(path, old, fresh, RULES)
    rows = np.asarray(new).reshape(4, 5, 6)
    np.testing.assert_array_equal(rows[:, :3].reshape(12, 6), old)
    assert not rows[:, 3:].any()
    latent, given = draw((2, 1, 4, 4, 3), 2), draw((2, 1, 4, 4, 2), 3)
    whole = jnp.concatenate([latent, given], -1)
    np.testing.assert_allclose(
        patchify(whole, PATCH) @ new, patchify(latent, PATCH) @ old, atol=1e-5
    )


def test_a_table_is_extended_by_new_rows():
    old, fresh = draw((3, 4)), draw((5, 4), seed=1)
    rules = Rules(cells=4, positions="extend")
    new = adapted("positions.frames", old, fresh, rules)
    np.testing.assert_array_equal(new[:3], old)
    np.testing.assert_array_equal(new[3:], fresh[3:])


@pytest.mark.parametrize("size", [2, 6, 7])
def test_a_table_is_interpolated_between_its_rows(size):
    old = jnp.array([[0.0, 1.0], [1.0, 3.0], [4.0, -1.0], [2.0, 2.0]])
    rules = Rules(cells=4, positions="interpolate")
    new = adapted("params.positions.rows", old, jnp.zeros((size, 2)), rules)
    places = np.clip((np.arange(size) + 0.5) * 4 / size - 0.5, 0, 3)
    for column in range(2):
        expected = np.interp(places, np.arange(4), old[:, column])
        np.testing.assert_allclose(new[:, column], expected, atol=1e-6)


def test_a_leaf_asked_for_anew_is_new():
    shapes = {"a": (2,), "head.kernel": (3, 3)}
    found = compare(shapes, shapes, Rules(cells=4, fresh=("^head",)))
    assert found.loaded == ("a",) and found.new == ("head.kernel",)
    assert not found.dropped


@pytest.mark.parametrize(
    "path, old, new, rules, said",
    [
        (
            "a.kernel",
            (2, 3),
            (4, 3),
            RULES,
            r"a.kernel is 2x3 before and 4x3.*init_fresh",
        ),
        ("patch_embedding.kernel", (8, 3), (4, 3), RULES, "is 8x3 before and 4x3"),
        ("patch_embedding.kernel", (8, 3), (12, 4), RULES, "is 8x3 before and 12x4"),
        ("positions.rows", (2, 3), (4, 3), RULES, r"interpolate \(or extend"),
        (
            "positions.rows",
            (4, 3),
            (2, 3),
            Rules(cells=4, positions="extend"),
            "=interpolate would work",
        ),
        ("positions.rows", (4, 3), (4, 2), RULES, "is 4x3 before and 4x2"),
        ("a", (1,), (1,), Rules(cells=4, fresh=("b",)), "'b' finds none"),
    ],
)
def test_what_cannot_be_adapted_is_one_line(path, old, new, rules, said):
    with pytest.raises(ConfigError, match=said) as error:
        compare({path: old}, {path: new}, rules)
    assert "\n" not in str(error.value)
