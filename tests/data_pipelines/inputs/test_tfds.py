"""Prepared TFDS datasets as raw video: one that TFDS itself wrote, and those that are none."""

import hashlib
import io
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow_datasets as tfds
from PIL import Image

from data_pipelines.captions import read_sidecar
from data_pipelines.decode import open_video
from data_pipelines.places import source_id
from data_pipelines.probe import probe
from data_pipelines.quarantine import Reject
from data_pipelines.settings import IngestSettings
from data_pipelines.sources import find_sources, listing_sha256, resolve
from videogen.core.errors import ConfigError, DataError

pytestmark = pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
COUNTS = {"train": 5, "test": 2}


def picture(number):
    image = np.full((32, 48, 3), 40, np.uint8)
    image[4:12, number : number + 8] = 250
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG")
    return file.getvalue()


class Tiny(tfds.core.GeneratorBasedBuilder):
    """Videos as images and as files, as sets with features.Video have them on disk."""

    VERSION = tfds.core.Version("1.0.0")
    film = b""

    def _info(self):
        text = tfds.features.Text()
        features = {
            "video": tfds.features.Sequence(text),
            "film": text,
            "caption": text,
        }
        features |= {"label": tfds.features.Scalar(np.int64), "about": {"title": text}}
        return tfds.core.DatasetInfo(
            builder=self, features=tfds.features.FeaturesDict(features)
        )

    def _split_generators(self, _):
        return {name: self._generate_examples(name) for name in COUNTS}

    def _generate_examples(self, split):
        for number in range(COUNTS[split]):
            yield (
                f"{split}{number}",
                {
                    "video": [picture(number + i) for i in range(6)],
                    "film": self.film,
                    "caption": f"caption {split} {number}",
                    "label": number,
                    "about": {"title": f"title {number}"},
                },
            )


@pytest.fixture(scope="module")
def root(tmp_path_factory, make_video):
    Tiny.film = make_video(tmp_path_factory.mktemp("film") / "a.mp4", [20]).read_bytes()
    root = tmp_path_factory.mktemp("tfds")
    config = tfds.download.DownloadConfig(num_shards=2)
    builder = Tiny(data_dir=root, file_format="array_record")
    builder.download_and_prepare(download_config=config)
    shutil.copytree(root / "tiny/1.0.0", root / "tiny/0.9.0")
    return root


@pytest.fixture
def copy(root, tmp_path):
    return shutil.copytree(root / "tiny" / "1.0.0", tmp_path / "copy")


def settings(videos, **fields):
    return IngestSettings(**{"videos": f"tfds:{videos}", "frames_fps": 10.0, **fields})


def find(videos, **fields):
    return find_sources(settings(videos, **fields))


def test_images_are_frames_in_their_order(root):
    found = find(root / "tiny/1.0.0", split="train+test")
    assert len(found) == 7
    assert found[0].name == "tiny-train.array_record-00000-of-00002/0"
    shown = {}
    for source in found:
        captions = read_sidecar(source.sidecar)
        _, split, number = captions.caption.split()
        assert captions.label == int(number)
        shown[split, int(number)] = source
        with open_video(source.path) as video:
            frames = [(f.time, f.to_ndarray(format="rgb24")) for f in video.frames()]
        assert [time for time, _ in frames] == pytest.approx([i / 10 for i in range(6)])
        for i, (_, image) in enumerate(frames):
            wanted = np.asarray(Image.open(io.BytesIO(picture(int(number) + i))))
            assert np.array_equal(image, wanted)
    assert len(shown) == 7


def test_a_film_is_read_as_a_file_and_nested_texts_by_their_path(root):
    found = find(
        root / "tiny/1.0.0",
        video_field="film",
        caption_field="about/title",
        frames_fps=0.0,
        split="test",
    )
    rows = [row for source in found for row in probe(source)]
    assert {row["codec"] for row in rows} == {"h264"}
    assert {row["size"] for row in rows} == {len(Tiny.film)}
    titles = {read_sidecar(source.sidecar).caption for source in found}
    assert titles == {"title 0", "title 1"}


def test_ids_are_of_the_images_alone(root):
    def ids(name, **fields):
        found = find(name, data_dir=str(root), **fields)
        return [row["id"] for source in found for row in probe(source)]

    assert len(set(ids("tiny"))) == 5
    assert ids("tiny") == ids("tiny:0.9.0", frames_fps=25.0)


def test_names_are_found_where_they_are_prepared(root, monkeypatch):
    def place(name, **fields):
        return resolve(settings(name, **fields)).removeprefix("tfds:")

    assert place("tiny", data_dir=str(root)) == str(root / "tiny/1.0.0")
    assert place("tiny:0.9.0", data_dir=str(root)) == str(root / "tiny/0.9.0")
    monkeypatch.setenv("TFDS_DATA_DIR", str(root))
    assert place("tiny") == place(root / "tiny/1.0.0") == str(root / "tiny/1.0.0")
    for name, words in {
        "tiyn": f"'tiyn' is not prepared in {root} (did you mean 'tiny'?)",
        "tiny:2.0.0": "there are: 0.9.0, 1.0.0",
        "tiny/big": "there are: 0.9.0, 1.0.0",
        "tiny[:3]": "no name/config:1.0.0",
    }.items():
        with pytest.raises(DataError, match=re.escape(words)):
            place(name)
    with pytest.raises(DataError, match="once, where TensorFlow is"):
        place("ucf101")


def test_configs(root, tmp_path):
    for config in ("small", "big"):
        shutil.copytree(root / "tiny/1.0.0", tmp_path / "tiny" / config / "1.0.0")
    assert len(find("tiny/big:1.0.0", data_dir=str(tmp_path))) == 5
    with pytest.raises(DataError, match="there are: big/1.0.0, small/1.0.0"):
        find("tiny", data_dir=str(tmp_path))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"video_field": "vido"}, "--video-field=vido: .*did you mean 'video'"),
        ({"video_field": "label"}, "--video-field=label: it holds numbers"),
        ({"caption_field": "captoin"}, "--caption-field=captoin: .*'caption'"),
        ({"caption_field": "label"}, "--caption-field=label: it holds numbers"),
        ({"split": "tset"}, "--split=tset: .*'test'"),
        ({"frames_fps": 0.0}, "--frames-fps=0: .*--frames-fps=25"),
        ({"frames_fps": -1.0}, "--frames-fps=-1.0"),
    ],
)
def test_fields_that_are_not_there(root, fields, words):
    with pytest.raises((ConfigError, DataError), match=words):
        find(root / "tiny/1.0.0", **fields)


def test_tfrecord_says_what_would_work(copy):
    info = json.loads((copy / "dataset_info.json").read_text())
    del info["fileFormat"]
    (copy / "dataset_info.json").write_text(json.dumps(info))
    with pytest.raises(DataError, match="are tfrecord; array_record would work"):
        find(copy)
    (copy / "dataset_info.json").write_text("{")
    with pytest.raises(DataError, match="dataset_info.json: cannot be read"):
        find(copy)


@pytest.mark.parametrize("damaged", [(0,), (0, 1, 2)])
def test_a_damaged_record_costs_itself_wherever_it_is(tmp_path, prepare, damaged):
    films = [np.random.default_rng(n).bytes(3000) for n in range(5)]
    named = prepare(tmp_path, [{"video": film} for film in films])
    (file,) = tmp_path.glob("*.array_record*")
    content = bytearray(file.read_bytes())
    for row in damaged:
        content[content.find(films[row])] ^= 255
    file.write_bytes(content)
    found = find_sources(IngestSettings(videos=named))
    assert len(found) == 5
    for row, (film, source) in enumerate(zip(films, found, strict=True)):
        if row not in damaged:
            assert source_id(source.path) == hashlib.sha256(film).hexdigest()[:16]
            continue
        with pytest.raises(Reject, match=f"record {row}: cannot be read") as caught:
            probe(source)
        assert caught.value.code == "UNREADABLE"


def test_a_record_of_images_after_one_that_is_a_file(tmp_path, root, prepare):
    records = [{"video": Tiny.film}, {"video": [picture(n) for n in range(4)]}]
    named = prepare(tmp_path, records)
    file, images = find_sources(IngestSettings(videos=named))
    assert probe(file)[0]["codec"] == "h264"
    words = "--frames-fps=0: .* record 1 stores its video as images.*--frames-fps=25"
    with pytest.raises(ConfigError, match=words):
        probe(images)
    sources = find_sources(IngestSettings(videos=named, frames_fps=10.0))
    assert [probe(source)[0]["codec"] for source in sources] == ["h264", "png"]


def test_a_damaged_or_missing_file(copy):
    first, second = sorted(copy.glob("tiny-train*"))
    whole = listing_sha256(find(copy))
    second.write_bytes(second.read_bytes()[:-100])
    assert listing_sha256(find(copy)) != whole
    first.write_bytes(first.read_bytes()[:100])
    words = "tiny-train.array_record-00000-of-00002 record 0: .*none of 5 records"
    with pytest.raises(DataError, match=words):
        find(copy)
    first.unlink()
    with pytest.raises(DataError, match="00000-of-00002: missing"):
        find(copy)
