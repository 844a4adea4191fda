"""What went into each phase, what came out, and what was set aside for which reason."""

import dataclasses
import json

from data_pipelines.quarantine import CODES, Rejected
from data_pipelines.tables import Tables

BEFORE = ("ingest", "shots", "score", "dedup", "select", "caption-clips")
GIVEN = {"ingest": "files", "shots": "videos"}  # the others are given clips


@dataclasses.dataclass(frozen=True, kw_only=True)
class Funnel:
    """The counts of every phase, and what its arguments were."""

    counts: dict[str, dict[str, int]]  # phase -> in, out, codes
    arguments: dict[str, object]  # phase -> its arguments
    rejected: tuple[Rejected, ...]

    @classmethod
    def of(cls, tables: Tables, encoded: Tables) -> "Funnel":
        """Of the phases that have ended."""
        places = {**dict.fromkeys(BEFORE, tables), "encode": encoded}
        found = {phase: place.receipt(phase) for phase, place in places.items()}
        receipts = {phase: receipt for phase, receipt in found.items() if receipt}
        if "encode" in receipts and "caption-clips" not in receipts["encode"].inputs:
            receipts.pop("caption-clips", None)  # there, but of no part in the dataset
        return cls(
            counts={phase: receipt.counts for phase, receipt in receipts.items()},
            arguments={phase: receipt.arguments for phase, receipt in receipts.items()},
            rejected=tuple(r for p in receipts for r in places[p].rejected(p)),
        )

    def to_json(self) -> str:
        phases = [{"phase": phase, **counts} for phase, counts in self.counts.items()]
        return json.dumps(phases, indent=1) + "\n"

    def __str__(self) -> str:
        """A table for people."""
        lines = [f"  {'phase':<14}{'in':>12}{'out':>12}  set aside"]
        for phase, counts in self.counts.items():
            given = f"{counts['in']} {GIVEN.get(phase, 'clips')}"
            codes = [f"{n} {code}" for code, n in counts.items() if code in CODES]
            lines.append(
                f"  {phase:<14}{given:>12}{counts['out']:>12}  {', '.join(codes)}".rstrip()
            )
        return "\n".join(lines)
