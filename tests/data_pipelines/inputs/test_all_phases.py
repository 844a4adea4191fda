"""The same videos, in whatever form they come, are the same dataset: every phase reads them."""

import tarfile

import pytest
import tensorflow_datasets as tfds

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.tables import Tables

ENCODE = EncodeSettings(
    buckets="9x32x48", text_encoder="hash", shard_mib=0.011, audio_rate=8000
)
NAMES = ("0.mp4", "1.mp4", "2.mp4")


@pytest.fixture(scope="module")
def forms(tmp_path_factory, make_video, prepare):
    """{form: what --videos says} of three videos with captions, and one that is junk."""
    root = tmp_path_factory.mktemp("forms")
    (folder := root / "folder").mkdir()
    for number, name in enumerate(NAMES):
        make_video(folder / name, [30, 20], first=7 * number)
        (folder / name).with_suffix(".txt").write_text(f"film {number}")
    (folder / "junk.mp4").write_text("no film")
    with tarfile.open(root / "videos.tar", "w") as tar:
        for path in sorted(folder.iterdir()):
            tar.add(path, path.name)
    lines = [f"folder/{name},film {n}\n" for n, name in enumerate(NAMES)]
    text = "".join(["path,caption\n", *lines, "folder/junk.mp4,\n"])
    (root / "videos.csv").write_text(text)
    records = [
        {"video": (folder / name).read_bytes(), "caption": f"film {n}".encode()}
        for n, name in enumerate(NAMES)
    ]
    (root / "set").mkdir()
    records.append({"video": b"no film", "caption": b""})
    return {
        "folder": str(folder),
        "tar": str(root / "videos.tar"),
        "csv": str(root / "videos.csv"),
        "tfds": prepare(root / "set", records),
    }


def content(out):
    """The files of every bucket: latents, captions, text, sound, manifests."""
    return {
        path.relative_to(out): path.read_bytes()
        for path in sorted(out.glob("f*/**/*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def expected(forms, run_all, tmp_path_factory):
    out = tmp_path_factory.mktemp("expected") / "set"
    run_all(forms["folder"], out, encode=ENCODE)
    return out


@pytest.mark.parametrize(
    "form",
    ["tar", "tfds", pytest.param("csv", marks=pytest.mark.slow)],  # 4 s each
)
def test_every_form_is_the_same_dataset(forms, expected, run_all, tmp_path, form):
    out = tmp_path / "set"
    info, _ = run_all(forms[form], out, encode=ENCODE)
    assert content(out) == content(expected)
    assert info.counts["clips"] > 3 and info.counts["null_captions"] == 0
    (junk,) = Tables(out / "tables").rejected("ingest")
    assert junk.code == "UNREADABLE"
    said = []
    _, there = run_all(forms[form], out, encode=ENCODE, say=said.append)
    assert there and "ingest: there already" in said


@pytest.mark.filterwarnings("ignore:label:DeprecationWarning")
def test_tfds_opens_what_the_phases_wrote(expected):
    source = tfds.builder_from_directory(expected / "f3_h4_w6").as_data_source("train")
    assert source[0]["latent"].shape == (3, 4, 6, ENCODE.channels)


def test_arguments_say_what_was_asked(forms, expected):
    arguments = Tables(expected / "tables").need("ingest").arguments
    assert arguments.keys() == {"videos", "listing"}  # as before there were other forms
