"""The search for block sizes, on costs that are made up."""

import json
import math

import pytest

from benchmarks import tune
from videogen.cost.compile import CompileError
from videogen.ops.attention.pallas_tpu import tuning


def bowl(best):
    """A cost that grows with each size's distance from the best, in powers of two."""

    def cost(chip, head_dim, kind, sizes):
        pairs = zip(sizes, best, strict=True)
        return sum(abs(a.bit_length() - b.bit_length()) for a, b in pairs) + 1.0

    return cost


@pytest.mark.parametrize("best", ((1024, 8192, 256), (256, 2048, 512)))
@pytest.mark.parametrize("kind", tune.KINDS)
def test_the_search_descends_to_the_least(monkeypatch, best, kind):
    monkeypatch.setattr(tune, "measured", bowl(best))
    assert tune.search("v6e", 128, kind) == (best, 1.0)


def test_sizes_that_are_all_refused_are_no_row(monkeypatch):
    monkeypatch.setattr(tune, "measured", lambda *case: math.inf)
    with pytest.raises(CompileError, match="v6e E=128 none: .* all near are refused"):
        tune.search("v6e", 128, "none")


def test_an_unknown_chip_is_one_line_before_any_search(monkeypatch, capsys):
    monkeypatch.delattr(tune, "search")
    assert tune.main(["--chip=v6e,v4"]) == 43
    error = capsys.readouterr().err
    assert error == "error: chip 'v4' is not known (one of: tpu7x, v5e, v5p, v6e)\n"


def test_neighbours_differ_in_one_size_and_stay_unrolled():
    for sizes in tune.neighbours((2048, 4096, 256)):
        differ = [a != b for a, b in zip(sizes, (2048, 4096, 256), strict=True)]
        assert sum(differ) == 1
        assert sizes[0] * sizes[1] <= 2 * tuning.PAIRS_PER_STEP


def test_a_row_replaces_that_of_the_same_case(tmp_path):
    path = tmp_path / "tuning.json"
    path.write_text(tuning_text := tune.TABLE.read_text())
    row = json.loads(tuning_text)["rows"][0]
    for new in (row | {"none": [256, 1024, 256]}, row | {"head_dim": 17}):
        tune.write(path, new)
    rows = json.loads(path.read_text())["rows"]
    assert len(rows) == len(json.loads(tuning_text)["rows"]) + 1
    assert [x["none"] for x in rows if x["head_dim"] == row["head_dim"]].count(
        [256, 1024, 256]
    ) == 1
    assert all(tuning.read_row(x) for x in rows)
