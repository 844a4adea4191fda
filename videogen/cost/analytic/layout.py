"""How a step is laid over devices: the mesh, what is recomputed, in how many parts."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Layout:
    """One choice of `videogen plan`. ulysses: of the context axis; a ring has the rest."""

    replica: int = 1
    fsdp: int = 1
    context: int = 1
    tensor: int = 1
    ulysses: int = 1
    remat: str = "full"
    microbatches: int = 1

    @property
    def axes(self) -> dict[str, int]:
        """The mesh, slow to fast network."""
        return {
            "replica": self.replica,
            "fsdp": self.fsdp,
            "context": self.context,
            "tensor": self.tensor,
        }

    @property
    def num_devices(self) -> int:
        return math.prod(self.axes.values())

    @property
    def ring(self) -> int:
        return self.context // self.ulysses

    def clips(self, global_batch: int) -> float:
        """What a device has of a batch: clips, or a part of one that is cut over context."""
        return global_batch / (self.replica * self.fsdp * self.context)

    @property
    def flags(self) -> list[str]:
        """That make a config of it."""
        return [
            *(f"mesh.{axis}={size}" for axis, size in self.axes.items()),
            f"model.remat={self.remat}",
            f"optimizer.microbatches={self.microbatches}",
        ]
