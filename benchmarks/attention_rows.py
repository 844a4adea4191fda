"""What is measured of attention, on which shapes and chips, and what is asked of it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from videogen.ops.attention.specs import SPECS

OURS, PEERS = "benchmarks.attention_cases", "benchmarks.attention_peers"
CHIPS = ("v5e", "v5p", "v6e", "tpu7x")


@dataclass(frozen=True, kw_only=True)
class Shape:
    """K heads of dim E over N tokens, self-attention in bfloat16."""

    K: int
    E: int
    N: int

    @property
    def name(self) -> str:
        return f"K={self.K} E={self.E} N={self.N}"


WAN = Shape(K=12, E=128, N=32_768)
LONG = Shape(K=10, E=128, N=75_600)  # a share of Wan-14B's heads; a multiple of little
NARROW = Shape(K=16, E=64, N=32_768)
LATTE = Shape(K=16, E=72, N=32_768)


@dataclass(frozen=True, kw_only=True)
class Kernel:
    """A column of the table: the case's function and its arguments."""

    name: str
    spec: str
    forward: dict[str, Any] | None = None  # arguments; None: not measured alone
    both: dict[str, Any] | None = None  # of forward and backward together


NO_MAX, WRAPPER = "ours", "ours (batch tokens heads dim)"
BOUNDED, ONLINE, CHOSEN = "ours (bounded)", "ours (online)", "ours (mode from the data)"
FLASH, SPLASH, FUSED = "JAX flash", "JAX splash", "JAX splash (fused backward)"
TOKAMAX, TOKAMAX_DQ3 = "tokamax splash", "tokamax splash (dq_reduction_steps=3)"
TOKAMAX_MAX = "tokamax splash (max_logit_const)"

_FULL, _TOKAMAX = f"{OURS}:full", f"{PEERS}:tokamax_splash"
_DQ3 = {"dq_steps": 3, "block_kv_backward": 2048}
KERNELS = {
    kernel.name: kernel
    for kernel in (
        Kernel(name=NO_MAX, spec=_FULL, forward={"mode": "none"}, both={}),
        Kernel(name=BOUNDED, spec=_FULL, forward={"mode": "bounded"}),
        Kernel(name=ONLINE, spec=_FULL, forward={"mode": "online"}),
        Kernel(name=CHOSEN, spec=_FULL, forward={"mode": "chosen"}),
        Kernel(name=WRAPPER, spec=f"{OURS}:wrapper", forward={}, both={}),
        Kernel(name=FLASH, spec=f"{PEERS}:jax_flash", forward={}, both={}),
        Kernel(name=SPLASH, spec=f"{PEERS}:jax_splash", forward={}, both={}),
        Kernel(name=FUSED, spec=f"{PEERS}:jax_splash", both={"fused": True}),
        Kernel(name=TOKAMAX, spec=_TOKAMAX, forward={}, both={}),
        Kernel(name=TOKAMAX_DQ3, spec=_TOKAMAX, both=_DQ3),
        Kernel(
            name=TOKAMAX_MAX,
            spec=_TOKAMAX,
            forward={"max_logit": 10.0},
            both=_DQ3 | {"max_logit": 10.0},
        ),
    )
}
MAIN = (NO_MAX, SPLASH, TOKAMAX, TOKAMAX_DQ3)
# (shape, chips, kernels)
FULL = (
    (WAN, CHIPS, tuple(KERNELS)),
    (LONG, CHIPS, MAIN),
    (NARROW, ("v5e", "v6e"), (*MAIN, BOUNDED)),
    (LATTE, ("v5e", "v6e"), (*MAIN, BOUNDED)),
)
# Sparse attention, K=12 E=128: static patterns, and segments known only when it runs.
PATTERNS = ("window", "sliding-tile", "block-causal", "8 segments")
PATTERN_CHIPS = ("v5p", "v6e")
# What published models attend at full size, as specs.py has it, and the most tokens of all.
PUBLISHED = tuple(
    name
    for name, spec in SPECS.items()
    if "video" in spec.tags and not name.startswith("heads_of_")  # those are above
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement: `both` is forward and backward together."""

    shape: str
    chip: str
    kernel: str
    both: bool
    spec: str
    arguments: dict[str, Any]

    @property
    def identity(self) -> dict[str, Any]:
        return {x: getattr(self, x) for x in ("shape", "chip", "kernel", "both")}


def rows() -> Iterator[Row]:
    """All rows of the tables, in their order."""
    for shape, chips, names in FULL:
        for chip in chips:
            for name in names:
                kernel, sizes = KERNELS[name], asdict(shape)
                for both, more in ((False, kernel.forward), (True, kernel.both)):
                    if more is not None:
                        yield Row(
                            shape=shape.name,
                            chip=chip,
                            kernel=name,
                            both=both,
                            spec=kernel.spec,
                            arguments=sizes | more | {"backward": both},
                        )
    for chip in PATTERN_CHIPS:
        for pattern in PATTERNS:
            for both in (False, True):
                yield _pattern_row(chip, pattern, both)
    for name in PUBLISHED:
        for chip in CHIPS:
            yield _published_row(chip, name)


def _published_row(chip: str, name: str) -> Row:
    return Row(
        shape="published",
        chip=chip,
        kernel=name,
        both=True,
        spec=f"{OURS}:published",
        arguments={"name": name},
    )


def _pattern_row(chip: str, pattern: str, both: bool) -> Row:
    dynamic = pattern == "8 segments"
    arguments = {"K": WAN.K, "E": WAN.E, "backward": both}
    return Row(
        shape="patterns",
        chip=chip,
        kernel=pattern,
        both=both,
        spec=f"{OURS}:packed" if dynamic else f"{OURS}:sparse",
        arguments=arguments if dynamic else arguments | {"name": pattern},
    )


# The most Mcycles: (forward, forward and backward).
LIMITS = {
    (WAN, "v5e"): (52.0, 182.0),
    (WAN, "v5p"): (26.0, 92.0),
    (WAN, "v6e"): (20.5, 80.0),
    (WAN, "tpu7x"): (20.5, 79.0),
    (NARROW, "v5e"): (54.0, None),
    (NARROW, "v6e"): (27.0, None),
    (LATTE, "v5e"): (58.0, None),
    (LATTE, "v6e"): (27.5, None),
}
LONG_SCALING = 1.02  # of the aligned shape's cycles, scaled by the work
MODES = {BOUNDED: 1.05, ONLINE: 1.45}  # times the cycles without a maximum
BOUNDED_TPU7X = 1.08
NARROW_GAIN = 1.6  # fewer cycles than JAX splash, forward and backward
STATIC, DYNAMIC = 1.15, 1.2  # times the full cycles and the share of blocks kept
