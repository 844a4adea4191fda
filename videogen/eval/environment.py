"""What a result depends on besides the config: interpreter, packages, revision."""

import os
import platform
import subprocess
from importlib import metadata
from pathlib import Path

PACKAGES = (
    *("videogen", "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain"),
    *("numpy", "av"),
)


def environment() -> dict[str, str]:
    """Facts about this machine, by name. Touches no accelerator."""
    facts = {
        "python": platform.python_version(),
        "platform": f"{platform.platform()}, {os.cpu_count()} CPUs",
        "revision": revision() or "not a git checkout",
    }
    return facts | {name: version(name) for name in PACKAGES}


def version(package: str) -> str:
    """The installed version of a package."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def revision() -> str | None:
    """The git commit that this code comes from, marked when files were changed."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    here = Path(__file__).parent
    try:
        told = subprocess.run(
            command, cwd=here, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return told.stdout.strip() or None
