"""How many clips got no caption, and why; too many end the run."""

import collections
import dataclasses

from data_pipelines.captioning.answers import Answer
from videogen.core.errors import DataError


@dataclasses.dataclass(kw_only=True)
class Tally:
    """Of a run over `total` clips; at most the share `most` may stay without caption."""

    total: int
    most: float
    nulls: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )

    done: int = 0

    def __str__(self) -> str:
        nulls = (
            f", {self.nulls.total()} without ({self.reasons()})" if self.nulls else ""
        )
        return f"{self.done} of {self.total} clips{nulls}"

    def add(self, answer: Answer) -> None:
        """Counts it. DataError once too many have failed: the others cannot mend it."""
        self.done += 1
        if answer.caption is not None:
            return
        self.nulls[answer.code] += 1
        if self.nulls.total() > self.most * self.total:
            raise DataError(
                f"{self.nulls.total()} of {self.total} clips have no caption "
                f"({self.reasons()}), the last, {answer.id}, since {answer.code}: "
                f"{answer.reason}; the dataset is unchanged and answers are kept: mend it "
                f"and run again, or allow more than --max-failures={self.most:g}"
            )

    def reasons(self) -> str:
        """'2 EMPTY, 1 REFUSAL'."""
        return ", ".join(f"{n} {code}" for code, n in sorted(self.nulls.items()))
