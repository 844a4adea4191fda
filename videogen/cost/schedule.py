"""Cycles of one kernel from its final schedule.

The model. Bundles issue in order, one a cycle. A vmatmul waits until its matrix unit has
taken the rows of the one before: 16 rows of bf16, or 8 of float32 or of a transposed left
operand, at the chip's rows per cycle. A push of 16 weight rows holds the unit's weight
port for 4 cycles, a transposing one for 8. Without this interlock schedules would beat
the chip's peak: libtpu packs vmatmuls closer than the units can take them.

The grid is the kernel's outermost loop; Mosaic adds two steps to fill and drain its
pipeline. Code of a step under `pl.when` runs in a share of the steps, which the schedule
cannot tell: the case says it (`Shares`). Mosaic's own guards are transparent: the one
around guarded bodies ("is this a real step"), and those of a window's transfer.

Not modelled: waits for transfers (`input_share` says how near they come), VMEM bank
conflicts, instruction fetch of long unrolled bodies, results popped later than planned,
launch. So the estimate is a lower bound: 4-11 % under XLA's own model of a matmul.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise

from videogen.cost.bundles import Bundle, Loop, Schedule, Span, Utilisation
from videogen.parallel.chips import Chip

VMATMUL_ROWS = 16  # bf16; half of it for float32 and transposed left operands
PUSH_CYCLES = 4  # twice that when it transposes
PIPELINE_STEPS = 2


@dataclass(frozen=True, kw_only=True)
class Shares:
    """How often the guarded code of a kernel runs, in executions per grid step.

    bodies: of each guarded body that holds matmuls, in code order.
    cold: of guarded code without matmuls (init, finish); one figure, or one for each
        in code order. None: there is none.
    steps: grid steps of one core; None: the constant that the schedule holds.
    """

    bodies: tuple[float, ...] = (1.0,)
    cold: float | tuple[float, ...] | None = None
    steps: int | None = None


@dataclass(frozen=True, kw_only=True)
class Part:
    """A stretch of a grid step: how often it runs and what one run costs."""

    kind: str  # "body", "cold" or "straight"
    span: Span
    share: float
    bundles: float
    cycles: float
    mxu_busy: float  # cycles of the busiest unit


@dataclass(frozen=True, kw_only=True)
class KernelCost:
    """What one call of a kernel costs one core."""

    steps: int
    cycles: float
    cycles_per_step: float
    bundles_per_step: float
    mxu_busy_per_step: float
    input_share: float  # HBM time of all input windows, of a step's time
    slots: dict[str, float]  # filled issue slots, of those a step has
    parts: tuple[Part, ...]


@dataclass(frozen=True, kw_only=True)
class _Stretch:
    """A part before it is costed: the bundles that are its own."""

    kind: str
    span: Span
    share: float
    own: tuple[int, ...]


def cost_kernel(
    schedule: Schedule, utilisation: Utilisation, chip: Chip, shares: Shares
) -> KernelCost:
    """The cost of one call. ValueError when the shares do not fit the schedule."""
    grid = _grid_loop(schedule)
    inner = [x for x in schedule.loops if x != grid and grid.span.holds(x.span)]
    for loop in inner:
        if loop.count is None and schedule.has_matmul(loop.span):
            raise ValueError(
                f"the loop at {loop.span.begin} holds matmuls, and no count of its trips: "
                "unroll it, or let its bounds be constants"
            )
    stretches = list(_stretches(schedule, grid.span, shares))
    parts = [_cost_stretch(schedule.bundles, x, inner, chip) for x in stretches]
    steps = _num_steps(grid, shares)
    cycles = sum(part.share * part.cycles for part in parts)
    bytes_in = sum(schedule.bundles[i].bytes_in for i in range(*grid.span))
    hbm = chip.hbm_bytes_per_second / chip.cores_per_device / chip.clock_hz
    return KernelCost(
        steps=steps,
        cycles=steps * cycles + len(schedule.bundles) - len(grid.span),
        cycles_per_step=cycles,
        bundles_per_step=sum(part.share * part.bundles for part in parts),
        mxu_busy_per_step=sum(part.share * part.mxu_busy for part in parts),
        input_share=bytes_in / hbm / cycles,
        slots=_filled_slots(utilisation, stretches, inner, cycles),
        parts=tuple(sorted(parts, key=lambda part: part.span)),
    )


def _filled_slots(
    utilisation: Utilisation,
    stretches: list[_Stretch],
    inner: list[Loop],
    cycles: float,
) -> dict[str, float]:
    """Issue slots filled in a step, as a share of those that its cycles have."""
    filled = dict.fromkeys(utilisation.capacity, 0.0)
    for stretch in stretches:
        for i in stretch.own:
            times = stretch.share * _times(i, inner)
            for name, used in zip(filled, utilisation.rows[i], strict=True):
                filled[name] += times * used
    return {x: filled[x] / (n * cycles) for x, n in utilisation.capacity.items()}


def simulate(bundles: Iterable[Bundle], chip: Chip) -> tuple[int, int]:
    """(cycles, cycles of the busiest matrix unit) of bundles issued once, in order."""
    now = 0
    free: Counter[str] = Counter()  # when a unit takes rows again
    port: Counter[str] = Counter()  # when its weight port takes weights again
    busy: Counter[str] = Counter()
    for bundle in bundles:
        waits = [free[op.mxu] for op in bundle.vmatmuls]
        now = max([now, *waits, *(port[push.mxu] for push in bundle.pushes)])
        for push in bundle.pushes:
            port[push.mxu] = now + PUSH_CYCLES * (1 + push.is_transposed)
        for op in bundle.vmatmuls:
            is_half = op.dtype == "f32" or op.is_transposed
            hold = VMATMUL_ROWS // chip.mxu_rows_per_cycle // (1 + is_half)
            free[op.mxu] = max(free[op.mxu], now) + hold
            busy[op.mxu] += hold
        now += 1
    return now, max(busy.values(), default=0)


def _grid_loop(schedule: Schedule) -> Loop:
    whole = Loop(Span(0, len(schedule.bundles)), 1)
    return max(schedule.loops, key=lambda loop: len(loop.span), default=whole)


def _num_steps(grid: Loop, shares: Shares) -> int:
    if shares.steps is not None:
        return shares.steps
    if grid.count is None:
        raise ValueError("the schedule holds no count of grid steps: give Shares.steps")
    return grid.count - PIPELINE_STEPS if grid.count > PIPELINE_STEPS else 1


def _stretches(schedule: Schedule, grid: Span, shares: Shares) -> Iterator[_Stretch]:
    """Each bundle of the grid loop once, in the innermost guard that has a share."""
    guards = [guard for guard in schedule.guards if grid.holds(guard)]
    hot = [guard for guard in guards if schedule.has_matmul(guard)]
    bodies = [x for x in hot if not any(x != y and x.holds(y) for y in hot)]
    cold = [x for x in guards if x not in hot and not schedule.has_transfer(x)]
    if not hot:  # then Mosaic's own guard is among the cold ones
        cold = [guard for guard in cold if 2 * len(guard) < len(grid)]
    body_shares = _fit(shares.bodies, bodies, "bodies")
    cold_shares = _fit(shares.cold, cold, "cold")
    shared = [
        *(("body", *pair) for pair in zip(bodies, body_shares, strict=True)),
        *(("cold", *pair) for pair in zip(cold, cold_shares, strict=True)),
    ]
    taken: set[int] = set()
    # Cold code may lie within a body; short code within long.
    for kind, span, share in sorted(shared, key=lambda x: (x[0] == "body", len(x[1]))):
        own = tuple(i for i in range(*span) if i not in taken)
        taken.update(own)
        yield _Stretch(kind=kind, span=span, share=share, own=own)
    rest = tuple(i for i in range(*grid) if i not in taken)
    yield _Stretch(kind="straight", span=grid, share=1.0, own=rest)


def _fit(
    shares: float | tuple[float, ...] | None, spans: list[Span], field: str
) -> tuple[float, ...]:
    """One share for each span, or a ValueError that shows what was found."""
    if isinstance(shares, int | float):
        return (float(shares),) * len(spans)
    if field == "bodies" and not spans and len(shares or ()) == 1:
        return ()
    if len(shares or ()) != len(spans):
        found = ", ".join(f"{len(span)} bundles at {span.begin}" for span in spans)
        raise ValueError(
            f"Shares.{field}={shares} but the schedule has {len(spans)} "
            f"({found or 'none'}): give one for each"
        )
    return shares or ()


def _cost_stretch(
    bundles: tuple[Bundle, ...], stretch: _Stretch, inner: list[Loop], chip: Chip
) -> Part:
    """Costs each run of consecutive bundles that share a loop, times its count."""
    cycles = mxu_busy = num_bundles = 0.0
    for run, times in _runs(stretch.own, inner):
        run_cycles, run_busy = simulate((bundles[i] for i in run), chip)
        cycles += times * run_cycles
        mxu_busy += times * run_busy
        num_bundles += times * len(run)
    return Part(
        kind=stretch.kind,
        span=stretch.span,
        share=stretch.share,
        bundles=num_bundles,
        cycles=cycles,
        mxu_busy=mxu_busy,
    )


def _runs(own: tuple[int, ...], inner: list[Loop]) -> Iterator[tuple[range, int]]:
    cuts = [
        j + 1
        for j, (a, b) in enumerate(pairwise(own))
        if b != a + 1 or _times(a, inner) != _times(b, inner)
    ]
    for begin, end in pairwise([0, *cuts, len(own)]):
        if begin < end:
            yield range(own[begin], own[end - 1] + 1), _times(own[begin], inner)


def _times(i: int, inner: list[Loop]) -> int:
    """How often bundle i runs for each run of the code around the inner loops."""
    times = 1
    for loop in inner:
        if loop.span.begin <= i < loop.span.end:
            times *= loop.count or 1
    return times
