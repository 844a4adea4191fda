"""python -m videogen.cost SPEC [--chip=v5e,v6e] [name=value ...]: what a case costs.

SPEC is `module:function` or `file.py:function` of a function that returns a Case. Needs
libtpu (`make setup-tpu`, then .venv-tpu/bin/python) but no TPU.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from videogen.core.errors import ConfigError
from videogen.cost.compile import CompileError, KernelReport, Report, measure


def main(argv: list[str] | None = None) -> int:
    """Prints a report for each chip; 43 when one could not be made."""
    parser = argparse.ArgumentParser(prog="videogen.cost", description=__doc__)
    parser.add_argument("spec")
    parser.add_argument("--chip", default="v5e", help="one, or several with commas")
    parser.add_argument("--flags", default="", help="more for libtpu")
    parser.add_argument("--keep", type=Path, help="a folder for the compiler's dump")
    parser.add_argument("arguments", nargs="*", metavar="name=value")
    asked = parser.parse_intermixed_args(argv)
    values = dict(parse_argument(text) for text in asked.arguments)
    code = 0
    for chip in asked.chip.split(","):
        try:
            report = measure(
                asked.spec, chip, flags=asked.flags, keep=asked.keep, **values
            )
        except (CompileError, ConfigError, ValueError) as error:
            print(f"error: {chip}: {error}", file=sys.stderr)
            code = 43  # as of every door
            continue
        print(describe(report), *map(describe_kernel, report.kernels), sep="\n")
    return code


def parse_argument(text: str) -> tuple[str, Any]:
    """name=value, the value in JSON or else a string."""
    name, _, value = text.partition("=")
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


def describe(report: Report) -> str:
    """The whole program, on one line."""
    share = "" if report.mxu_share is None else f", MXU {report.mxu_share:.1%}"
    return (
        f"{report.chip}: {report.cycles / 1e6:.3f} Mcycles = {report.milliseconds:.3f} ms "
        f"(kernels {report.kernel_cycles / 1e6:.3f}, XLA {report.xla_cycles / 1e6:.3f})"
        f"{share}, peak {report.peak_bytes / 2**30:.2f} GiB"
    )


def describe_kernel(kernel: KernelReport) -> str:
    """One kernel: its steps, what each part of one costs, the slots it fills."""
    cost = kernel.cost
    slots = " ".join(f"{name} {share:.0%}" for name, share in cost.slots.items())
    lines = [
        f"  {kernel.name} x{kernel.calls}: {cost.steps} steps of "
        f"{cost.cycles_per_step:.1f} cycles, MXU busy "
        f"{cost.mxu_busy_per_step / cost.cycles_per_step:.1%}, inputs from HBM "
        f"{cost.input_share:.1%}",
        f"    {slots}",
    ]
    lines += [
        f"    {part.kind:<8} {part.share:.4f} x {part.cycles:.0f} cycles, "
        f"MXU busy {part.mxu_busy:.0f}, at {part.span.begin}"
        for part in cost.parts
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
