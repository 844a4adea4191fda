"""Which layouts are compiled, and what becomes of a refusal."""

import dataclasses

import pytest

from videogen.core.errors import ConfigError
from videogen.cost.analytic.estimate import Estimate
from videogen.cost.analytic.layout import Layout
from videogen.cost.compile import CompileError, Report, TooSlowError
from videogen.parallel.chips import find_chip
from videogen.planner import table, verify

CHIP = find_chip("v5e")
SLOW = TooSlowError("not compiled within 1 s")
REFUSED = "Ran out of memory in memory space hbm. Used 20.75G of 15.75G hbm."
REPORT = Report(
    chip="v5e",
    cycles=1.0,
    kernel_cycles=0.0,
    xla_cycles=1,
    milliseconds=1.0,
    mxu_share=0.5,
    peak_bytes=2**33,
    bytes={},
    kernels=(),
    operations={},
    unknown_loops=(),
    kinds={},
    traffic=(),
    axes={"fsdp": 16},
    facts={},
    compile_seconds=1.0,
    compile_cpu_seconds=1.0,
)
ESTIMATES = [
    Estimate(
        layout=Layout(fsdp=16, microbatches=n),
        compute={"products": float(n)},
        waits={},
        sent={},
        num_bytes={"state": 2.0**33},
        mfu=0.5 / n,
        allowed_gib=15.75,
    )
    for n in (1, 2, 4, 8, 16)
]


@pytest.fixture
def compiled(monkeypatch):
    """{microbatches: milliseconds, or what the compiler says}; others take as estimated."""
    answers, asked = {}, []

    def measure(spec, chip, *, overrides, **case):
        parts = int(overrides[-1].partition("=")[2])
        asked.append(parts)
        answer = answers.get(parts, 1e3 * parts)
        if isinstance(answer, Exception):
            raise answer
        if isinstance(answer, str):
            raise CompileError(answer)
        return dataclasses.replace(REPORT, milliseconds=answer)

    monkeypatch.setattr(verify.compiler, "measure", measure)
    return answers, asked


def run(number):
    case = {"config": "c.py", "overrides": [], "topology": "v5e:4x4"}
    return list(verify.choices(ESTIMATES, number, CHIP, **case))


def test_the_first_so_many_are_compiled(compiled):
    found = run(2)
    assert compiled[1] == [1, 2] and len(found) == len(ESTIMATES)
    assert [x.forecast is not None for x in found] == [True, True, False, False, False]


def test_none_is_compiled_unless_asked(compiled):
    found = run(0)
    assert not compiled[1] and verify.best(found) is found[0]


def test_the_next_takes_the_place_of_one_refused(compiled):
    compiled[0][1] = REFUSED
    found = run(1)
    assert compiled[1] == [1, 2]
    assert found[0].refused.excess == pytest.approx(5.0)
    assert verify.best(found) is found[1]
    assert "5.00 GiB too much" in table.describe(found, 10)


def test_the_compiler_has_the_last_word_on_the_order(compiled):
    compiled[0][1] = 9e3
    found = run(2)
    assert verify.best(found) is found[1]


def test_estimates_that_are_refused_again_and_again_end(compiled):
    compiled[0].update(dict.fromkeys((1, 2, 4, 8, 16), REFUSED))
    found = run(1)
    assert compiled[1] == [1, 2, 4] and verify.best(found) is found[3]


def test_if_all_are_refused_none_is_printed_as_the_answer(compiled):
    compiled[0].update(dict.fromkeys((1, 2, 4, 8, 16), REFUSED))
    found = run(1)[:3]
    with pytest.raises(ConfigError, match="refused all 3 layouts .* by 5.00 GiB"):
        verify.best(found)


def test_one_that_compiles_too_slowly_is_no_end(compiled):
    compiled[0][1] = SLOW
    found = run(1)
    assert compiled[1] == [1, 2] and verify.best(found) is found[1]
    assert "too slow to compile" in table.describe(found, 10)
    assert found[0].record()["too_slow_to_compile"]


def test_without_a_compiler_the_way_out_is_named(compiled):
    compiled[0][1] = "libtpu is not installed in here"
    with pytest.raises(ConfigError, match="not installed in here; --verify=0"):
        run(1)


def test_the_table_has_a_line_a_layout(compiled):
    lines = table.describe(run(1), 2).splitlines()
    assert len(lines) == 4 and lines[-1] == "total: 5 layouts fit"
    assert lines[1].split() == [
        "fsdp=16",
        "full",
        "1",
        "1,000",
        "50.0%",
        "8.00",
        "1,000",
        "8.00",
    ]
