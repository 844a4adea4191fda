"""The best layouts compiled ahead of time, as `videogen aot` does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from videogen.core.errors import ConfigError
from videogen.cost import compile as compiler
from videogen.cost import refusal
from videogen.cost.analytic.estimate import Estimate
from videogen.cost.refusal import Refusal
from videogen.forecast import GIB, Forecast
from videogen.parallel.chips import Chip

MOST_REFUSED = 3  # before the estimates are not believed any more


@dataclass(frozen=True, kw_only=True)
class Choice:
    """A layout as it was estimated and, if it was compiled, as that went."""

    estimate: Estimate
    forecast: Forecast | None = None
    refused: Refusal | None = None
    too_slow: bool = False  # to compile

    def record(self) -> dict[str, Any]:
        """For JSON."""
        record: dict[str, Any] = self.estimate.record()
        if self.forecast is not None:
            record["verified"] = self.forecast.record()
        if self.refused is not None:
            record["refused_gib_too_much"] = self.refused.excess
        return record | ({"too_slow_to_compile": True} if self.too_slow else {})


def check_compiler() -> None:
    """ConfigError, before anything is traced, where nothing can be compiled."""
    try:
        compiler.require_libtpu()
    except compiler.CompileError as error:
        raise ConfigError(f"{error}; --verify=0 compiles nothing") from None


def choices(
    estimates: Sequence[Estimate], number: int, chip: Chip, **case: Any
) -> Iterator[Choice]:
    """All estimates in their order, until so many have compiled.

    case: what `flagship.step_case` takes, and topology and timeout.
    ConfigError where there is no compiler.
    """
    compiled = refused = 0
    for estimate in estimates:
        if compiled == number or refused == MOST_REFUSED:
            yield Choice(estimate=estimate)
            continue
        choice = verify(estimate, chip, **case)
        compiled += choice.forecast is not None
        refused += choice.forecast is None
        yield choice


def verify(
    estimate: Estimate, chip: Chip, *, overrides: Iterable[str], **case: Any
) -> Choice:
    """One layout, compiled: minutes."""
    try:
        report = compiler.measure(
            "videogen.flagship:step_case",
            chip.name,
            overrides=[*overrides, *estimate.layout.flags],
            **case,
        )
    except compiler.TooSlowError:
        return Choice(estimate=estimate, too_slow=True)
    except compiler.CompileError as error:
        refused = refusal.parse(str(error))
        if refused is None:
            said = str(error).removeprefix("ConfigError: ")
            raise ConfigError(f"{said}; --verify=0 compiles nothing") from None
        return Choice(estimate=estimate, refused=refused)
    return Choice(estimate=estimate, forecast=Forecast(chip=chip, report=report))


def verified_seconds(choice: Choice) -> str:
    """For a table."""
    if choice.refused is not None:
        return f"{choice.refused.excess:.2f} GiB too much"
    if choice.too_slow:
        return "too slow to compile"
    return f"{1e3 * choice.forecast.step_seconds:,.0f}" if choice.forecast else "-"


def verified_gib(choice: Choice) -> str:
    """For a table."""
    if choice.forecast is None:
        return "-"
    return f"{choice.forecast.report.peak_bytes / GIB:.2f}"


def best(found: Sequence[Choice]) -> Choice:
    """The fastest that compiled; if none did, the first that was not refused.

    ConfigError if the compiler refused all.
    """
    compiled = [(x.forecast.step_seconds, x) for x in found if x.forecast is not None]
    if compiled:
        return min(compiled, key=lambda pair: pair[0])[1]
    for choice in found:
        if choice.refused is None:
            return choice
    excess = min(x.refused.excess for x in found if x.refused is not None)
    raise ConfigError(
        f"the compiler refused all {len(found)} layouts that were estimated to fit, the "
        f"nearest by {excess:.2f} GiB a device; more chips or fewer fields given would help"
    )
