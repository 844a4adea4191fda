"""Attention kernels side by side: static cycles, MXU share and peak memory on four TPUs.

    .venv-tpu/bin/python -m benchmarks.attention                # what is new, then the tables
    .venv-tpu/bin/python -m benchmarks.attention --chips=v6e --kernels="ours*" --again
    .venv-tpu/bin/python -m benchmarks.attention --table --write-readme

No TPU: libtpu compiles ahead of time and its final schedules are counted (videogen/cost), one
case after the other, some 10 s each. Estimates are lower bounds; compare them with each other.
"""

import argparse
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from functools import cache
from typing import Any

from benchmarks import records
from benchmarks.attention_rows import OURS, Row, rows
from benchmarks.attention_tables import Records, checks, tables
from videogen.core.errors import ConfigError
from videogen.cost.compile import CompileError, Report, TooSlowError, measure

RESULTS = records.ROOT / "benchmarks/results/attention.jsonl"
# Of one device and no mesh: not what cost/ knows of pods.
_OF_A_KERNEL = ("ahead", "bundles", "case", "compile", "hlo", "schedule", "worker")
INSTRUMENT = (
    *(f"videogen/cost/{name}.py" for name in _OF_A_KERNEL),
    *("videogen/parallel/chips.py", "benchmarks/attention_peers.py"),
)
OURSELVES = ("videogen/ops/attention/**/*.*", "benchmarks/attention_cases.py")


def main(argv: list[str] | None = None) -> int:
    """Measures and prints; 1 when a figure that was asked for is missed."""
    options = parse(argv)
    chosen = [row for row in rows() if wanted(row, options)]
    if options.list:
        print("\n".join(map(title, chosen)))
        return 0
    if not options.table:
        for row, record in measured(chosen, options.again):
            records.append(RESULTS, record)
            print(f"{title(row)}: {outcome(record)}", flush=True)
    found = records.read(RESULTS)
    text, figures = tables(found), checks(found)
    absent = [f"MISS {title(row)}: no figure" for row in unanswered(found)]
    print(text, *figures, *absent, sep="\n")
    if options.write_readme:
        records.compact(RESULTS)
        records.write_between(records.ROOT / "README.md", "attention", text)
    return int(bool(absent) or not all(figure.holds for figure in figures))


def parse(argv: list[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="benchmarks.attention",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    for name, what in (
        ("shapes", "such as 'K=12*' or patterns"),
        ("chips", "such as v5e,v6e"),
        ("kernels", "such as 'ours*' or 'JAX splash'"),
        ("passes", "forward, both"),
    ):
        parser.add_argument(f"--{name}", default="*", help=f"{what}; globs, commas")
    parser.add_argument("--again", action="store_true", help="also what is up to date")
    parser.add_argument(
        "--list", action="store_true", help="say what would be measured"
    )
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--write-readme", action="store_true")
    return parser.parse_args(argv)


def wanted(row: Row, options: argparse.Namespace) -> bool:
    """Whether the flags choose this row."""
    passes = "both" if row.both else "forward"
    pairs = (
        (row.shape, options.shapes),
        (row.chip, options.chips),
        (row.kernel, options.kernels),
        (passes, options.passes),
    )
    return all(any(fnmatch(x, glob) for glob in globs.split(",")) for x, globs in pairs)


def measured(chosen: list[Row], again: bool) -> Iterator[tuple[Row, records.Record]]:
    """New records of the rows that have none, or one of other sources.

    That a machine was too slow says nothing of a row, and is no record.
    """
    known = records.read(RESULTS)
    for row in chosen:
        old = known.get(records.key(row.identity), {})
        if again or old.get("source") != source(row.spec):
            try:
                yield row, record_of(row)
            except TooSlowError as late:
                print(f"{title(row)}: {late}", file=sys.stderr)


def unanswered(found: Records) -> list[Row]:
    """Rows never measured, and ours that were refused: of others that is an answer."""
    return [
        row
        for row in rows()
        if "mcycles" not in (record := found.get(records.key(row.identity), {}))
        and ("error" not in record or row.spec.startswith(OURS))
    ]


def record_of(row: Row) -> records.Record:
    """One measurement, or the compiler's reason why there is none."""
    record = {"row": row.identity, "source": source(row.spec)}
    try:
        report = measure(row.spec, row.chip, **row.arguments)
    except TooSlowError:
        raise
    except (CompileError, ConfigError, ValueError) as error:
        return record | {"error": str(error)}
    return record | figures_of(report)


def figures_of(report: Report) -> records.Record:
    """What is worth keeping of a report."""
    found: dict[str, Any] = {
        "mcycles": round(report.cycles / 1e6, 3),
        "xla_mcycles": round(report.xla_cycles / 1e6, 3),
        "ms": round(report.milliseconds, 3),
        "mxu": report.mxu_share and round(report.mxu_share, 4),
        "peak_gib": round(report.peak_bytes / 2**30, 3),
        "compile_seconds": round(report.compile_seconds, 1),
        "kernels": {
            kernel.name: [kernel.calls, kernel.cost.steps, kernel.cost.cycles_per_step]
            for kernel in report.kernels
        },
    }
    return found | ({"facts": dict(report.facts)} if report.facts else {})


@cache
def source(spec: str) -> str:
    """Of everything that a row of this case depends on."""
    own = OURSELVES if spec.startswith(OURS) else ()
    packages = ("jax", "libtpu", *(() if own else ("tokamax",)))
    return records.source_hash((*INSTRUMENT, *own), packages)


def title(row: Row) -> str:
    """One row on one line."""
    passes = "forward and backward" if row.both else "forward"
    return f"{row.chip}, {row.shape}, {row.kernel}, {passes}"


def outcome(record: records.Record) -> str:
    """What was measured, or why not."""
    if "error" in record:
        return f"error: {record['error']}"
    share = f" MXU {record['mxu']:.1%}" if record["mxu"] else ""
    return f"{record['mcycles']:.2f} Mcycles{share}, {record['peak_gib']:.2f} GiB"


if __name__ == "__main__":
    sys.exit(main())
