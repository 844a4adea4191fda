"""What a config says of its own values: which are published, and which are our assumptions.

    config.published = {"optimizer": {"learning_rate": "arXiv 2410.13720, Table 3"}}
    config.assumed = {"optimizer": {"b2": "not stated; as LLaMa"}, "time": "not stated"}

A note may stand at a field or at a whole section. What the command line changes is no
longer published. A stage's values are noted under "stages" and its name.
"""

from collections.abc import Mapping
from typing import Any

from videogen.core.errors import ConfigError, suggest

KINDS = ("published", "assumed")
CHANGED = "set on the command line"


def flatten(node: Any, where: str) -> dict[str, str]:
    """{dotted field: note} of nested dicts. ConfigError for a note that is no text."""
    if not isinstance(node, Mapping):
        raise ConfigError(f"config.{where}={node!r} is not a dict of fields and texts")
    notes: dict[str, str] = {}
    for name, value in node.items():
        if isinstance(value, Mapping):
            inner = flatten(value, f"{where}.{name}")
            notes |= {f"{name}.{rest}": note for rest, note in inner.items()}
        elif isinstance(value, str) and value:
            notes[name] = value
        else:
            raise ConfigError(
                f"config.{where}.{name}={value!r} is not a text that says where from"
            )
    return notes


def nest(notes: Mapping[str, str]) -> dict[str, Any]:
    """The inverse of `flatten`."""
    tree: dict[str, Any] = {}
    for name, note in notes.items():
        *parents, last = name.split(".")
        node = tree
        for part in parents:
            node = node.setdefault(part, {})
        node[last] = note
    return tree


def check(
    published: Mapping[str, str], assumed: Mapping[str, str], record: Mapping[str, Any]
) -> None:
    """ConfigError for a note on a field that does not exist, or of both kinds."""
    known = names(record)
    for kind, notes in zip(KINDS, (published, assumed), strict=True):
        for name in notes:
            if name not in known:
                raise ConfigError(
                    f"config.{kind}.{name}: no such field{suggest(name, known)}"
                )
    for name in published.keys() & assumed.keys():
        raise ConfigError(
            f"config.assumed.{name} is also in config.published: keep one of them"
        )


def names(record: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{dotted name: value} of every field and section."""
    found: dict[str, Any] = {}
    for name, value in record.items():
        found[prefix + name] = value
        if isinstance(value, Mapping):
            found |= names(value, f"{prefix}{name}.")
        elif name == "stages" and not prefix:
            for i, stage in enumerate(value):
                where = f"stages.{stage.get('name', f'stage_{i}')}"
                found |= {where: stage, **names(stage, f"{where}.")}
    return found


def mark_changed(config: Any, name: str) -> None:
    """Takes a field that the command line changed from the published ones, in place."""
    published, assumed = (flatten(_plain(config.get(kind, {})), kind) for kind in KINDS)
    parts = name.split(".")
    holders = {".".join(parts[: end + 1]) for end in range(len(parts))}
    if not holders & published.keys():
        return
    published.pop(name, None)
    with config.unlocked():
        config.published = nest(published)
        config.assumed = nest({**assumed, name: CHANGED})


def _plain(node: Any) -> Any:
    return node.to_dict() if hasattr(node, "to_dict") else node


def describe(
    published: Mapping[str, str], assumed: Mapping[str, str], record: Mapping[str, Any]
) -> str:
    """Both lists, a field a line with its value; empty without notes."""
    values = names(record)
    lines = []
    for kind, notes in zip(KINDS, (published, assumed), strict=True):
        if notes:
            lines.append(f"{kind}:")
        for name, note in notes.items():
            value = values[name]
            said = "" if isinstance(value, Mapping) else f" = {value}"
            lines.append(f"  {name}{said}  ({note})")
    return "\n".join(lines)
