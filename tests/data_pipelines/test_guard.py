"""Work that hangs, dies or eats memory costs one item, never the run."""

import json
import os
import signal
import time

import pytest

from data_pipelines import guard
from data_pipelines.guard import Guard, Limits, messages
from data_pipelines.quarantine import Reject
from videogen.core.errors import ConfigError


@pytest.fixture
def guarded():
    """One attempt, of at most 3 seconds and 2 GiB."""
    made = Guard(Limits(timeout_s=3, memory_gib=2, retries=0))
    yield made
    made.close()
    guard.end_idle()


def test_rows_come_back(guarded):
    assert guarded(json.loads, '[{"id": 1}]') == {"rows": [{"id": 1}]}


def test_the_work_is_elsewhere_and_stays_there(guarded):
    first, second = (guarded(eval, "[__import__('os').getpid()]") for _ in range(2))
    assert first == second != {"rows": [os.getpid()]}


def test_a_hang_is_a_timeout(guarded):
    start = time.monotonic()
    assert guarded(time.sleep, 1000)["code"] == "TIMEOUT"
    assert time.monotonic() - start < 20
    assert guarded(json.loads, "[1]") == {"rows": [1]}  # by another process


def test_a_dead_process_is_a_crash(guarded):
    found = guarded(signal.raise_signal, signal.SIGSEGV)
    assert found["code"] == "CRASH" and "signal 11" in found["reason"]
    assert guarded(os._exit, 3)["reason"].endswith("exit code 3")


def test_too_much_memory(guarded):
    assert guarded(bytearray, 1 << 40)["code"] == "OOM"
    assert guarded(signal.raise_signal, signal.SIGKILL)["code"] == "OOM"


def ended(work, item):
    """The last message."""
    return list(messages(work, item))[-1]


def test_unforeseen_errors_are_a_line():
    found = ended(json.loads, "{")
    assert found["code"] == "CRASH" and "JSONDecodeError" in found["reason"]
    assert "\n" not in ended(_raise, AssertionError("no such\n  matrix"))["reason"]


def _raise(error):
    raise error


def test_rejects_keep_their_code():
    found = ended(_raise, Reject("TOO_LARGE", "much"))
    assert found == {"code": "TOO_LARGE", "reason": "much"}


def test_a_fault_of_the_settings_is_no_fault_of_the_item(guarded):
    raises = "(_ for _ in ()).throw(__import__('videogen.core.errors', fromlist=['a'])"
    with pytest.raises(ConfigError, match="^scorers=x$"):
        guarded(eval, raises + ".ConfigError('scorers=x'))")


def test_an_interrupt_is_no_verdict():
    with pytest.raises(KeyboardInterrupt):
        ended(_raise, KeyboardInterrupt())


def test_a_stream_comes_as_it_is_made(guarded):
    stream = guarded.stream(eval, "iter(map(len, ('a', 'bb', 1)))")
    assert [next(stream), next(stream)] == [1, 2]
    with pytest.raises(Reject, match="CRASH: TypeError"):
        next(stream)


def test_a_stream_may_be_left(guarded):
    stream = guarded.stream(eval, "(bytes(1 << 20) for _ in range(10**6))")
    next(stream)
    stream.close()
    assert guarded(json.loads, "[1]") == {"rows": [1]}


def test_the_time_limit_is_of_the_work_not_of_the_waiting(guarded):
    stream = guarded.stream(eval, "iter(range(3))")
    next(stream)
    time.sleep(4)
    assert list(stream) == [1, 2]


def test_a_stream_that_crashed_goes_on(tmp_path):
    once = tmp_path / "once"
    crash = f"__import__('os').mkdir({str(once)!r}) or __import__('os').abort()"
    rows = f"(n if n < 2 or __import__('os').path.isdir({str(once)!r}) else {crash} "
    made = Guard(Limits(timeout_s=20, retries=1))
    assert made(eval, rows + "for n in range(4))") == {"rows": [0, 1, 2, 3]}
    made.close()


@pytest.mark.parametrize("retries", [0, 2])
def test_a_crash_is_tried_again(tmp_path, retries):
    log = tmp_path / "log"
    crash = f"[__import__('pathlib').Path({str(log)!r}).open('ab', 0).write(b'x'), "
    crash += "__import__('os').abort()]"
    made = Guard(Limits(timeout_s=20, retries=retries))
    assert made(eval, crash)["code"] == "CRASH"
    made.close()
    assert log.read_text() == "x" * (1 + retries)


@pytest.mark.parametrize(
    "limits", [{"timeout_s": 0}, {"memory_gib": -1}, {"retries": -1}]
)
def test_limits_that_cannot_be_meant(limits):
    (name,) = limits
    with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')}="):
        Limits(**limits)
