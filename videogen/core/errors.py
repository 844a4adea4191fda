"""Errors for users: one line that names the field or file, the value, and what would work."""

import difflib
from collections.abc import Iterable


class ConfigError(ValueError):
    """A field of the configuration cannot work. The message names it and what would."""


class DataError(ValueError):
    """A file of a dataset, tokenizer or checkpoint is damaged, missing or of another kind."""


def suggest(name: str, options: Iterable[str]) -> str:
    """' (did you mean X?)' for the nearest option, or ' (one of ...)' when none is near."""
    options = sorted(options)
    near = difflib.get_close_matches(name, options, n=1)
    return (
        f" (did you mean {near[0]!r}?)" if near else f" (one of: {', '.join(options)})"
    )
