"""A config's notes name fields that exist, and are no longer published once changed."""

import pytest
from ml_collections import config_dict

from videogen import build, notes
from videogen.core.errors import ConfigError


def config(**said):
    made = config_dict.ConfigDict()
    made.data = {"path": "nowhere", "global_batch": 8}
    made.model = {"family": "dit", "width": 32, "depth": 1, "num_heads": 2}
    made.model.mlp_width = 64
    made.optimizer = {"learning_rate": 6e-5}
    made.train = {"steps": 10}
    for kind, value in said.items():
        made[kind] = value
    return made


PUBLISHED = {"optimizer": {"learning_rate": "Table 3"}, "model": "Table 1"}
ASSUMED = {"optimizer": {"b2": "not stated"}}


def test_both_lists_are_told_with_the_values():
    settings = build.read(config(published=PUBLISHED, assumed=ASSUMED))
    text = notes.describe(settings.published, settings.assumed, settings.record)
    assert text.splitlines() == [
        "published:",
        "  model  (Table 1)",
        "  optimizer.learning_rate = 6e-05  (Table 3)",
        "assumed:",
        "  optimizer.b2 = 0.95  (not stated)",
    ]
    again = build.read(config_dict.ConfigDict(settings.record))
    assert again == settings


def test_without_notes_nothing_is_told():
    settings = build.read(config())
    assert not notes.describe(settings.published, settings.assumed, settings.record)


@pytest.mark.parametrize(
    "field, published, assumed",
    [
        (
            "optimizer.learning_rate=1e-4",
            {"model": "Table 1"},
            {"optimizer.b2": "not stated", "optimizer.learning_rate": notes.CHANGED},
        ),
        (
            "model.width=64",
            notes.flatten(PUBLISHED, ""),
            {"optimizer.b2": "not stated", "model.width": notes.CHANGED},
        ),
        # Nobody claimed these.
        ("train.steps=3", notes.flatten(PUBLISHED, ""), notes.flatten(ASSUMED, "")),
        (
            "optimizer.learning_rate=6e-5",
            notes.flatten(PUBLISHED, ""),
            notes.flatten(ASSUMED, ""),
        ),
    ],
)
def test_what_the_command_line_changes_is_not_published(field, published, assumed):
    changed = config(published=PUBLISHED, assumed=ASSUMED)
    changed.lock()
    build.override(changed, [field])
    settings = build.read(changed)
    assert settings.published == published
    assert settings.assumed == assumed


@pytest.mark.parametrize(
    "said, message",
    [
        (
            {"published": {"optimizer": {"learning_rat": "Table 3"}}},
            r"config.published.optimizer.learning_rat: no such field \(did you mean",
        ),
        ({"assumed": {"optimiser": "x"}}, "config.assumed.optimiser: no such field"),
        ({"assumed": {"seed": 3}}, "config.assumed.seed=3 is not a text"),
        ({"assumed": ("seed",)}, "is no section: it has fields"),
        (
            {"published": {"seed": "a"}, "assumed": {"seed": "b"}},
            "config.assumed.seed is also in config.published",
        ),
    ],
)
def test_a_note_that_cannot_be_is_one_line(said, message):
    with pytest.raises(ConfigError, match=message) as error:
        build.read(config(**said))
    assert "\n" not in str(error.value)
