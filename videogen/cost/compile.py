"""Compiles a case ahead of time for a TPU that is not there, and adds up what it costs.

libtpu compiles for any topology without a TPU. A subprocess does it, with the final
schedules dumped: cycles of the kernels are those of their schedules (schedule.py), cycles
of everything else are XLA's own estimates (hlo.py).
"""

import dataclasses
import importlib.util
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from videogen.core.errors import ConfigError
from videogen.cost import bundles, hlo, kinds
from videogen.cost import timeline as timelines
from videogen.cost.pod import Pod
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


class TooSlowError(CompileError):
    """Not compiled in time, which may be this machine's fault."""


@dataclass(frozen=True, kw_only=True)
class KernelReport:
    """One kernel of a program: how often it is called and what a call costs a core."""

    name: str
    calls: int
    cost: KernelCost


@dataclass(frozen=True, kw_only=True)
class TrafficReport:
    """Collectives of one kind along one set of mesh axes, in one run, on one device."""

    kind: str
    axes: tuple[str, ...]
    what: str  # the traced operation
    count: int
    num_bytes: int
    seconds: float  # on the wire
    exposed_seconds: float  # in which the device waits


@dataclass(frozen=True, kw_only=True)
class Report:
    """What one run of a program costs one device; cycles are those of one core.

    Waits for collectives are in `traffic` alone, and in it only if the case has a pod.
    """

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
    kinds: Mapping[str, int]  # XLA's estimated cycles, by what is done
    traffic: tuple[TrafficReport, ...]  # the most exposed first
    axes: Mapping[str, int]  # of the mesh, if the case has a pod
    facts: Mapping[str, float]  # the case's own
    compile_seconds: float
    compile_cpu_seconds: float

    @property
    def exposed_seconds(self) -> float:
        """In which the device waits for others."""
        return sum((x.exposed_seconds for x in self.traffic), 0.0)


def measure(
    spec: str,
    chip: str,
    *,
    topology: str | None = None,
    slices: int = 1,
    flags: str = "",
    keep: Path | None = None,
    cache: Path | None = None,
    timeout: float = 1500.0,
    **arguments: Any,
) -> Report:
    """The cost of the case that `spec` names, on `chip`.

    spec: `module:function` or `file.py:function`; the function takes the topology's
        devices and `arguments`, which JSON must be able to carry, and returns a Case.
    topology: another one than the chip's smallest. slices: so many of it, which a data
        centre's network joins. flags: more for libtpu.
    keep: a folder for what the compiler dumped. cache: JAX's, for the program.

    Raises CompileError; ConfigError for an unknown chip; ValueError when the case's
    shares do not fit a kernel.
    """
    found = find_chip(chip)
    require_libtpu()
    with tempfile.TemporaryDirectory(prefix="videogen-cost-") as name:
        folder, began, cpu = Path(name), time.monotonic(), _children_cpu_seconds()
        command = [sys.executable, "-m", "videogen.cost.worker", spec]
        command += [topology or found.topology, json.dumps(arguments), name]
        command += [str(slices)]
        _compile(command, folder, environment(folder, flags, cache), timeout)
        seconds = time.monotonic() - began
        if keep is not None:
            shutil.copytree(folder, keep, dirs_exist_ok=True)
        cpu = _children_cpu_seconds() - cpu
        return dataclasses.replace(
            read_dump(folder, found, seconds), compile_cpu_seconds=cpu
        )


def require_libtpu() -> None:
    """CompileError where there is none."""
    if importlib.util.find_spec("libtpu") is None:
        raise CompileError(
            f"libtpu is not installed in {sys.prefix}: "
            "`make setup-tpu`, then use .venv-tpu/bin/python"
        )


def environment(
    folder: Path, flags: str = "", cache: Path | None = None
) -> dict[str, str]:
    """The variables of a process that compiles, dumps into `folder` and fills `cache`.

    What the caller's own LIBTPU_INIT_ARGS say holds there too. ConfigError with a cache: they
    would be in its program, and not in the name under which a job looks for it.
    """
    root = str(Path(__file__).parents[2])
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    given = os.environ.get("LIBTPU_INIT_ARGS", "")
    if given and cache:
        raise ConfigError(
            f"LIBTPU_INIT_ARGS={given!r}: no job would find such a program in the cache; "
            "unset it, config.mesh.xla takes flags too"
        )
    dump = " ".join([f"--xla_jf_dump_to={folder}", *DUMP_FLAGS, given, flags])
    own = {"JAX_PLATFORMS": "cpu"}
    if cache is None:
        own |= {"JAX_ENABLE_COMPILATION_CACHE": "false"}
    else:
        own |= {"JAX_COMPILATION_CACHE_DIR": str(cache.absolute())}
    return os.environ | NO_TPU | own | {"LIBTPU_INIT_ARGS": dump, "PYTHONPATH": path}


def read_dump(folder: Path, chip: Chip, seconds: float) -> Report:
    """The report of a folder that the worker and libtpu have filled."""
    record = json.loads((folder / "case.json").read_text())
    module = hlo.parse_module((folder / "module.txt").read_text())
    shares = {name: _shares(fields) for name, fields in record["shares"].items()}
    files = _schedule_files(folder)
    costs = {
        kernel.name: _cost(kernel, _file_of(kernel, module, files), chip, shares)
        for kernel in module.kernels()
    }
    kernel_cycles = {name: cost.cycles for name, cost in costs.items()}
    walk = hlo.Walk(module, kernel_cycles, record["branch"])
    totals = walk.total(module.entry)
    pod = _pod(record.get("pod"))
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
        kinds=kinds.cycles_by_kind(module, totals),
        traffic=_traffic(walk, pod, chip) if pod else (),
        axes=pod.axes if pod else {},
        facts=record["facts"],
        compile_seconds=seconds,
        compile_cpu_seconds=0.0,
    )


def _pod(fields: Mapping[str, Any] | None) -> Pod | None:
    """Back from JSON, which knows no tuples."""
    if fields is None:
        return None
    return Pod(axes=fields["axes"], places=tuple(map(tuple, fields["places"])))


def _traffic(walk: hlo.Walk, pod: Pod, chip: Chip) -> tuple[TrafficReport, ...]:
    timeline = timelines.Replay(walk, pod, chip).run(walk.module.entry)
    reports = [
        TrafficReport(
            **route._asdict(),
            count=sent.count,
            num_bytes=sent.num_bytes,
            seconds=sent.cycles / chip.clock_hz,
            exposed_seconds=sent.exposed / chip.clock_hz,
        )
        for route, sent in timeline.traffic.items()
    ]
    return tuple(sorted(reports, key=lambda x: (-x.exposed_seconds, -x.num_bytes)))


def _children_cpu_seconds() -> float:
    """Of processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _compile(
    command: list[str], folder: Path, variables: Mapping[str, str], timeout: float
) -> None:
    with (folder / "output.txt").open("w") as output:
        try:
            subprocess.run(
                command,
                env=variables,
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise TooSlowError(f"not compiled within {timeout:.0f} s") from None
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


def _shares(fields: Mapping[str, Any], num_cores: int = 1) -> Shares:
    """Back from JSON, which knows no tuples. num_cores: over which the steps are spread."""
    bodies, cold, steps = fields["bodies"], fields["cold"], fields["steps"]
    cold = tuple(cold) if isinstance(cold, list) else cold
    steps = None if steps is None else -(-steps // num_cores)
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
    kernel: hlo.Instruction, file: Path, chip: Chip, shares: Mapping[str, Shares]
) -> KernelCost:
    """By the case's shares, or else by those that the kernel itself has noted."""
    name, noted = kernel.name, kernel.kernel_shares
    stem = re.sub(r"-\d+-final_bundles\.txt$", "", file.name)
    use = next(x for x in file.parent.glob(_USE_FILE) if x.name.startswith(f"{stem}-"))
    fitting = [key for key in shares if key in name]
    if fitting:
        own = shares[max(fitting, key=len)]
    else:
        own = _shares(noted, chip.cores_per_device) if noted else Shares()
    try:
        return cost_kernel(
            bundles.parse_schedule(file.read_text(errors="replace")),
            bundles.parse_utilisation(use.read_text()),
            chip,
            own,
        )
    except ValueError as error:
        raise ValueError(f"kernel {name}: {error}") from None
