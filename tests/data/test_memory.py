"""Memory that is lent again is memory that nobody holds: not a view, not a JAX array."""

import gc
import random
import threading

import jax
import ml_dtypes
import numpy as np
import pytest

from videogen.data.memory import ALIGNMENT, Memory

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
SHAPE = (4, 8, 3)


def address(array):
    return array.ctypes.data


def filled(memory, value, shape=SHAPE):
    array = memory.empty(shape, BFLOAT16)
    array[...] = value
    return array


def test_what_was_let_go_is_lent_again():
    memory = Memory()
    first = filled(memory, 1)
    place = address(first)
    del first
    again = memory.empty(SHAPE, BFLOAT16)
    assert address(again) == place and place % ALIGNMENT == 0
    assert again.shape == SHAPE and again.dtype == BFLOAT16


VIEWS = {
    "whole": lambda x: x,
    "row": lambda x: x[1],
    "turned": lambda x: x.T,
    "other type": lambda x: x.view(np.uint16),
    "view of a view": lambda x: x[1:][::2].reshape(-1)[3:],
    "memoryview": lambda x: memoryview(x.view(np.uint16)),
    "of its bytes": lambda x: np.frombuffer(x.view(np.uint8), np.uint16),
    "jax": jax.device_put,
    "jax, of rows": lambda x: jax.device_put(x[:2]),
    "base": lambda x: x.base,
}


@pytest.mark.parametrize("kind", VIEWS)
def test_what_is_held_in_any_way_keeps_its_bytes(kind):
    memory = Memory()
    lent = filled(memory, 3)
    held = VIEWS[kind](lent)
    before = np.array(held)
    del lent
    gc.collect()
    others = [filled(memory, 7) for _ in range(3)]
    np.testing.assert_array_equal(np.array(held), before)
    assert len({address(other) for other in others}) == 3


def test_an_array_on_the_device_may_be_that_memory():
    memory = Memory()
    lent = filled(memory, 3)
    place = address(lent)
    on_device = jax.block_until_ready(jax.device_put(lent))
    assert on_device.unsafe_buffer_pointer() == place  # else this tests nothing
    del lent
    assert address(filled(memory, 7)) != place
    assert (np.asarray(on_device) == 3).all()


def test_any_order_of_holding_and_letting_go():
    memory, rng, held = Memory(), random.Random(0), {}
    for step in range(400):
        array = filled(memory, step % 256, shape=(rng.choice([2, 3]), 5))
        held[step] = jax.device_put(array) if rng.random() < 0.5 else array[1:]
        for old in rng.sample(list(held), len(held) - 6) if len(held) > 6 else ():
            del held[old]
        for known, value in held.items():
            assert (np.asarray(value) == known % 256).all()


def test_few_pieces_wait_whatever_was_lent():
    memory = Memory(most_idle=2)
    lent = [filled(memory, 0, shape=(size, 2)) for size in (1, 2, 3, 4, 5)]
    del lent
    assert len(memory._idle) == 2


def test_no_two_threads_get_the_same():
    memory, wrong = Memory(), []

    def work(name):
        for _ in range(500):
            array = filled(memory, name)
            if not (array == name).all():
                wrong.append(name)

    threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
