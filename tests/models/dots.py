"""The FLOPs of a compiled program's matrix products, read from its text."""

import math
import re

from videogen.cost.hlo import Instruction, parse_module, trip_count

_SHAPE = re.compile(r"[a-z]+\d+\[([\d,]*)\]")
_LHS = re.compile(r"\bdot\((?:[a-z]+\d+\[[\d,]*\]\S* )?%?([\w.\-]+)")
_CONTRACTED = re.compile(r"lhs_contracting_dims=\{([\d,]*)\}")
# What would hide a product, or make the count depend on data.
_NOT_READ = ("convolution", "conditional", "custom-call")


def sizes_of(instruction: Instruction) -> list[int]:
    """The shape of its (first) result."""
    found = _SHAPE.search(instruction.text)
    return [int(size) for size in found[1].split(",") if size] if found else []


def dot_flops(text: str) -> int:
    """2 FLOPs per multiply-add of every dot; a loop's body as often as it runs."""
    module = parse_module(text)

    def visit(name: str) -> int:
        body = module.computations[name]
        shapes = {instruction.name: sizes_of(instruction) for instruction in body}
        return sum(flops(instruction, shapes) for instruction in body)

    def flops(instruction: Instruction, shapes: dict[str, list[int]]) -> int:
        opcode, text = instruction.opcode, instruction.text
        assert opcode not in _NOT_READ, text
        if opcode == "dot":
            lhs, dims = _LHS.search(text), _CONTRACTED.search(text)
            assert lhs and dims
            summed = math.prod(shapes[lhs[1]][int(x)] for x in dims[1].split(","))
            return 2 * math.prod(shapes[instruction.name]) * summed
        if opcode == "while":
            trips = trip_count(module, instruction)
            assert trips is not None, text
            return trips * visit(instruction.called("body")[0])
        return sum(map(visit, instruction.called("calls", "to_apply")))

    return visit(module.entry)
