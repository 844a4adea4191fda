"""A compiled module's text: XLA's cycle estimates and its kernels, with how often each runs.

Control flow is followed from the entry: `while` bodies count times their trip count,
`call`s once, of a `conditional` one branch. What a fusion computes is in the estimate of
the fusion itself. Asynchronous copies bear no estimate: they are taken as hidden.
"""

import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

_COMPUTATION = re.compile(r"(ENTRY )?%?([\w.\-<>]+) \(.*\{$")
_INSTRUCTION = re.compile(r"  (?:ROOT )?%?([\w.\-]+) = ")
_OPCODE = re.compile(r"[\s)}\]]([a-z][\w\-]*)\(")
_CYCLES = re.compile(r'"estimated_cycles":"(\d+)"')
_TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"')
_CONSTANT = re.compile(r"[su]\d+\[\][^ ]* constant\((\d+)\)")
_CALLED = re.compile(r"\b(body|condition|to_apply|calls)=%?([\w.\-]+)")
_BRANCHES = re.compile(r"branch_computations=\{([^}]*)\}")
_TWO_BRANCHES = re.compile(r"(?:true|false)_computation=%?([\w.\-]+)")
_KERNEL = 'custom_call_target="tpu_custom_call"'
_KERNEL_BODY = re.compile(r'"custom_call_config":\{"body":"([^"]*)"')
_KERNEL_SHARES = re.compile(r'kernel_metadata=\{[^}]*?"shares":"((?:[^"\\]|\\.)*)"')
_OP_NAME = re.compile(r'op_name="([^"]*)"')
_NO_SENSE = 10**12  # XLA marks what it cannot estimate with a huge figure


@dataclass(frozen=True)
class Instruction:
    """One instruction: its name and the whole text after ` = `, on one line."""

    name: str
    text: str

    @cached_property
    def opcode(self) -> str:
        found = _OPCODE.search(" " + self.text)
        return found[1] if found else ""

    @property
    def cycles(self) -> int:
        found = _CYCLES.search(self.text)
        cycles = int(found[1]) if found else 0
        return cycles if cycles < _NO_SENSE else 0

    @property
    def is_kernel(self) -> bool:
        return _KERNEL in self.text

    @property
    def kernel_key(self) -> str:
        """Equal for calls of one kernel, which the compiler schedules once."""
        body = _KERNEL_BODY.search(self.text)
        shape = self.text.partition(" custom-call(")[0]
        whole = f"{shape} {body[1] if body else ''}"
        return hashlib.sha256(whole.encode()).hexdigest()

    @property
    def kernel_shares(self) -> dict[str, Any] | None:
        """The fields of schedule.Shares, of kernels that say how often their parts run."""
        found = _KERNEL_SHARES.search(self.text)
        return json.loads(json.loads(f'"{found[1]}"')) if found else None

    @cached_property
    def op_name(self) -> str:
        """Where in the traced program it comes from."""
        found = _OP_NAME.search(self.text)
        return found[1] if found else ""

    def called(self, *keys: str) -> list[str]:
        return [name for key, name in _CALLED.findall(self.text) if key in keys]

    def branches(self) -> list[str]:
        """The computations that a conditional chooses from."""
        found = _BRANCHES.search(self.text)
        if found:
            return [name.strip().lstrip("%") for name in found[1].split(",")]
        return _TWO_BRANCHES.findall(self.text)


@dataclass(frozen=True, kw_only=True)
class Module:
    """Computations by name; `entry` is where a program begins."""

    computations: Mapping[str, tuple[Instruction, ...]]
    entry: str

    def named(self, name: str) -> Instruction:
        """The instruction of that name, which a module has once."""
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> dict[str, Instruction]:
        return {x.name: x for body in self.computations.values() for x in body}

    def kernels(self) -> list[Instruction]:
        every = (x for body in self.computations.values() for x in body)
        return [x for x in every if x.is_kernel]


@dataclass(frozen=True, kw_only=True)
class Totals:
    """What one run of a computation does."""

    operations: Counter[str] = field(default_factory=Counter)  # estimated cycles
    kernels: Counter[str] = field(default_factory=Counter)  # runs
    unknown_loops: frozenset[str] = frozenset()  # counted once

    def cycles(self, kernel_cycles: Mapping[str, float]) -> float:
        """Cycles of the operations and, at those given, of the kernels."""
        kernels = sum(n * kernel_cycles[name] for name, n in self.kernels.items())
        return float(sum(self.operations.values()) + kernels)

    def add(self, other: "Totals", times: int = 1) -> "Totals":
        operations, kernels = Counter(self.operations), Counter(self.kernels)
        operations.update({x: times * n for x, n in other.operations.items()})
        kernels.update({x: times * n for x, n in other.kernels.items()})
        unknown = self.unknown_loops | other.unknown_loops
        return Totals(operations=operations, kernels=kernels, unknown_loops=unknown)


def parse_module(text: str) -> Module:
    """Reads `compiled.as_text()`. ValueError when there is no entry computation."""
    computations: dict[str, list[list[str]]] = {}
    entry, current = None, None
    for line in text.splitlines():
        head = None if line.startswith(" ") else _COMPUTATION.match(line)
        found = _INSTRUCTION.match(line)
        if head:
            current = computations.setdefault(head[2], [])
            entry = head[2] if head[1] else entry
        elif line.startswith("}") and not line.strip("} "):
            current = None
        elif current is not None and found:
            current.append([found[1], line[found.end() :]])
        elif current:
            current[-1].append(line)  # attributes may go on over several lines
    if entry is None:
        raise ValueError("no ENTRY computation: not the text of a compiled module")
    bodies = {
        name: tuple(Instruction(first, " ".join(rest)) for first, *rest in body)
        for name, body in computations.items()
    }
    return Module(computations=bodies, entry=entry)


class Walk:
    """A program's control flow, with the branches that a run takes.

    kernel_cycles: of each kernel by its instruction's name.
    branch: part of a kernel's name; a conditional takes the branch that runs it. None, or
        where no branch does: the dearest.
    """

    def __init__(
        self,
        module: Module,
        kernel_cycles: Mapping[str, float],
        branch: str | None = None,
    ):
        self.module, self.kernel_cycles, self.branch = module, kernel_cycles, branch
        self._done: dict[str, Totals] = {}

    def total(self, name: str) -> Totals:
        """What one run of a computation does."""
        if name not in self._done:
            total = Totals()
            for instruction in self.module.computations[name]:
                total = total.add(self._own(instruction))
                for callee, times in self.callees(instruction):
                    total = total.add(self.total(callee), times)
            self._done[name] = total
        return self._done[name]

    def callees(self, instruction: Instruction) -> list[tuple[str, int]]:
        """The computations that an instruction runs, and how often; not those fused."""
        if instruction.opcode == "while":
            trips = trip_count(self.module, instruction)
            return [(instruction.called("body")[0], trips or 1)]
        if instruction.opcode == "call":
            return [(name, 1) for name in instruction.called("to_apply", "calls")]
        if instruction.opcode == "conditional":
            return [(self._choose(instruction.branches()), 1)]
        return []

    def cycles(self, instruction: Instruction) -> float:
        """Of the instruction alone, without what it calls."""
        if instruction.is_kernel:
            return self.kernel_cycles[instruction.name]
        return 0.0 if instruction.opcode == "while" else float(instruction.cycles)

    def _own(self, instruction: Instruction) -> Totals:
        name = instruction.name
        if instruction.is_kernel:
            return Totals(kernels=Counter({name: 1}))
        if instruction.opcode == "while":
            known = trip_count(self.module, instruction) is not None
            return Totals(unknown_loops=frozenset(() if known else {name}))
        return Totals(operations=+Counter({name: instruction.cycles}))

    def _choose(self, branches: list[str]) -> str:
        named = [
            x
            for x in branches
            if self.branch and any(self.branch in k for k in self.total(x).kernels)
        ]
        return max(
            named or branches, key=lambda x: self.total(x).cycles(self.kernel_cycles)
        )


def trip_count(module: Module, loop: Instruction) -> int | None:
    """How often a while's body runs: as XLA knows it, or its condition's one constant."""
    known = _TRIPS.search(loop.text)
    if known:
        return int(known[1])
    condition = loop.called("condition")
    texts = [x.text for name in condition for x in module.computations.get(name, ())]
    constants = {int(n) for text in texts for n in _CONSTANT.findall(text)}
    return constants.pop() if len(constants) == 1 else None
