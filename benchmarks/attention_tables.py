"""Tables of attention's measurements, and what they say to the figures asked for."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from benchmarks import attention_rows as asked
from benchmarks.attention_rows import CHIPS, KERNELS, LATTE, LONG, NARROW, WAN, Shape
from benchmarks.records import Record, key, markdown
from videogen.ops.attention.specs import SPECS

Records = Mapping[str, Record]


@dataclass(frozen=True, kw_only=True)
class Check:
    """One figure that was asked for."""

    what: str
    measured: float
    limit: float
    at_least: bool = False

    @property
    def holds(self) -> bool:
        if self.at_least:
            return self.measured >= self.limit
        return self.measured <= self.limit

    def __str__(self) -> str:
        relation = ">=" if self.at_least else "<="
        verdict = "ok  " if self.holds else "MISS"
        return f"{verdict} {self.what}: {self.measured:.4g} (asked {relation} {self.limit:g})"


def find(
    records: Records, shape: str, chip: str, kernel: str, both: bool
) -> Record | None:
    """The measurement of one row; None where there is none, or the compiler refused."""
    row = {"shape": shape, "chip": chip, "kernel": kernel, "both": both}
    record = records.get(key(row))
    return record if record and "mcycles" in record else None


def was_refused(
    records: Records, shape: str, chip: str, kernel: str, both: bool
) -> bool:
    """Whether the compiler refused the row: most often it does not fit in memory."""
    row = {"shape": shape, "chip": chip, "kernel": kernel, "both": both}
    return "error" in records.get(key(row), {})


def tables(records: Records) -> str:
    """All tables that have a row, as Markdown."""
    titles = {
        WAN: "Wan-1.3B at 480p",
        LONG: "Wan-14B at 720p on four devices",
        NARROW: "Head dim 64",
        LATTE: "Latte's head dim",
    }
    parts = []
    for shape, title in titles.items():
        for both in (False, True):
            table = full_table(records, shape, both)
            if table:
                head = f"{title}, {shape.name}, {_passes(both)}"
                parts += [f"**{head}**: Mcycles (MXU)", "", table, ""]
    head = "Sparse, K=12 E=128"
    parts += [f"**{head}**: Mcycles (times full cycles x share of blocks kept)", ""]
    parts += [pattern_table(records), ""]
    head = "Published shapes, forward and backward"
    parts += [f"**{head}**: Mcycles (MXU)", "", published_table(records)]
    return "\n".join(parts)


def _passes(both: bool) -> str:
    return "forward and backward" if both else "forward"


def full_table(records: Records, shape: Shape, both: bool) -> str:
    """Kernels by chips, and peak memory on the first chip that has it; "" for no row."""
    lines = []
    for name in KERNELS:
        found = [find(records, shape.name, chip, name, both) for chip in CHIPS]
        cells = [
            "refused"
            if was_refused(records, shape.name, chip, name, both)
            else _cell(record)
            for chip, record in zip(CHIPS, found, strict=True)
        ]
        peak = next((record["peak_gib"] for record in found if record), None)
        if peak is not None:
            lines.append([name, *cells, f"{peak:.2f}"])
    costs = [None if both else bound_cost(records, shape, chip) for chip in CHIPS]
    if any(costs):
        cells = ["" if cost is None else f"{cost:.1f}" for cost in costs]
        lines.append(["the look into the data alone", *cells, ""])
    kept = [i for i in range(len(CHIPS)) if any(line[i + 1] for line in lines)]
    header = ["kernel", *(CHIPS[i] for i in kept), "peak GiB"]
    rows = [[line[0], *(line[i + 1] for i in kept), line[-1]] for line in lines]
    return markdown(header, rows) if rows else ""


def bound_cost(records: Records, shape: Shape, chip: str) -> float | None:
    """Mcycles of finding the mode in the data: what it adds to the kernel it finds."""
    chosen = find(records, shape.name, chip, asked.CHOSEN, False)
    kernel = find(records, shape.name, chip, asked.NO_MAX, False)
    return chosen["mcycles"] - kernel["mcycles"] if chosen and kernel else None


def _cell(record: Record | None) -> str:
    return f"{record['mcycles']:.1f} ({record['mxu']:.0%})" if record else ""


def pattern_table(records: Records) -> str:
    """Patterns by chips: cycles, and how they compare with the share of blocks kept."""
    header, lines = ["pattern", "pairs attended"], []
    for chip in asked.PATTERN_CHIPS:
        header += [f"{chip} forward", f"{chip} forward and backward"]
    for pattern in asked.PATTERNS:
        line, pairs = [], ""
        for chip in asked.PATTERN_CHIPS:
            for both in (False, True):
                record = find(records, "patterns", chip, pattern, both)
                times = pattern_ratio(records, chip, pattern, both)
                found = record and times
                line.append(f"{record['mcycles']:.1f} (x{times:.2f})" if found else "")
                pairs = f"{record['facts']['pairs']:.1%}" if record else pairs
        lines.append([pattern, pairs, *line])
    return markdown(header, lines)


def published_table(records: Records) -> str:
    """Models' shapes by chips, and peak memory on the first chip that has it."""
    lines = []
    for name in asked.PUBLISHED:
        spec = SPECS[name]
        heads = f"K={spec.K}" if spec.K == spec.G else f"K={spec.K} G={spec.G}"
        tokens = f"N={spec.N}" if spec.N == spec.S else f"N={spec.N} S={spec.S}"
        found = [find(records, "published", chip, name, True) for chip in CHIPS]
        peak = next((f"{x['peak_gib']:.2f}" for x in found if x), "")
        title = f"`{name}` {heads} E={spec.E} {tokens}"
        lines.append([title, *map(_cell, found), peak])
    return markdown(["shape", *CHIPS, "peak GiB"], lines)


def pattern_ratio(
    records: Records, chip: str, pattern: str, both: bool
) -> float | None:
    """Cycles over those of full attention times the share of blocks that are kept."""
    record = find(records, "patterns", chip, pattern, both)
    forward = find(records, WAN.name, chip, asked.NO_MAX, False)
    whole = find(records, WAN.name, chip, asked.NO_MAX, True)
    if not (record and forward and (whole or not both)):
        return None
    facts = record["facts"]
    work = (facts["tokens"] / WAN.N) ** 2
    cycles = forward["mcycles"] * facts["kept_forward"]
    if both:
        backward = whole["mcycles"] - forward["mcycles"]
        cycles += backward * facts["kept_backward"]
    return record["mcycles"] / (work * cycles)


def checks(records: Records) -> list[Check]:
    """Every figure that the records can answer."""
    return [
        *_limits(records),
        *_long(records),
        *_modes(records),
        *_narrow(records),
        *_patterns(records),
    ]


def _mcycles(records: Records, shape: Shape, chip: str, kernel: str, both: bool) -> Any:
    record = find(records, shape.name, chip, kernel, both)
    return record and record["mcycles"]


def _limits(records: Records) -> Iterator[Check]:
    for (shape, chip), limits in asked.LIMITS.items():
        for both, limit in zip((False, True), limits, strict=True):
            measured = _mcycles(records, shape, chip, asked.NO_MAX, both)
            if limit and measured:
                what = f"{_title(shape, chip, both)}, Mcycles"
                yield Check(what=what, measured=measured, limit=limit)


def _long(records: Records) -> Iterator[Check]:
    work = (LONG.N / WAN.N) ** 2 * LONG.K / WAN.K
    for chip in CHIPS:
        for both in (False, True):
            long = _mcycles(records, LONG, chip, asked.NO_MAX, both)
            aligned = _mcycles(records, WAN, chip, asked.NO_MAX, both)
            if long and aligned:
                yield Check(
                    what=f"{_title(LONG, chip, both)}, times aligned cycles scaled",
                    measured=long / aligned / work,
                    limit=asked.LONG_SCALING,
                )


def _modes(records: Records) -> Iterator[Check]:
    """Each mode alone: the bound's own cost, which is XLA's part, is a line of its own."""
    for chip in CHIPS:
        base = find(records, WAN.name, chip, asked.NO_MAX, False)
        for kernel, limit in asked.MODES.items():
            mode = find(records, WAN.name, chip, kernel, False)
            if kernel == asked.BOUNDED and chip == "tpu7x":
                limit = asked.BOUNDED_TPU7X
            if base and mode:
                alone, least = (x["mcycles"] - x["xla_mcycles"] for x in (mode, base))
                what = f"{_title(WAN, chip, False)}, {kernel}, times no maximum"
                yield Check(what=what, measured=alone / least, limit=limit)


def _narrow(records: Records) -> Iterator[Check]:
    for shape in (NARROW, LATTE):
        for chip in CHIPS:
            ours = _mcycles(records, shape, chip, asked.NO_MAX, True)
            splash = _mcycles(records, shape, chip, asked.SPLASH, True)
            if ours and splash:
                yield Check(
                    what=f"{_title(shape, chip, True)}, times fewer cycles than splash",
                    measured=splash / ours,
                    limit=asked.NARROW_GAIN,
                    at_least=True,
                )


def _patterns(records: Records) -> Iterator[Check]:
    for chip in asked.PATTERN_CHIPS:
        for pattern in asked.PATTERNS:
            limit = asked.DYNAMIC if pattern == "8 segments" else asked.STATIC
            for both in (False, True):
                ratio = pattern_ratio(records, chip, pattern, both)
                if ratio:
                    passes = "forward and backward" if both else "forward"
                    what = (
                        f"{pattern}, {chip}, {passes}, times the share of blocks kept"
                    )
                    yield Check(what=what, measured=ratio, limit=limit)


def _title(shape: Shape, chip: str, both: bool) -> str:
    return f"{shape.name}, {chip}, {_passes(both)}"
