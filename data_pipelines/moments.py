"""Mean and standard deviation of latents per channel, in parts that add up."""

import dataclasses

import numpy as np


@dataclasses.dataclass(kw_only=True, eq=False)
class Moments:
    """Count, sum and sum of squares over all but the last dim, in float64.

    Float sums depend on their order: merge the parts in plan order.
    """

    count: int
    sum_C: np.ndarray
    square_sum_C: np.ndarray

    @classmethod
    def empty(cls, channels: int) -> "Moments":
        return cls(count=0, sum_C=np.zeros(channels), square_sum_C=np.zeros(channels))

    @classmethod
    def from_json(cls, data: dict) -> "Moments":
        return cls(
            count=data["count"],
            sum_C=np.array(data["sum_C"]),
            square_sum_C=np.array(data["square_sum_C"]),
        )

    def to_json(self) -> dict:
        return {
            "count": self.count,
            "sum_C": self.sum_C.tolist(),
            "square_sum_C": self.square_sum_C.tolist(),
        }

    def add(self, latent_FHWC: np.ndarray) -> None:
        rows = latent_FHWC.reshape(-1, latent_FHWC.shape[-1]).astype(np.float64)
        self.count += len(rows)
        self.sum_C = self.sum_C + rows.sum(axis=0)
        self.square_sum_C = self.square_sum_C + np.square(rows).sum(axis=0)

    def merge(self, other: "Moments") -> None:
        self.count += other.count
        self.sum_C = self.sum_C + other.sum_C
        self.square_sum_C = self.square_sum_C + other.square_sum_C

    def mean_and_std(self) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Per channel; a channel that never varies gets std 1, so that it divides."""
        mean_C = self.sum_C / self.count
        variance_C = np.maximum(self.square_sum_C / self.count - mean_C**2, 0)
        std_C = np.where(variance_C > 1e-12, np.sqrt(variance_C), 1.0)
        return tuple(mean_C.tolist()), tuple(std_C.tolist())
