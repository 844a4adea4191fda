"""Messages arrive whole and as they were, or it is said that none does."""

import threading

import numpy as np
import pytest

from data_pipelines.pipe import Pipe


@pytest.fixture
def ends():
    ours, theirs = Pipe.pair()
    yield ours, theirs
    ours.close()
    theirs.close()


ARRAYS = np.arange(1 << 20).reshape(1 << 10, -1)  # more than a socket holds


@pytest.mark.parametrize(
    "array",
    [ARRAYS, ARRAYS.T, ARRAYS[::3, ::2], ARRAYS[:0], np.array(3)],
    ids=["whole", "turned", "parts", "empty", "scalar"],
)
def test_arrays_arrive_as_they_were(ends, array):
    ours, theirs = ends
    sender = threading.Thread(target=theirs.send, args=[{"row": [array, "a", array]}])
    sender.start()
    first, text, second = ours.recv()["row"]
    sender.join()
    assert text == "a" and first.dtype == array.dtype
    np.testing.assert_array_equal(first, array)
    np.testing.assert_array_equal(second, array)
    first += 1  # ours to change


def test_messages_keep_their_order(ends):
    ours, theirs = ends
    sent = [None, {"row": 1}, len, np.ones(3), b""]
    for message in sent:
        theirs.send(message)
    for message in sent:
        np.testing.assert_array_equal(ours.recv(), message)


ONE, FIVE = b"\0" * 7 + b"\1", b"\0" * 7 + b"\5"


@pytest.mark.parametrize("part", [b"", ONE[:3], ONE, ONE + FIVE + b"ab"])
def test_an_end_that_is_gone_is_no_message(ends, part):
    """Between two messages, or within one."""
    ours, theirs = ends
    theirs._end.sendall(part)
    theirs.close()
    with pytest.raises(EOFError):
        ours.recv()
    with pytest.raises(OSError):
        ours.send(1)
