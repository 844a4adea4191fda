"""Compiles a case ahead of time for a TPU that is not there, and adds up what it costs.

libtpu compiles for any topology without a TPU. A subprocess does it, with the final
schedules dumped: cycles of the kernels are those of their schedules (schedule.py), cycles
of everything else are XLA's own estimates (hlo.py).
"""

import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videogen.cost import bundles, hlo
from videogen.cost.schedule import KernelCost, Shares, cost_kernel
from videogen.parallel.chips import Chip, find_chip

DUMP_FLAGS = (
    "--xla_jf_dump_llo_text=true",
    "--xla_jf_dump_llo_pass_label_regex=.*final.*",  # a few MB, not hundreds
)
# What libtpu would ask of the machine it runs on; any answer will do to compile.
NO_TPU = {
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_WORKER_ID": "0",
}
_SCHEDULE_FILE = re.compile(r"\d+-(.*)-\d+-final_bundles\.txt")
_USE_FILE = "*-final_hlo-static-per-bundle-utilization.txt"
LONGEST_REASON = 600


class CompileError(RuntimeError):
    """Nothing to compile with, or the compiler refuses: one line with its reason."""


@dataclass(frozen=True, kw_only=True)
class KernelReport:
    """One kernel of a program: how often it is called and what a call costs a core."""

    name: str
    calls: int
    cost: KernelCost


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run of a program costs one device; cycles are those of one core."""

    chip: str
    cycles: float
    kernel_cycles: float
    xla_cycles: int
    milliseconds: float
    mxu_share: float | None  # useful FLOPs of the peak; None: the case states no FLOPs
    peak_bytes: int
    bytes: Mapping[str, int]
    kernels: tuple[KernelReport, ...]
    operations: Mapping[str, int]  # XLA's estimated cycles, the dearest
    unknown_loops: tuple[str, ...]  # loops of XLA counted once
    facts: Mapping[str, float]  # the case's own
    compile_seconds: float


def measure(
    spec: str,
    chip: str,
    *,
    topology: str | None = None,
    flags: str = "",
    keep: Path | None = None,
    timeout: float = 1500.0,
    **arguments: Any,
) -> Report:
    """The cost of the case that `spec` names, on `chip`.

    spec: `module:function` or `file.py:function`; the function takes the topology's
        devices and `arguments`, which JSON must be able to carry, and returns a Case.
    topology: another one than the chip's smallest. flags: more for libtpu.
    keep: a folder for what the compiler dumped.

    Raises CompileError; ConfigError for an unknown chip; ValueError when the case's
    shares do not fit a kernel.
    """
    found = find_chip(chip)
    if importlib.util.find_spec("libtpu") is None:
        raise CompileError(
            f"libtpu is not installed in {sys.prefix}: "
            "`make setup-tpu`, then use .venv-tpu/bin/python"
        )
    with tempfile.TemporaryDirectory(prefix="videogen-cost-") as name:
        folder, began = Path(name), time.monotonic()
        command = [sys.executable, "-m", "videogen.cost.worker", spec]
        command += [topology or found.topology, json.dumps(arguments), name]
        _compile(command, folder, flags, timeout)
        seconds = time.monotonic() - began
        if keep is not None:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
        return read_dump(folder, found, seconds)


def environment(folder: Path, flags: str = "") -> dict[str, str]:
    """The variables of a process that compiles and dumps into `folder`."""
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    dump = " ".join([f"--xla_jf_dump_to={folder}", *DUMP_FLAGS, flags])
    own = {"JAX_PLATFORMS": "cpu", "JAX_ENABLE_COMPILATION_CACHE": "false"}
    return os.environ | NO_TPU | own | {"LIBTPU_INIT_ARGS": dump, "PYTHONPATH": path}


def read_dump(folder: Path, chip: Chip, seconds: float) -> Report:
    """The report of a folder that the worker and libtpu have filled."""
    record = json.loads((folder / "case.json").read_text())
    module = hlo.parse_module((folder / "module.txt").read_text())
    shares = {name: _shares(fields) for name, fields in record["shares"].items()}
    files = _schedule_files(folder)
    costs = {
        kernel.name: _cost(_file_of(kernel, module, files), kernel.name, chip, shares)
        for kernel in module.kernels()
    }
    kernel_cycles = {name: cost.cycles for name, cost in costs.items()}
    totals = hlo.count(module, kernel_cycles, record["branch"])
    cycles = totals.cycles(kernel_cycles)
    xla_cycles = sum(totals.operations.values())
    useful = (record["flops"] or 0) / 2 / chip.macs_per_cycle / chip.cores_per_device
    return Report(
        chip=chip.name,
        cycles=cycles,
        kernel_cycles=cycles - xla_cycles,
        xla_cycles=xla_cycles,
        milliseconds=1e3 * cycles / chip.clock_hz,
        mxu_share=useful / cycles if record["flops"] else None,
        peak_bytes=record["bytes"]["peak"],
        bytes=record["bytes"],
        kernels=tuple(
            KernelReport(name=name, calls=calls, cost=costs[name])
            for name, calls in totals.kernels.items()
        ),
        operations=dict(totals.operations.most_common(8)),
        unknown_loops=tuple(sorted(totals.unknown_loops)),
        facts=record["facts"],
        compile_seconds=seconds,
    )


def _compile(command: list[str], folder: Path, flags: str, timeout: float) -> None:
    with (folder / "output.txt").open("w") as output:
        try:
            subprocess.run(
                command,
                env=environment(folder, flags),
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise CompileError(f"not compiled within {timeout:.0f} s") from None
    if (folder / "case.json").exists():
        return
    error = folder / "error.txt"
    if error.exists():
        raise CompileError(_one_line(error.read_text()))
    last = (folder / "output.txt").read_text().strip().splitlines()[-3:]
    raise CompileError(f"the compiler died: {_one_line(' | '.join(last))}")


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST_REASON else line[:LONGEST_REASON] + " ..."


def _shares(fields: Mapping[str, Any]) -> Shares:
    """Back from JSON, which knows no tuples."""
    bodies, cold, steps = fields["bodies"], fields["cold"], fields["steps"]
    cold = tuple(cold) if isinstance(cold, list) else cold
    return Shares(bodies=tuple(bodies), cold=cold, steps=steps)


def _schedule_files(folder: Path) -> dict[str, Path]:
    """The schedule of each instruction that was compiled, by the instruction's name."""
    matches = [_SCHEDULE_FILE.fullmatch(p.name) for p in sorted(folder.iterdir())]
    return {found[1]: folder / found[0] for found in matches if found}


def _file_of(
    kernel: hlo.Instruction, module: hlo.Module, files: Mapping[str, Path]
) -> Path:
    """Its schedule, or that of an equal kernel: those are compiled once."""
    if kernel.name in files:
        return files[kernel.name]
    for twin in module.kernels():
        if twin.name in files and twin.kernel_key == kernel.kernel_key:
            return files[twin.name]
    raise CompileError(f"libtpu dumped no schedule of the kernel {kernel.name}")


def _cost(
    file: Path, name: str, chip: Chip, shares: Mapping[str, Shares]
) -> KernelCost:
    stem = re.sub(r"-\d+-final_bundles\.txt$", "", file.name)
    use = next(x for x in file.parent.glob(_USE_FILE) if x.name.startswith(f"{stem}-"))
    fitting = [key for key in shares if key in name]
    own = shares[max(fitting, key=len)] if fitting else Shares()
    try:
        return cost_kernel(
            bundles.parse_schedule(file.read_text(errors="replace")),
            bundles.parse_utilisation(use.read_text()),
            chip,
            own,
        )
    except ValueError as error:
        raise ValueError(f"kernel {name}: {error}") from None
