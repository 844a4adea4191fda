"""How many clips got no caption, and why; too many, or a server that is gone, end the run."""

import collections
import dataclasses

from data_pipelines.captioning.answers import Answer
from videogen.core.errors import DataError
from videogen.text.chat.endpoint import is_absent


@dataclasses.dataclass(kw_only=True)
class Tally:
    """Of a run over `total` clips; at most the share `most` may stay without caption.

    A server that is gone is no clip's fault: after `patience` of those in a row nobody is
    asked any more, and not one may be left at the end.
    """

    total: int
    most: float
    patience: int
    nulls: collections.Counter[str] = dataclasses.field(
        default_factory=collections.Counter
    )
    done: int = 0
    absent: int = 0  # answers in a row

    def __str__(self) -> str:
        nulls = (
            f", {self.nulls.total()} without ({self.reasons()})" if self.nulls else ""
        )
        return f"{self.done} of {self.total} clips{nulls}"

    def add(self, answer: Answer) -> None:
        """Counts it. DataError once too many have failed: the others cannot mend it."""
        self.done += 1
        self.absent = self.absent + 1 if is_absent(answer.code) else 0
        if answer.caption is None:
            self.nulls[answer.code] += 1
        any_absent = any(map(is_absent, self.nulls))
        if self.absent == self.patience or (any_absent and self.done == self.total):
            raise DataError(
                f"the endpoint is not always there: of {self.done} clips asked about, "
                f"{self.nulls.total()} have no caption ({self.reasons()}); the dataset is "
                "unchanged and answers are kept: run again when it is, with fewer "
                "threads or a longer time limit if it had too much to do"
            )
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
