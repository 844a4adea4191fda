"""Rings' transfers: whose pass they are of, what is asked of them, how they are shown."""

from benchmarks import records, ring

SENT = "bf16[2,8]{1,0} collective-permute(p), source_target_pairs={{0,1}}, metadata="
MODULE = f"""HloModule ring
ENTRY main (p: bf16[2,8]) -> bf16[2,8] {{
  p = bf16[2,8]{{1,0}} parameter(0)
  a = {SENT}{{op_name="jvp()/ppermute"}}
  b = {SENT}{{op_name="transpose(jvp())/ppermute"}}
}}
"""


def test_a_transfer_knows_its_pass():
    assert [x.backward for x in ring.transfers(MODULE)] == [False, True]


def record(case, **more):
    fields = {"forward": [3, 3], "backward": [6, 6], "mib": 24.0, "formula_mib": 24.0}
    return {"row": case, "source": "s", **fields, **more}


def test_what_is_asked_is_all_hidden_and_no_byte_more():
    case = ring.cases()[0]
    assert ring.holds(record(case))
    assert not ring.holds(record(case, backward=[5, 6]))
    assert not ring.holds(record(case, mib=24.5))


def test_the_table_has_a_row_for_each_case_that_was_measured():
    every, window = ring.cases(), {"topology": "v6e:2x4", "ring": 8, "window": 4}
    assert window in every
    found = {records.key(x): record(x) for x in every}
    assert ring.table(found).count("\n") == 1 + len(every)
    one = {records.key(window): record(window, backward=[5, 6])}
    assert ring.table(one).endswith(
        "| v6e:2x4 | 8 | 4 frames | 3 of 3 | 5 of 6 | 24 | 24 |"
    )
