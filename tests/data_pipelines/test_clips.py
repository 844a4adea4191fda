"""Spans of time inside shots: pure functions."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_pipelines.clips import SLACK_S, TRIM, Span, cut, span_id


def times(count, fps=24.0):
    return np.arange(count) / fps


def bounds(shots):
    ends = np.cumsum(shots)
    return [(int(e - n), int(e)) for n, e in zip(shots, ends, strict=True)]


def spans_of(shots, least, most, stride=0.0, fps=24.0):
    seconds = dict(min_seconds=least, max_seconds=most, stride_seconds=stride)
    return cut(times(sum(shots), fps), bounds(shots), **seconds)


SHOTS = st.lists(st.integers(1, 90), min_size=1, max_size=6)


@given(shots=SHOTS, stride=st.integers(1, 20))
def test_overlapping_spans_stay_inside_trimmed_shots(shots, stride):
    found = spans_of(shots, 8 / 24, 8 / 24, stride / 24)
    for span in found:
        assert any(
            first + TRIM <= span.first_frame and span.last_frame < end - TRIM
            for first, end in bounds(shots)
        )
        assert span.last_frame - span.first_frame == 8
    expected = sum(max(0, (n - 2 * TRIM - 9) // stride + 1) for n in shots)
    assert len(found) == expected
    assert found == sorted(found, key=lambda span: span.start_s)


@given(
    shots=SHOTS,
    least=st.integers(1, 10),
    more=st.integers(0, 20),
    fps=st.sampled_from([23.976, 24.0, 25.0, 29.97, 60.0]),
)
def test_spans_without_a_stride_share_no_frame(shots, least, more, fps):
    found = spans_of(shots, least / 24, (least + more) / 24, fps=fps)
    for a, b in zip(found, found[1:], strict=False):
        assert a.last_frame < b.first_frame
    for span in found:
        assert least / 24 - SLACK_S <= span.end_s - span.start_s
        assert span.end_s - span.start_s <= (least + more) / 24 + SLACK_S


@given(shots=SHOTS)
def test_nothing_that_is_long_enough_is_left_over(shots):
    found = spans_of(shots, 5 / 24, 20 / 24)
    covered = sum(span.last_frame - span.first_frame + 1 for span in found)
    assert covered >= sum(n - 2 * TRIM - 5 for n in shots if n > 2 * TRIM + 5)


@given(
    parts=st.lists(st.tuples(st.integers(0, 90), st.integers(1, 60)), min_size=1),
    stride=st.integers(0, 20),
)
def test_parts_may_overlap(parts, stride):
    """What is cut from each alone is there, once, in order, and each lies in its own."""
    within = [(start / 24, (start + count) / 24) for start, count in parts]
    seconds = dict(min_seconds=8 / 24, max_seconds=12 / 24, stride_seconds=stride / 24)
    shots = bounds([70, 50])
    found = cut(times(120), shots, **seconds, within=within)
    places = [(span.first_frame, span.last_frame) for span in found]
    assert places == sorted(places)
    ids = [span_id("a", span) for span in found]
    alone = [cut(times(120), shots, **seconds, within=[part]) for part in within]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {span_id("a", span) for spans in alone for span in spans}
    for span in found:
        since_s, until_s = within[span.part]
        assert since_s - SLACK_S <= span.start_s and span.end_s <= until_s + SLACK_S


@pytest.mark.parametrize("fps", [23.976, 25.0, 29.97, 60.0])
def test_seconds_mean_seconds_at_any_rate(fps):
    (span,) = spans_of([int(3 * fps)], 2.0, 2.0, fps=fps)
    assert span.end_s - span.start_s == pytest.approx(2.0)
    assert span.start_s == pytest.approx(TRIM / fps)


def test_ids_tell_spans_apart():
    def span(start_s, end_s):
        return Span(start_s=start_s, end_s=end_s, first_frame=0, last_frame=1)

    facts = [("a", span(0, 1)), ("b", span(0, 1)), ("a", span(0, 2)), ("a", span(1, 2))]
    ids = [span_id(*each) for each in facts]
    assert len(set(ids)) == len(ids)
    assert span_id("a", span(0.0, 1.0)) == ids[0]
    assert all(len(each) == 16 for each in ids)
