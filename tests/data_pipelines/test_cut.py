"""One video: its shots, its clips, and what is wrong with it."""

import numpy as np
import pytest
from PIL import Image

from data_pipelines import cut as cutting
from data_pipelines.cut import Cutter, watch_source
from data_pipelines.probe import probe
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings, ShotsSettings
from data_pipelines.sources import find_sources

SETTINGS = ShotsSettings(min_seconds=0.5, max_seconds=1.0)


def cut(path):
    (source,) = find_sources(IngestSettings(videos=str(path.parent)))
    (row,) = probe(source)
    (found,) = Cutter(SETTINGS)(row, watch_source(row, settings=SETTINGS))
    return row, found


def test_clips_lie_in_their_shots(tmp_path, make_video):
    source, found = cut(make_video(tmp_path / "a.mp4", [40, 20, 10]))
    assert found["shots"] == 3
    spans = [(c["first_frame"], c["last_frame"]) for c in found["clips"]]
    assert spans == [(2, 26), (42, 57)]  # the rest of the first is too short
    for clip in found["clips"]:
        assert clip["source_id"] == source["id"]
        assert clip["seconds"] == pytest.approx(clip["end_s"] - clip["start_s"])
        assert (clip["height"], clip["width"]) == (64, 96)
        assert clip["fps"] == pytest.approx(24)
        assert 0 < clip["bits_per_pixel"] < 10


def test_what_is_seen_comes_in_parts(tmp_path, make_video, monkeypatch):
    whole = cut(make_video(tmp_path / "a.mp4", [40, 20, 10]))
    monkeypatch.setattr(cutting, "PART_BYTES", 7)
    assert len(list(watch_source(whole[0], settings=SETTINGS))) == 10
    assert cut(tmp_path / "a.mp4") == whole


def test_an_image_is_one_clip_of_no_duration(tmp_path):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "a.png")
    _, found = cut(tmp_path / "a.png")
    (clip,) = found["clips"]
    assert (clip["seconds"], clip["fps"]) == (0.0, None)
    assert (clip["first_frame"], clip["last_frame"]) == (0, 0)


def test_too_short(tmp_path, make_video):
    with pytest.raises(Reject, match="TOO_SHORT: the longest shot lasts 0.375 seconds"):
        cut(make_video(tmp_path / "a.mp4", [10]))
