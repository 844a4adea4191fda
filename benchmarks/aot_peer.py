"""python -m benchmarks.aot_peer CHECKOUT [NAME ...]: MaxDiffusion's step, compiled as ours is.

CHECKOUT: a clone of github.com/AI-Hypercomputer/maxdiffusion; nothing of it is copied. Their
model, sharding rules, optimizer and step are theirs, as `WanTrainer` joins them; weights and
batches are shapes, and what they import only to load or show things is left out. The same
model, number of chips and batch as a case of benchmarks.aot; each named case is compiled
(needs .venv-tpu, minutes) and appended to results/aot_peer.jsonl, then all are printed. Their
weights and moments are bfloat16, without master weights or EMA, as their configs have it.
"""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks import aot, records
from videogen.cost.compile import measure
from videogen.forecast import GIB, Forecast
from videogen.parallel.chips import find_topology

RESULTS = Path(__file__).parent / "results/aot_peer.jsonl"
HEADER = ["case", "step s", "theirs", "MFU", "theirs", "HBM GiB", "theirs"]
HEADER += ["sent GB", "theirs"]


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Beside a case of benchmarks.aot. fields: of their config."""

    config: str
    fields: tuple[str, ...]


SCAN = ("remat_policy=FULL", "disable_training_weights=True")
PEERS = {
    "wan2_1_t2v_1_3b v5e:4x4": Peer(
        config="base_wan_1_3b.yml",
        fields=(
            *("ici_fsdp_parallelism=16", "ici_context_parallelism=1"),
            *("height=480", "width=832", "per_device_batch_size=1", *SCAN),
        ),
    ),
    "wan2_1_t2v_14b v5p:4x4x8": Peer(
        config="base_wan_14b.yml",
        fields=(
            *("ici_fsdp_parallelism=16", "ici_context_parallelism=8"),
            *("attention=ulysses", "per_device_batch_size=0.25", *SCAN),
        ),
    ),
}


def main(checkout: str, *names: str) -> None:
    """Compiles the named cases, then prints all that were."""
    for name in names:
        records.append(RESULTS, figures(Path(checkout).absolute(), name))
    found = {x["row"]["case"]: x for x in records.read(RESULTS).values()}
    ours = {x["row"]["case"]: x for x in records.read(aot.RESULTS).values()}
    rows = [[name, *pairs(ours[name], peer)] for name, peer in found.items()]
    print(records.markdown(HEADER, rows))


def figures(checkout: Path, name: str) -> dict[str, Any]:
    """Of their step on the topology of our case."""
    case, peer = aot.CASES[name], PEERS[name]
    chip = find_topology(case.topology)
    report = measure(
        "benchmarks.aot_peer_case:step_case",
        chip.name,
        topology=case.topology,
        timeout=3600.0,
        checkout=str(checkout),
        config=peer.config,
        fields=peer.fields,
        model=Path(case.config).stem,
    )
    record = Forecast(chip=chip, report=report).record()
    del record["report"]["kernels"]
    record["report"]["traffic"] = record["report"]["traffic"][: aot.SHOWN]
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {"row": {"case": name}, "commit": commit.strip(), **record}


def pairs(ours: dict[str, Any], theirs: dict[str, Any]) -> list[str]:
    """Cells of the table: ours, theirs, by turns."""
    both = ours, theirs
    return [
        *(f"{x['step_seconds']:.2f}" for x in both),
        *(f"{x['mfu']:.1%}" for x in both),
        *(f"{x['report']['peak_bytes'] / GIB:.1f}" for x in both),
        *(sent(x) for x in both),
    ]


def sent(record: dict[str, Any]) -> str:
    """Whole arrays of all collectives, if that was recorded."""
    if "collective_bytes" not in record:
        return "-"
    return f"{record['collective_bytes'] / 1e9:.0f}"


if __name__ == "__main__":
    main(*sys.argv[1:])
