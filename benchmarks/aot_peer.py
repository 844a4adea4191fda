"""python -m benchmarks.aot_peer CHECKOUT [NAME ...]: MaxDiffusion's step, compiled as ours is.

CHECKOUT: a clone of github.com/AI-Hypercomputer/maxdiffusion; nothing of it is copied. Their
model, sharding rules, optimizer and step are theirs, as `WanTrainer` joins them; weights and
batches are shapes, and what they import only to load or show things is left out. The same
model, number of chips and batch as a case of benchmarks.aot; of each named case their step is
compiled, and ours once more with as little kept for the backward pass as they keep (needs
.venv-tpu, minutes); they are appended to results/aot_peer.jsonl and results/aot_lean.jsonl, and
the README's table is written of all that were. Their weights and moments are bfloat16, without
master weights or EMA, as their configs have it; ours are float32, with both.
"""

import dataclasses
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
LEAN_RESULTS = RESULTS.with_name("aot_lean.jsonl")
HEADER = ["case", "whose", "step s", "MFU", "exposed s", "peak GiB", "sent GB"]
LEAN = ("model.remat=full",)


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Beside a case of benchmarks.aot. fields: of their config; all keep inputs of blocks."""

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
        row, case = {"row": {"case": name}}, aot.CASES[name]
        lean = dataclasses.replace(case, overrides=(*case.overrides, *LEAN))
        records.append(LEAN_RESULTS, row | aot.figures(lean))
        records.append(RESULTS, row | figures(Path(checkout).absolute(), name))
    files = {"ours": aot.RESULTS, "ours, lean": LEAN_RESULTS, "theirs": RESULTS}
    found = {whose: records.read(path) for whose, path in files.items()}
    keys = {name: records.key({"case": name}) for name in PEERS}
    rows = [
        [name, whose, *cells(of[key])]
        for name, key in keys.items()
        for whose, of in found.items()
        if key in found["theirs"] and key in of
    ]
    table = records.markdown(HEADER, rows)
    print(table)
    records.write_between(records.ROOT / "README.md", "aot-peer", table)


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
    record = aot.kept(Forecast(chip=chip, report=report))
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return {"commit": commit.strip(), **record}


def cells(record: dict[str, Any]) -> list[str]:
    """Of a row of the table."""
    if "excess_gib" in record:
        return [f"{record['excess_gib']:.2f} GiB too large", *"----"]
    return [
        f"{record['step_seconds']:.2f}",
        f"{record['mfu']:.1%}",
        f"{record['exposed_seconds']:.2f}",
        f"{record['report']['peak_bytes'] / GIB:.1f}",
        f"{record['collective_bytes'] / 1e9:.0f}",
    ]


if __name__ == "__main__":
    main(*sys.argv[1:])
