"""The checksum is Castagnoli's, at every length where the lanes' arithmetic changes."""

import numpy as np
import pytest
from tensorboardX.crc32c import crc32c as plain
from tensorboardX.record_writer import masked_crc32c

from data_pipelines.exchange.crc32c import crc32c, masked

LENGTHS = (0, 1, 3, 4, 5, 511, 512, 513, 515, 516, 1024, 1025, 5000, 70001, 131076)


def test_the_check_value_of_the_catalogue():
    assert crc32c(b"123456789") == 0xE3069283


@pytest.mark.parametrize("length", LENGTHS)
def test_any_length(length):
    data = np.random.default_rng(length).bytes(length)
    assert crc32c(data) == plain(data)
    assert masked(crc32c(memoryview(data))) == masked_crc32c(data)


def test_one_bit_anywhere_shows():
    data = bytearray(4099)
    sound = crc32c(data)
    for place in (0, 3, 4, 1023, 1024, 4098):
        data[place] ^= 1
        assert crc32c(data) != sound
        data[place] ^= 1
