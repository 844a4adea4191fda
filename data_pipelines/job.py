"""What a phase is given."""

import dataclasses
import pathlib
from typing import Any

from data_pipelines.quarantine import Rejected
from data_pipelines.tables import Row, Tables
from data_pipelines.units import Answer, Engine


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """One phase of one run."""

    phase: str
    settings: Any  # the phase's dataclass of settings.py
    tables: Tables
    inputs: tuple[str, ...]  # the phases whose tables it reads
    parts: pathlib.Path  # of these settings and of the tables as they are
    engine: Engine
    out: pathlib.Path  # the dataset; only encode and finalise write there

    def rejected(self, row: Row, answer: Answer) -> Rejected:
        """Of an item that got no rows; `row` says `id` and `name`."""
        return Rejected(
            phase=self.phase,
            id=row["id"],
            name=row["name"],
            code=answer["code"],
            reason=answer["reason"],
        )
