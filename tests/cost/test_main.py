"""The command line: arguments, one line per error."""

import pytest

from videogen.cost.__main__ import main, parse_argument


@pytest.mark.parametrize(
    "text, pair",
    [
        ("n=4096", ("n", 4096)),
        ("mode=none", ("mode", "none")),
        ("backward=true", ("backward", True)),
        ("blocks=[1, 2]", ("blocks", [1, 2])),
    ],
)
def test_values_are_json_or_strings(text, pair):
    assert parse_argument(text) == pair


def test_an_unknown_chip_is_one_line_and_a_usage_error(capsys):
    assert main(["cases.py:matmul", "n=1", "--chip=v5i"]) == 43
    error = capsys.readouterr().err
    assert error.startswith("error: v5i: chip 'v5i' is not known")
    assert error.count("\n") == 1


@pytest.mark.tpu
def test_a_report_names_its_kernels_and_their_parts(capsys):
    assert main(["tests/cost/cases.py:matmul", "--chip=v5e", "n=512"]) == 0
    text = capsys.readouterr().out
    assert "Mcycles" in text and "product.1 x1: 1 steps" in text and "MXU" in text
