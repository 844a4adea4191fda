"""When a device computes and when it waits: a compiled program's schedule, replayed.

Instructions run in the order of the schedule, each for its estimated cycles. A collective
that is started runs beside them, after those before it that use the same mesh axes; at its
end the device waits for what is left, and that is its exposed time. One that is not
started and ended apart is exposed whole. libtpu also fuses parts of a collective into
products: such a chain of fusions, of one channel, is one collective from the first to
the last. Or SparseCores run it, from `call-start` to `call-done`.
"""

import dataclasses
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from videogen.cost import collectives, megascale
from videogen.cost.collectives import Collective
from videogen.cost.hlo import Instruction, Module, Walk
from videogen.cost.pod import Pod
from videogen.parallel.chips import Chip

STARTS, ENDS = (f'custom_call_target="AsyncCollective{x}"' for x in ("Start", "Done"))


PART = "async_collective_fusion"
_OPERAND = re.compile(r"-(?:start|done)\(%?([\w.\-]+)")


class Route(NamedTuple):
    """What is told apart in a report."""

    kind: str
    axes: tuple[str, ...]
    what: str  # the traced operation


@dataclass(kw_only=True)
class Traffic:
    """Collectives of one route, in one run of the program on one device."""

    count: int = 0
    num_bytes: int = 0
    cycles: float = 0.0  # on the wire
    exposed: float = 0.0  # cycles that the device waits

    def add(self, other: "Traffic", times: int = 1) -> None:
        self.count += times * other.count
        self.num_bytes += times * other.num_bytes
        self.cycles += times * other.cycles
        self.exposed += times * other.exposed


@dataclass(kw_only=True)
class Timeline:
    """One run of a computation."""

    cycles: float = 0.0  # waits included
    traffic: dict[Route, Traffic] = field(default_factory=lambda: defaultdict(Traffic))

    @property
    def exposed(self) -> float:
        return sum(x.exposed for x in self.traffic.values())


class Replay:
    """Runs computations of a program, each once."""

    def __init__(self, walk: Walk, pod: Pod, chip: Chip):
        self.walk, self.pod, self.chip = walk, pod, chip
        self._done: dict[str, Timeline] = {}

    def run(self, name: str) -> Timeline:
        """The timeline of a computation."""
        if name not in self._done:
            line = _Line(self.pod, self.chip)
            computation = self.walk.module.computations[name]
            between = dict(megascale.events(computation, self.pod))
            for instruction in computation:
                self._step(line, instruction, between.get(instruction.name))
            self._done[name] = line.timeline
        return self._done[name]

    def _step(
        self,
        line: "_Line",
        instruction: Instruction,
        between: tuple[str, Collective] | None,
    ) -> None:
        events = list(_events(self.walk.module, instruction, self.pod))
        events += [between] if between else []
        for event, sent in events:
            if event == "begin":
                line.begin(sent)
        line.timeline.cycles += self.walk.cycles(instruction)
        for callee, times in self.walk.callees(instruction):
            line.call(self.run(callee), times)
        for event, sent in events:
            if event != "begin":
                line.end(sent)


class _Line:
    """A timeline while it is being made."""

    def __init__(self, pod: Pod, chip: Chip):
        self.pod, self.chip = pod, chip
        self.timeline = Timeline()
        self._free: dict[tuple[str, ...], float] = defaultdict(float)
        self._open: dict[str, tuple[float, Route]] = {}  # by channel: when it ends

    def begin(self, sent: Collective) -> None:
        """The collective starts, unless a part of it has run already."""
        if sent.channel in self._open:
            return
        axes = self.pod.spanned(sent.group)
        route = Route(sent.kind, axes, short(sent.op_name))
        cycles = sent.seconds(self.pod, self.chip) * self.chip.clock_hz
        traffic = Traffic(count=1, num_bytes=sent.num_bytes, cycles=cycles)
        self.timeline.traffic[route].add(traffic)
        start = max(self.timeline.cycles, self._free[axes])
        self._free[axes] = start + cycles
        self._open[sent.channel] = start + cycles, route

    def end(self, sent: Collective) -> None:
        """The device waits for what is left of it; of one not begun, for all of it."""
        self.begin(sent)
        end, route = self._open.pop(sent.channel)
        wait = max(0.0, end - self.timeline.cycles)
        self.timeline.traffic[route].exposed += wait
        self.timeline.cycles += wait

    def call(self, timeline: Timeline, times: int) -> None:
        self.timeline.cycles += times * timeline.cycles
        for route, traffic in timeline.traffic.items():
            self.timeline.traffic[route].add(traffic, times)


def short(op_name: str) -> str:
    """The end of a traced operation's name, and whether it is of the backward pass."""
    backward = "backward " if "transpose(" in op_name else ""
    again = "again " if "rematted" in op_name else ""
    parts = [x for x in op_name.split("/") if x not in ("closed_call", "body", "while")]
    return backward + again + "/".join(parts[-2:])


def _events(
    module: Module, instruction: Instruction, pod: Pod
) -> Iterator[tuple[str, Collective]]:
    """("begin" or "end", collective) of an instruction; "end" alone: it is not split."""
    opcode = instruction.opcode
    kind = collectives.kind_of(opcode.removesuffix("-done"))
    if opcode == "fusion":
        yield from _fused(module, instruction, pod)
    elif opcode == "call-start":
        for sent in _called(module, instruction, pod):
            yield "begin", sent
    elif opcode == "call-done":
        for sent in _called(module, module.named(_operand(instruction)), pod):
            yield "end", sent
    elif kind and opcode.endswith("-done"):
        empty = {"group": (), "num_bytes": 0, "op_name": instruction.op_name}
        yield "end", Collective(kind=kind, channel=_operand(instruction), **empty)
    elif kind and opcode.endswith("-start"):
        sent = collectives.read(instruction, pod)
        yield "begin", dataclasses.replace(sent, channel=instruction.name)
    elif kind:
        yield "end", collectives.read(instruction, pod)


def _operand(instruction: Instruction) -> str:
    """The first of what starts or is done."""
    found = _OPERAND.search(instruction.text)
    assert found is not None, instruction.name
    return found[1]


def _called(module: Module, start: Instruction, pod: Pod) -> Iterator[Collective]:
    """Those that a SparseCore runs; named, like that which it takes, if not themselves."""
    given = module.named(_operand(start)).op_name
    for inner in collectives.find(module, start.called("to_apply", "calls")[0]):
        sent = collectives.read(inner, pod)
        name = sent.op_name or start.op_name or given
        yield dataclasses.replace(sent, op_name=name)


def _fused(
    module: Module, instruction: Instruction, pod: Pod
) -> Iterator[tuple[str, Collective]]:
    name = instruction.called("calls")[0]
    texts = [x.text for x in module.computations.get(name, ())]
    ends = any(ENDS in text for text in texts)
    begins = PART in name or any(STARTS in text for text in texts)
    for inner in collectives.find(module, name):
        sent = collectives.read(inner, pod, scatters=collectives.SCATTERING in name)
        yield "begin" if begins and not ends else "end", sent
