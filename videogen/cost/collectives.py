"""What devices of a compiled program send each other: kind, group, bytes, time on the wire.

Bytes are those of a collective's whole array, on one device: what an all-gather or an
all-to-all gives, what a reduce-scatter takes. Of them each device receives, in a group of
n, the share (n - 1) / n, twice that for an all-reduce; an all-to-all also fills the
links in the middle of its longest physical dimension, of m chips: m / 4.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from videogen.cost.hlo import Instruction, Module
from videogen.cost.pod import Pod
from videogen.parallel.chips import Chip

KINDS = (
    *("all-gather", "all-reduce", "reduce-scatter", "all-to-all"),
    *("ragged-all-to-all", "collective-permute", "collective-broadcast"),
)
# A fusion of it scatters what the all-reduce in it sums.
SCATTERING = "all-reduce-scatter"
_ITEM_BYTES = {
    **dict.fromkeys(("pred", "s8", "u8", "f8e4m3fn", "f8e5m2"), 1),
    **dict.fromkeys(("bf16", "f16", "s16", "u16"), 2),
    **dict.fromkeys(("f32", "s32", "u32"), 4),
    **dict.fromkeys(("f64", "s64", "u64"), 8),
}
_ARRAY = re.compile(rf"\b({'|'.join(_ITEM_BYTES)})\[([\d,]*)\]")
_CHANNEL = re.compile(r"channel_id=(\d+)")
_PAIRS = re.compile(r"source_target_pairs=\{((?:\{\d+,\d+\},?)+)\}")
_LISTED = re.compile(r"replica_groups=\{\{([\d,]+)\}")
_IOTA = re.compile(r"replica_groups=\[([\d,]+)\]<=\[([\d,]+)\](?:T\(([\d,]+)\))?")
_MESH = re.compile(
    r"replica_groups=mesh\[([^\]]*)\]"
    r"(?:, device_ids=\(\[([\d,]+)\](?:T\(([\d,]+)\))?\))?\s*\{([^}]*)\}"
)
_AXIS = re.compile(r"'([^']+)'(?::\((\d+)\)(\d+))?")


@dataclass(frozen=True, kw_only=True)
class Collective:
    """One collective of a program, as one device sees it."""

    kind: str
    # Places in the mesh's order; of a permute, source and target.
    group: tuple[int, ...]
    num_bytes: int
    channel: str
    op_name: str

    def seconds(self, pod: Pod, chip: Chip) -> float:
        """On the wire, alone on it."""
        n = len(self.group)
        if n < 2:
            return 0.0
        share = 1.0 if self.kind == "collective-permute" else (n - 1) / n
        if self.kind == "all-reduce":
            share *= 2
        if self.kind.endswith("all-to-all"):
            share = max(share, pod.longest(self.group) / 4)
        return share * self.num_bytes / pod.bandwidth(self.group, chip)


def kind_of(opcode: str) -> str | None:
    """Of an instruction that begins a collective or is one."""
    name = opcode.removesuffix("-start")
    return name if name in KINDS else None


def find(module: Module, name: str) -> Iterator[Instruction]:
    """The collectives in a fused computation and those fused into it."""
    for instruction in module.computations.get(name, ()):
        if kind_of(instruction.opcode):
            yield instruction
        elif instruction.opcode == "fusion":
            yield from find(module, instruction.called("calls")[0])


def read(instruction: Instruction, pod: Pod, *, scatters: bool = False) -> Collective:
    """What an instruction sends. scatters: it stands in a fusion that scatters its sum."""
    kind, text = kind_of(instruction.opcode), instruction.text
    assert kind is not None, instruction.name
    sizes = [_num_bytes(*array) for array in _ARRAY.findall(_result(text))]
    started = instruction.opcode.endswith("-start") and kind != "all-reduce"
    group = first_group(text, pod.size)
    size = max(sizes, default=0) if started else sum(sizes)
    if kind == "reduce-scatter" and not started:
        size *= len(group)
    channel = _CHANNEL.search(text)
    return Collective(
        kind="reduce-scatter" if scatters and kind == "all-reduce" else kind,
        group=group,
        num_bytes=size,
        channel=channel[1] if channel else instruction.name,
        op_name=instruction.op_name,
    )


def first_group(text: str, size: int) -> tuple[int, ...]:
    """The first of an instruction's groups, in any of the ways that XLA writes them."""
    if pairs := _PAIRS.search(text):
        ends = [_ints(pair) for pair in pairs[1].strip("{}").split("},{")]
        # A device may send to itself, which is no way.
        return next((x for x in ends if len(set(x)) > 1), ends[0][:1])
    if listed := _LISTED.search(text):
        return _ints(listed[1])
    if iota := _IOTA.search(text):
        shape, dims = _ints(iota[1]), _ints(iota[2])
        ids = _turned(dims, iota[3]).reshape(shape)
        return tuple(ids[0].tolist())
    if mesh := _MESH.search(text):
        return _of_mesh(*mesh.groups())
    return tuple(range(size))


def _of_mesh(
    axes: str, dims: str | None, order: str | None, chosen: str
) -> tuple[int, ...]:
    """Groups along axes, or parts of axes, `name:(what is before)size`, of XLA's own mesh."""
    sizes = {name: int(n) for name, n in re.findall(r"'([^']+)'=(\d+)", axes)}
    shape = tuple(sizes.values())
    ids = _turned(_ints(dims) if dims else (math.prod(shape),), order).reshape(shape)
    index: list[int | slice] = [0] * len(shape)
    for name, before, part in _AXIS.findall(chosen):
        step = sizes[name] // int(before) // int(part) if part else 1
        count = int(part) if part else sizes[name]
        index[list(sizes).index(name)] = slice(0, step * count, step)
    return tuple(np.ravel(ids[tuple(index)]).tolist())


def _turned(dims: tuple[int, ...], order: str | None) -> np.ndarray:
    ids = np.arange(math.prod(dims)).reshape(dims)
    return ids.transpose(_ints(order)) if order else ids


def _ints(text: str) -> tuple[int, ...]:
    return tuple(int(x) for x in text.split(","))


def num_bytes(text: str) -> int:
    """Of the largest array of an instruction's result."""
    return max(_num_bytes(*array) for array in _ARRAY.findall(_result(text)))


def _num_bytes(dtype: str, dims: str) -> int:
    return _ITEM_BYTES[dtype] * math.prod(_ints(dims) if dims else ())


def _result(text: str) -> str:
    """The type that an instruction's text begins with."""
    if not text.startswith("("):
        return text.partition(" ")[0]
    depth = 0
    for i, char in enumerate(text):
        depth += (char == "(") - (char == ")")
        if not depth:
            return text[: i + 1]
    return text
