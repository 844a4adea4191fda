"""One decode pass: each scorer sees its frames, once, and each clip gets its own."""

from data_pipelines.measure import FRAMES, frames_of, measured
from data_pipelines.scores.base import Image

CLIPS = [
    {"id": "a", "first_frame": 2, "last_frame": 20},
    {"id": "b", "first_frame": 10, "last_frame": 30},
    {"id": "c", "first_frame": 40, "last_frame": 40},
]


class Counting:
    """Measures a frame by the number of frames it has seen, and checks the one before."""

    def __init__(self, every_frame):
        self.every_frame = every_frame
        self.images = []

    def measure(self, image: Image):
        if image.before is not None:
            assert image.before.before is None
        self.images.append(image)
        return id(image)

    def summary(self, measures):
        raise AssertionError("not asked for here")


def test_each_clip_gets_the_measures_of_its_frames(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [50])
    every, few = Counting(True), Counting(False)
    found = {
        clip["id"]: measures
        for clip, measures in measured(str(path), CLIPS, [every, few])
    }
    assert list(found) == ["a", "b", "c"]
    assert len(every.images) == len(range(2, 31)) + 1  # shared frames once
    assert [len(m[0]) for m in found.values()] == [19, 21, 1]
    assert [len(m[1]) for m in found.values()] == [FRAMES] * 3
    assert found["a"][0][8:] == found["b"][0][:11]
    assert set(found["a"][1]) <= set(map(id, few.images))
    assert len(set(found["c"][1])) == 1


def test_the_frames_of_a_clip():
    assert frames_of(Counting(True), CLIPS[0]) == list(range(2, 21))
    few = frames_of(Counting(False), CLIPS[0])
    assert (len(few), few[0], few[-1]) == (FRAMES, 2, 20)
    assert frames_of(Counting(False), CLIPS[2]) == [40] * FRAMES


def test_a_clip_may_lie_inside_another(tmp_path, make_video):
    path = make_video(tmp_path / "a.mp4", [50])
    outer = {"id": "outer", "first_frame": 2, "last_frame": 30}
    inner = {"id": "inner", "first_frame": 5, "last_frame": 12}
    found = {
        clip["id"]: measures[0]
        for clip, measures in measured(str(path), [outer, inner], [Counting(True)])
    }
    assert found["inner"] == found["outer"][3:11]
