"""The config of a workdir, as a config file: --config=recorded.py:WORKDIR."""

import json
from pathlib import Path

from ml_collections import config_dict


def get_config(workdir: str) -> config_dict.ConfigDict:
    """What <workdir>/config.json recorded."""
    text = (Path(workdir) / "config.json").read_text()
    return config_dict.ConfigDict(_tuples(json.loads(text)))


def _tuples(node):
    """JSON lists as tuples, as configs write them."""
    if isinstance(node, dict):
        return {key: _tuples(value) for key, value in node.items()}
    return tuple(_tuples(value) for value in node) if isinstance(node, list) else node
