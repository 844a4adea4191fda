"""Motion grows with speed, and is nobody else's."""

from data_pipelines.scores.motion import Motion


def test_motion_grows_with_speed(score, moving):
    found = [score(Motion(), moving(speed))["motion"] for speed in (0, 1, 3)]
    assert found[0] == 0 < found[1] < found[2]


def test_a_single_frame_has_no_motion(score, moving):
    assert score(Motion(), moving(1, count=1)) == {"motion": None}


def test_a_cut_before_the_clip_is_no_motion(score):
    """The first measure is against the frame before the clip."""
    scorer = Motion()
    measures = [200.0, 1.0, 2.0]
    assert scorer.summary(measures) == {"motion": 1.5}
