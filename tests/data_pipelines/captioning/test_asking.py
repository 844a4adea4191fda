"""Work by threads: in order, never far ahead, and at once at an end when it failed."""

import threading
import time

import pytest

from data_pipelines.captioning.asking import in_order


def test_results_come_in_the_order_of_items():
    def slow(item):
        time.sleep(0.001 * (item * 7 % 5))
        return item * item

    results = in_order(slow, range(40), 8, threading.Event())
    assert list(results) == [item * item for item in range(40)]


@pytest.mark.parametrize("threads", [1, 4])
def test_few_items_are_made_ahead(threads):
    made = []
    items = (made.append(item) or item for item in range(100))
    for taken, _ in enumerate(in_order(abs, items, threads, threading.Event())):
        assert len(made) <= taken + 2 * threads


def test_one_that_fails_wakes_those_that_wait():
    stopped = threading.Event()

    def fail_or_wait(item):
        if item == 0:
            raise ValueError("first")
        assert stopped.wait(60)

    start = time.monotonic()
    with pytest.raises(ValueError, match="first"):
        list(in_order(fail_or_wait, range(10), 3, stopped))
    assert time.monotonic() - start < 30


def test_one_who_leaves_wakes_those_that_wait():
    stopped = threading.Event()
    results = in_order(lambda item: item and stopped.wait(60), range(10), 3, stopped)
    start = time.monotonic()
    assert next(results) == 0
    results.close()
    assert stopped.is_set() and time.monotonic() - start < 30
