"""Goldens: texts checked in, so that a change of shapes or shardings shows in the diff.

Regenerate with VIDEOGEN_REGENERATE=1 pytest ..., and review the diff.
"""

import os
from pathlib import Path

GOLDENS = Path(__file__).parent / "goldens"


def check_golden(name: str, lines: list[str]) -> None:
    """Fails unless tests/goldens/`name` holds these lines."""
    path, text = GOLDENS / name, "\n".join(lines) + "\n"
    if os.environ.get("VIDEOGEN_REGENERATE") == "1":
        path.write_text(text)
    assert path.exists(), f"{path} is missing: run with VIDEOGEN_REGENERATE=1"
    assert text == path.read_text()
