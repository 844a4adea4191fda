"""XLA's own operations by what they do, so that a report says where the cycles go."""

from collections import Counter
from collections.abc import Iterator

from videogen.cost.hlo import Instruction, Module, Totals

PRODUCTS = {"convolution", "dot"}
SUMS = {"reduce", "reduce-window"}
MOVES = {"copy", "transpose", "dynamic-update-slice", "dynamic-slice", "slice", "pad"}
# Of a fusion, what computes nothing.
SILENT = {"parameter", "constant", "bitcast", "tuple", "get-tuple-element", "reshape"}
SILENT |= {"broadcast", "concatenate", "iota"}


def cycles_by_kind(module: Module, totals: Totals) -> dict[str, int]:
    """Estimated cycles of products, sums, elementwise work, moves; the dearest first."""
    counted: Counter[str] = Counter()
    for body in module.computations.values():
        for instruction in body:
            if cycles := totals.operations.get(instruction.name):
                counted[kind_of(module, instruction)] += cycles
    return dict(counted.most_common())


def kind_of(module: Module, instruction: Instruction) -> str:
    """Of a fusion: the heaviest of what is in it."""
    opcodes = set(_opcodes(module, instruction))
    if opcodes & PRODUCTS:
        return "products"
    if opcodes & SUMS:
        return "sums"
    return "moves" if opcodes - SILENT <= MOVES else "elementwise"


def _opcodes(module: Module, instruction: Instruction) -> Iterator[str]:
    if instruction.opcode != "fusion":
        yield instruction.opcode
        return
    for inner in module.computations[instruction.called("calls")[0]]:
        yield from _opcodes(module, inner)
