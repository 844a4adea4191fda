"""Batches come in order, and no more of them are made ahead than memory was given for."""

import threading
import weakref

import numpy as np
import pytest

from videogen.data.ahead import in_threads

SIZE = 1000  # bytes of a batch


class Maker:
    """Counts the batches that are alive."""

    def __init__(self):
        self.alive = self.most = 0
        self.changed = threading.Condition()

    def __call__(self, step):
        made = np.full(SIZE, step % 256, np.uint8)
        self.count(1)
        weakref.finalize(made, self.count, -1)
        return {"latent": made}

    def count(self, more):
        with self.changed:
            self.alive += more
            self.most = max(self.most, self.alive)
            self.changed.notify_all()

    def wait_for(self, alive):
        with self.changed:
            return self.changed.wait_for(lambda: self.alive >= alive, timeout=10)


def test_batches_come_in_order():
    batches = in_threads(Maker(), 3, 40, num_threads=4, budget=10 * SIZE)
    assert [batch["latent"][0] for batch in batches] == list(range(3, 40))


@pytest.mark.parametrize("num", [0, 1, 2])
def test_few_batches_are_enough(num):
    assert len([*in_threads(Maker(), 5, 5 + num, num_threads=2, budget=1)]) == num


@pytest.mark.parametrize(
    ("budget", "growth", "held"),
    [(100 * SIZE, 1.0, 8), (3 * SIZE, 1.0, 3), (9 * SIZE, 3.0, 3), (1, 1.0, 1)],
)
def test_as_many_are_made_ahead_as_the_budget_holds(budget, growth, held):
    maker = Maker()
    options = {"num_threads": 4, "budget": budget, "growth": growth}
    batches = in_threads(maker, 0, 100, **options)
    next(batches)
    for _ in range(20):
        batch = next(batches)
    assert maker.wait_for(held)
    del batch
    assert maker.most <= held + 2  # and that in use, and that which takes its place
    batches.close()


def test_an_error_is_that_of_its_step():
    def batch(step):
        if step == 4:
            raise ValueError("the fourth")
        return {"latent": np.zeros(1)}

    batches = in_threads(batch, 0, 9, num_threads=2, budget=1 << 20)
    assert [len(next(batches)) for _ in range(4)] == [1] * 4
    with pytest.raises(ValueError, match="the fourth"):
        next(batches)
