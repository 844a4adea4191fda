"""libtpu's final schedule of one kernel as data: VLIW bundles, loops, guarded code.

A bundle is what one core issues in one cycle. In the dump each starts with its address;
`/* Start region 7 */` comments and `sbr.rel target = $region7` say how control flows: a
branch forward skips guarded code (`pl.when`), a branch back closes a loop. Only what the
cost model needs is kept of a bundle: the matrix unit's operations and the transfers.
"""

import math
import re
from dataclasses import dataclass
from typing import NamedTuple

GRANULE_BYTES = 32  # the unit of a transfer's size_in_granules
SHORTEST_GUARD = 8  # bundles; a shorter one guards a single transfer
DELAY_SLOTS = 5  # a branch and the four bundles after it, which always run

_BUNDLE = re.compile(r"^ *(?:0x[0-9a-f]+|0) ", re.MULTILINE)
_VMATMUL = re.compile(
    r"vmatmul((?:\.\w+)*?)\.(bf16|f32|s8|u8|s4|f8\w*)[\w.\[\]]*?(mxu\d)"
)
_PUSH = re.compile(r"vmatpush\d?([\w.]*)\.(mxu\d)")
# `general`, of long rows: its direction is not said.
_TRANSFER = re.compile(
    r"(?:\{|;;) +%\d+ = dma\.(hbm_to_vmem|vmem_to_hbm|general)"
    r"[^{}]*?size_in_granules=\*/(?:(\d+)|%[^{}]*)"
)
# Of a window that may reach past the array's end; its transfer's size is a register.
_WINDOW = re.compile(r"\nwindow_bounds: \(([\d, ]+)\)")
_ELEMENT = re.compile(r"\nelement_size_in_bytes: (\d+)")
_REGION = re.compile(r"(?<!End )(?:Start|Start/End empty) region (\d+)")
_BRANCH = re.compile(r"sbr\.rel.*?target = \$region(\d+)")
_HEAD = re.compile(r" *(?:LB|LH):")
_WAIT = "pipeline-emitter-dma-wait"
_SENT = "dma.vmem_to_hbm"
_EXIT = re.compile(r"scmp\.\w+\.[su]32\.totalorder [^,;]*?, (\d+) /\* loop exit test")


class Span(NamedTuple):
    """Bundles begin <= i < end."""

    begin: int
    end: int

    def __len__(self) -> int:
        return self.end - self.begin

    def holds(self, other: "Span") -> bool:
        return self.begin <= other.begin and other.end <= self.end


class Vmatmul(NamedTuple):
    """Rows streamed through one matrix unit."""

    mxu: str
    dtype: str
    is_transposed: bool  # the `lmr` form, of a transposed left operand


class Push(NamedTuple):
    """Rows of weights pushed into one matrix unit."""

    mxu: str
    is_transposed: bool


@dataclass(frozen=True, slots=True)
class Bundle:
    """What one bundle does, as far as the cost model cares."""

    vmatmuls: tuple[Vmatmul, ...] = ()
    pushes: tuple[Push, ...] = ()
    has_transfer: bool = False  # between HBM and VMEM
    bytes_in: int = 0  # HBM to VMEM


class Loop(NamedTuple):
    """A loop's bundles and the constant of its exit test, if it is one."""

    span: Span
    count: int | None


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """One kernel: its bundles in order of issue and how control flows among them."""

    bundles: tuple[Bundle, ...]
    loops: tuple[Loop, ...]
    guards: tuple[Span, ...]

    def has_matmul(self, span: Span) -> bool:
        return any(self.bundles[i].vmatmuls for i in range(*span))

    def has_transfer(self, span: Span) -> bool:
        return any(self.bundles[i].has_transfer for i in range(*span))


@dataclass(frozen=True, kw_only=True)
class Utilisation:
    """Issue slots: how many a bundle has, and how many each bundle fills."""

    capacity: dict[str, int]
    rows: tuple[tuple[int, ...], ...]  # in the order of capacity


def parse_schedule(text: str) -> Schedule:
    """Reads a `*-final_bundles.txt`. ValueError when it holds no bundles."""
    texts = _BUNDLE.split(text)[1:]
    if not texts:
        raise ValueError("no bundles: not a final schedule of libtpu")
    loops, guards = _control_flow(texts)
    return Schedule(
        bundles=tuple(_parse_bundle(text) for text in texts),
        loops=loops,
        guards=guards,
    )


def parse_utilisation(text: str) -> Utilisation:
    """Reads a `*-final_hlo-static-per-bundle-utilization.txt`."""
    lines = text.splitlines()
    names = [name.split(":")[-1].strip() for name in lines[1].split(",")]
    rows = [tuple(map(int, line.split())) for line in lines[4:] if line.strip()]
    capacity = dict(zip(names, map(int, lines[2].split()), strict=True))
    return Utilisation(capacity=capacity, rows=tuple(rows))


def _parse_bundle(text: str) -> Bundle:
    if "vmat" not in text and "dma." not in text:
        return Bundle()
    transfers = list(_TRANSFER.finditer(text))
    return Bundle(
        vmatmuls=tuple(
            Vmatmul(mxu, dtype, "lmr" in form)
            for form, dtype, mxu in _VMATMUL.findall(text)
        ),
        pushes=tuple(Push(mxu, "xpose" in form) for form, mxu in _PUSH.findall(text)),
        has_transfer=bool(transfers),
        bytes_in=sum(_num_bytes(x) for x in transfers if x[1] == "hbm_to_vmem"),
    )


def _num_bytes(transfer: re.Match[str]) -> int:
    """Of the whole window where it may be cut at the array's end; 0 where not said."""
    if transfer[2]:
        return int(transfer[2]) * GRANULE_BYTES
    window, element = _WINDOW.search(transfer[0]), _ELEMENT.search(transfer[0])
    if window is None or element is None:
        return 0
    return math.prod(map(int, window[1].split(","))) * int(element[1])


def _control_flow(texts: list[str]) -> tuple[tuple[Loop, ...], tuple[Span, ...]]:
    starts: dict[str, int] = {}
    for i, text in enumerate(texts):
        for region in _REGION.findall(text):
            starts.setdefault(region, i)
    heads = [i for i, text in enumerate(texts) if _HEAD.match(text)]
    loops: list[Loop] = []
    guards: list[Span] = []
    branches = [(i, r) for i, text in enumerate(texts) for r in _BRANCH.findall(text)]
    for i, region in branches:
        target = starts.get(region, 0)
        if target > i:
            guards += [Span(i + 1, target)] * (target - i > SHORTEST_GUARD)
            continue
        # A loop's first bundle often bears no region: the nearest head without a loop.
        closed = {loop.span.begin for loop in loops}
        free = [head for head in heads if head <= i and head not in closed]
        if free:
            span = Span(free[-1], min(i + DELAY_SLOTS, len(texts)))
            loops.append(Loop(span, _exit_count(texts, span, loops)))
    begin = _windows_have_come(texts)
    return tuple(loops), tuple(sorted({x for x in guards if x.end > begin}))


def _windows_have_come(texts: list[str]) -> int:
    """Where a step has its windows; before that they are moved and nothing else is done.

    Windows that XLA has put into VMEM are not waited for: the first wait is then for results.
    """
    for i, text in enumerate(texts):
        if _SENT in text:
            break
        if _WAIT in text:
            return i
    return 0


def _exit_count(texts: list[str], span: Span, inner: list[Loop]) -> int | None:
    """The constant of the last exit test in the span that is no inner loop's."""
    inside = {i for loop in inner if span.holds(loop.span) for i in range(*loop.span)}
    own = (texts[i] for i in range(*span) if i not in inside)
    tests = _EXIT.findall(" ".join(own))
    return int(tests[-1]) if tests else None
