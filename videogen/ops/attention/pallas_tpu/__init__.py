"""The TPU kernels behind the interface of `local.Kernel`."""

from videogen.ops.attention.pallas_tpu.blocks import Blocks as Blocks
from videogen.ops.attention.pallas_tpu.kernel import PallasTpuKernel as PallasTpuKernel
