"""Compiles one case: python -m videogen.cost.worker SPEC TOPOLOGY JSON DIR [SLICES].

Writes DIR/module.txt (the compiled module) and DIR/case.json, or DIR/error.txt.
"""

import dataclasses
import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies

from videogen.cost.ahead import compile_case, memory_of
from videogen.cost.case import Case
from videogen.parallel.chips import find_topology, unknown_topology


def load(spec: str) -> Callable[..., Case]:
    """The function that `module:function` or `file.py:function` names."""
    place, _, name = spec.rpartition(":")
    if not place.endswith(".py"):
        return getattr(importlib.import_module(place), name)
    found = importlib.util.spec_from_file_location(Path(place).stem, place)
    if found is None or found.loader is None:
        raise ImportError(f"{place} is not a Python file")
    module = importlib.util.module_from_spec(found)
    sys.modules[found.name] = module
    found.loader.exec_module(module)
    return getattr(module, name)


def devices_of(topology: str, slices: int = 1) -> Any:
    """Of slices that are not there. ConfigError for one that libtpu cannot lay out."""
    try:
        found = topologies.get_topology_desc(
            topology_name=topology, platform="tpu", num_slices=slices
        )
    except jax.errors.JaxRuntimeError as error:
        if "INVALID_ARGUMENT" not in str(error):
            raise
        raise unknown_topology(topology, find_topology(topology)) from error
    return found.devices


def main(
    spec: str, topology: str, arguments: str, folder: str, slices: str = "1"
) -> None:
    """Compiles the case and writes what the parent process reads."""
    out = Path(folder)
    try:
        devices = devices_of(topology, int(slices))
        if os.environ.get("JAX_ENABLE_COMPILATION_CACHE") != "false":
            # libtpu has read them; a job without these flags shall find the program.
            os.environ.pop("LIBTPU_INIT_ARGS", None)
        case = load(spec)(devices, **json.loads(arguments))
        compiled = compile_case(case, devices)
    except Exception as error:
        (out / "error.txt").write_text(f"{type(error).__name__}: {error}")
        raise
    (out / "module.txt").write_text(compiled.as_text())
    shares = {name: dataclasses.asdict(x) for name, x in case.shares.items()}
    record = {"flops": case.flops, "branch": case.branch, "shares": shares}
    record |= {"bytes": memory_of(compiled), "facts": dict(case.facts)}
    record |= {"pod": case.pod and dataclasses.asdict(case.pod)}
    (out / "case.json").write_text(json.dumps(record))


if __name__ == "__main__":
    main(*sys.argv[1:])
