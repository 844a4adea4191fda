"""What would make a step fit, said only where it would."""

import pytest

from videogen import flagship
from videogen.cost.refusal import Refusal
from videogen.forecast import advice, more_parts

DONE = (
    "optimizer.moments=bfloat16",
    "optimizer.offload=True",
    "model.remat=attention,offload",
)
WAYS = ("microbatches", "moments=bfloat16", "remat=offload", "optimizer.offload=True")


def settings(*overrides):
    return flagship.read("configs/wan2_1_t2v_1_3b.py", overrides)[0]


def said(*overrides, num_devices=4):
    refusal = Refusal(needed=20.0, allowed=15.75)
    return advice(refusal, settings(*overrides), num_devices)


def test_each_option_that_would_help_is_named():
    text = said("data.global_batch=8")
    assert text.startswith("the step does not fit: it needs 20.00 GiB")
    assert "--config.optimizer.microbatches=2 (now 1)" in text
    assert all(way in text for way in WAYS)
    assert "a smaller config.data.global_batch (now 8)" in text
    assert text.endswith("a chip of more memory (v5p, v6e, tpu7x) would help")


def test_what_is_done_already_is_not():
    text = said("data.global_batch=4", *DONE)
    assert not any(way in text for way in WAYS)
    assert "on more chips" in text and "global_batch" not in text


def test_no_chip_is_larger_than_the_largest():
    refusal = Refusal(needed=100.0, allowed=95.74)
    assert "a chip of" not in advice(refusal, settings("data.global_batch=4"), 4)


@pytest.mark.parametrize(
    "overrides, parts",
    [
        (("data.global_batch=8", "mesh.context=4"), 2),
        (("data.global_batch=8", "optimizer.microbatches=2"), None),
        (("data.global_batch=36", "optimizer.microbatches=3"), 9),
        (("data.global_batch=4",), None),
    ],
)
def test_parts_are_a_divisor_of_the_rows_of_a_device(overrides, parts):
    assert more_parts(settings(*overrides), 4) == parts
