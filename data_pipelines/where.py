"""Conditions on columns: comparisons of columns and numbers with and, or, not.

    0.3 <= motion <= 30 and luma > 16 and not (width < 480 or height < 480)

The text is parsed as a Python expression, of which only these few kinds of node are
understood, and evaluated by pyarrow.compute: no code in it ever runs. A condition on
something that was not measured (a null: the motion of an image) holds.
"""

import ast
import dataclasses
from collections.abc import Collection, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from videogen.core.errors import ConfigError, suggest

MOST_CHARACTERS, MOST_DEEP = 2000, 50
_FUNCTIONS = {
    ast.Lt: "less",
    ast.LtE: "less_equal",
    ast.Gt: "greater",
    ast.GtE: "greater_equal",
    ast.Eq: "equal",
    ast.NotEq: "not_equal",
}
_UNDERSTOOD = (
    *(ast.BoolOp, ast.And, ast.Or, ast.UnaryOp, ast.Not, ast.USub),
    *(ast.Compare, *_FUNCTIONS, ast.Name, ast.Load, ast.Constant),
)
# What is wrong with a clip whose score is too low, or too high.
_LOW = {"motion": "LOW_MOTION", "blur": "BLUR", "luma": "DARK"}
_HIGH = {
    **{"motion": "HIGH_MOTION", "luma": "OVEREXPOSED", "bright": "OVEREXPOSED"},
    **{"dark": "DARK", "borders": "BORDER", "text_area": "TEXT"},
    **{"watermark": "WATERMARK", "safety": "UNSAFE"},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Condition:
    """One of the conditions that must all hold."""

    node: ast.expr

    def __str__(self) -> str:
        return ast.unparse(self.node)

    @property
    def code(self) -> str:
        """The reject code of a clip for which it is false."""
        match self.node:
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Gt() | ast.GtE()]):
                return _LOW.get(name, "LOW_SCORE")
            case ast.Compare(left=ast.Name(id=name), ops=[ast.Lt() | ast.LtE()]):
                return _HIGH.get(name, "LOW_SCORE")
            case ast.Compare(
                ops=[ast.Lt() | ast.LtE()], comparators=[ast.Name(id=name)]
            ):
                return _LOW.get(name, "LOW_SCORE")
            case ast.Compare(
                ops=[ast.Gt() | ast.GtE()], comparators=[ast.Name(id=name)]
            ):
                return _HIGH.get(name, "LOW_SCORE")
        return "LOW_SCORE"

    @property
    def columns(self) -> list[str]:
        names = {n.id for n in ast.walk(self.node) if isinstance(n, ast.Name)}
        return sorted(names)

    def check(self, names: Collection[str]) -> None:
        """ConfigError for a column that is not among them."""
        for name in self.columns:
            if name not in names:
                near = suggest(name, names)
                raise ConfigError(f"--where={str(self)!r}: there is no {name}{near}")

    def holds(self, table: pa.Table) -> list[bool]:
        """For each row. Raises ConfigError for a column that is not there."""
        self.check(table.column_names)
        try:
            found = _evaluate(self.node, table)
        except (pa.ArrowException, TypeError) as error:
            reason = str(error).splitlines()[0]
            raise ConfigError(f"--where={str(self)!r}: {reason}") from error
        if not isinstance(found, pa.ChunkedArray) or found.type != pa.bool_():
            raise ConfigError(f"--where={str(self)!r} compares no column; {_HELP}")
        return _call("fill_null", found, True).to_pylist()


def parse(text: str) -> list[Condition]:
    """The conditions that `and` joins; none of an empty text. Raises ConfigError."""
    if not text.strip():
        return []
    try:
        if len(text) > MOST_CHARACTERS:
            raise ValueError(f"more than {MOST_CHARACTERS} characters")
        tree = ast.parse(text.strip(), mode="eval").body
        if _depth(tree) > MOST_DEEP:
            raise ValueError(f"more than {MOST_DEEP} deep")
    except (SyntaxError, ValueError, MemoryError, RecursionError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise ConfigError(f"--where={text!r}: {reason}; {_HELP}") from error
    for node in ast.walk(tree):
        if not isinstance(node, _UNDERSTOOD) or not _is_plain(node):
            raise ConfigError(
                f"--where={text!r}: {_word(node)} has no place here; {_HELP}"
            )
    return [Condition(node=node) for node in _conjuncts(tree)]


_HELP = "'0.3 <= motion <= 30 and luma > 16' would work"


def _depth(tree: ast.AST) -> int:
    """Nodes from the root to the deepest; without recursion, which is what deep ones end."""
    depth, nodes = 0, [tree]
    while nodes:
        nodes = [child for node in nodes for child in ast.iter_child_nodes(node)]
        depth += 1
    return depth


def _is_plain(node: ast.AST) -> bool:
    """Constants are numbers, texts and truth values."""
    return not isinstance(node, ast.Constant) or type(node.value) in (
        *(int, float, str, bool),
    )


def _word(node: ast.AST) -> str:
    return (
        repr(ast.unparse(node)) if isinstance(node, ast.expr) else type(node).__name__
    )


def _conjuncts(node: ast.expr) -> Iterator[ast.expr]:
    match node:
        case ast.BoolOp(op=ast.And(), values=values):
            for value in values:
                yield from _conjuncts(value)
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for op, right in zip(ops, comparators, strict=True):  # a < b < c
                yield ast.Compare(left=left, ops=[op], comparators=[right])
                left = right
        case _:
            yield node


def _evaluate(node: ast.expr, table: pa.Table):
    """A column of booleans or of what a name or constant is."""
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return table.column(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return _call("negate", _evaluate(operand, table))
        case ast.UnaryOp(operand=operand):
            return _call("invert", _evaluate(operand, table))
        case ast.BoolOp(op=op, values=values):
            name = "and_kleene" if isinstance(op, ast.And) else "or_kleene"
            found, *rest = (_evaluate(value, table) for value in values)
            for value in rest:
                found = _call(name, found, value)
            return found
        case ast.Compare():
            parts = [
                _call(
                    _FUNCTIONS[type(pair.ops[0])],
                    _evaluate(pair.left, table),
                    _evaluate(pair.comparators[0], table),
                )
                for pair in _conjuncts(node)
                if isinstance(pair, ast.Compare)
            ]
            found, *rest = parts
            for value in rest:
                found = _call("and_kleene", found, value)
            return found
    raise AssertionError(ast.dump(node))


def _call(name: str, *arguments):
    """A function of pyarrow.compute, whose module knows its names at run time only."""
    function = getattr(pc, name)
    return function(*arguments)
