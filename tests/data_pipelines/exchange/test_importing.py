"""Latents of other programs become a dataset: the same numbers and bytes, or one line."""

import dataclasses
import hashlib
import json
import os

import ml_dtypes
import numpy as np
import pytest
from foreign_files import Storage, contiguous, write_tfrecord
from image_folders import write_vision
from safetensors.numpy import save_file

from data_pipelines.__main__ import BAD_INPUT, main
from data_pipelines.exchange.export_settings import ExportSettings
from data_pipelines.exchange.exporting import export
from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.import_shard import ShardImporter
from data_pipelines.exchange.importing import import_latents
from data_pipelines.quarantine import from_lines
from data_pipelines.synthetic import write_synthetic
from videogen.core.errors import ConfigError, DataError
from videogen.data.null_text import load_null_text
from videogen.data.source import open_dataset
from videogen.tokenizers.published import PUBLISHED

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
WAN = PUBLISHED["wan2_1"]
SHAPE_CFHW = (16, 3, 4, 5)


def latents(seed, shape=SHAPE_CFHW, dtype=np.float32):
    return np.random.default_rng(seed).normal(size=shape).astype(dtype)


def settings(source, **changes):
    given = {"format": "safetensors", "normalised": "no", "vae": "wan2_1", "fps": 16.0}
    given |= {"text_encoder": "hash", "validation_share": 0.0, "source": str(source)}
    return ImportSettings(**given | changes)


def imported(source, out, say=lambda line: None, **changes):
    import_latents(settings(source, **changes), out, say=say)
    return open_dataset(out)


def clips_of(dataset, split="train"):
    sources = dataset.sources(split, captions="v1", text="v1")
    return [source[row] for source in sources for row in range(len(source))]


def rejects_of(out):
    return {(r.id, r.code) for r in from_lines((out / "quarantine.jsonl").read_text())}


def digests(directory):
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def folder(tmp_path):
    """Three clips of Wan's, a file each: captioned by json, by txt, and not."""
    source = tmp_path / "source"
    source.mkdir()
    for number in range(3):
        save_file({"latents": latents(number)}, source / f"{number}.safetensors")
    facts = {"caption": "a wave", "label": 3, "fps": 24, "start_s": 1.5, "more": 1}
    (source / "0.json").write_text(json.dumps(facts))
    (source / "1.txt").write_text("a tree\n")
    return source


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    """A dataset of two shapes."""
    directory = tmp_path_factory.mktemp("ours") / "set"
    write_synthetic(
        directory,
        num_records=9,
        num_validation=2,
        latent_shape=(1, 2, 3, 4),
        more_shapes=[(2, 3, 2, 4)],
        text_length=6,
        text_dim=12,
    )
    return directory


@pytest.mark.parametrize("format", ["fastvideo", "safetensors"])
def test_there_and_back_is_the_same(ours, tmp_path, format):
    files, back = tmp_path / "files", tmp_path / "back"
    assert export(ExportSettings(source=str(ours), format=format), files) == 22
    key = {"fastvideo": "text_embedding", "safetensors": "text"}[format]
    from_a = {"vae": "", "tokenizer_from": str(ours), "fps": 0.0}
    now = imported(files, back, format=format, text_key=key, text_encoder="x", **from_a)
    before = open_dataset(ours)
    assert now.info.tokenizer == before.info.tokenizer
    assert (back / now.info.tokenizer.file).is_file()
    for split, count in (("train", 18), ("validation", 4)):
        pairs = list(zip(clips_of(before, split), clips_of(now, split), strict=True))
        assert len(pairs) == count
        for one, other in pairs:
            assert one.caption == other.caption
            for name in ("id", "source_id", "fps", "num_frames", "height", "width"):
                assert getattr(one.latent, name) == getattr(other.latent, name)
            if format == "safetensors":
                assert one.latent.label == other.latent.label
            for a, b in (
                (one.latent.latent_FHWC, other.latent.latent_FHWC),
                (one.text_LD, other.text_LD),
            ):
                assert a.tobytes() == b.tobytes() and a.shape == b.shape
    with pytest.raises(ConfigError, match="exists: a folder that does not yet"):
        export(ExportSettings(source=str(back), format=format), files)


def test_published_vaes_need_no_more_words(folder, tmp_path):
    dataset = imported(folder, tmp_path / "out")
    info = dataset.info
    assert (info.tokenizer.name, info.tokenizer.file) == ("wan2_1", "")
    assert (info.tokenizer.mean, info.tokenizer.std) == (WAN.mean, WAN.std)
    assert info.buckets == ("f3_h4_w5_fps16", "f3_h4_w5_fps24")
    assert info.counts["null_captions"] == 1 and info.counts["clips"] == 3
    clips = {clip.latent.id: clip for clip in clips_of(dataset)}
    first = clips["0"].latent
    assert (first.label, first.fps, first.start_s) == (3, 24.0, 1.5)
    assert (first.num_frames, first.height, first.width) == (9, 32, 40)
    assert {id: clip.caption for id, clip in clips.items()} == {
        **{"0": "a wave", "1": "a tree", "2": None}
    }
    for number in range(3):
        want_FHWC = latents(number).transpose(1, 2, 3, 0).astype(ml_dtypes.bfloat16)
        found = clips[str(number)].latent.latent_FHWC
        np.testing.assert_array_equal(found, want_FHWC)


def test_what_was_normalised_is_not_any_more(folder, tmp_path):
    dataset = imported(folder, tmp_path / "out", normalised="yes", layout="CFHW")
    for number, clip in enumerate(sorted(clips_of(dataset), key=lambda x: x.latent.id)):
        z_FHWC = latents(number).transpose(1, 2, 3, 0)
        want_FHWC = z_FHWC * np.float32(WAN.std) + np.float32(WAN.mean)
        found = clip.latent.latent_FHWC.astype(np.float32)
        np.testing.assert_allclose(found, want_FHWC, rtol=2**-8, atol=1e-6)


def test_unknown_constants_are_measured(folder, tmp_path):
    said = {"vae": "mine", "strides": "8,32,32", "channels": 16}
    info = imported(folder, tmp_path / "out", **said).info.tokenizer
    values = np.concatenate([latents(x).reshape(16, -1) for x in range(3)], axis=1)
    np.testing.assert_allclose(info.mean, values.mean(axis=1), atol=1e-3)
    np.testing.assert_allclose(info.std, values.std(axis=1), rtol=1e-2)


def test_several_clips_a_file_by_stars_and_rows(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    tensors = {
        "one.z": latents(1, (3, 4, 5, 16)),
        "two.z": latents(2, (2, 3, 4, 5, 16)),
    }
    tensors["one.text"] = np.ones((4, 6), np.float32)
    tensors["two.text"] = np.ones((2, 4, 6), np.float32)
    tensors["one.mask"] = np.array([1, 0, 1, 0])
    tensors["two.mask"] = np.array([[1, 1, 1, 1], [0, 0, 0, 0]])
    save_file(tensors, source / "all.safetensors")
    keys = {"latents_key": "*.z", "text_key": "*.text", "text_mask_key": "*.mask"}
    dataset = imported(source, tmp_path / "o", layout="FHWC", text_encoder="x", **keys)
    clips = {clip.latent.id: clip for clip in clips_of(dataset)}
    assert {id: len(clip.text_LD) for id, clip in clips.items()} == {
        **{"all#one": 2, "all#two#0": 4, "all#two#1": 0}
    }
    want = latents(2, (2, 3, 4, 5, 16))[1].astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(clips["all#two#1"].latent.latent_FHWC, want)
    null_LD = load_null_text(tmp_path / "o", "v1", dataset.info.text["v1"].null_crc32)
    np.testing.assert_array_equal(null_LD, np.zeros((1, 6)))


def test_clips_before_one_that_is_set_aside_stay(tmp_path):
    """Of a record too: the clips that follow it in its file are as they were."""
    source = tmp_path / "source"
    source.mkdir()
    save_file({"a.z": latents(0), "b.z": latents(1)[0]}, source / "0.safetensors")
    dataset = imported(source, tmp_path / "out", latents_key="*.z")
    assert [clip.latent.id for clip in clips_of(dataset)] == ["0#a"]
    assert rejects_of(tmp_path / "out") == {("0", "BAD_TENSOR")}


def test_image_tokens_that_came_along(tmp_path):
    source, folder = tmp_path / "source", tmp_path / "clip"
    source.mkdir()
    for number in range(4):
        seen = np.full((1, 5 - number // 3, 6), number, np.float32)
        tensors = {"latents": latents(number), "clip_feature": seen}
        save_file(tensors, source / f"{number}.safetensors")
    along = {"image_key": "clip_feature", "image_encoder": "clip"}
    dataset = imported(source, tmp_path / "out", **along)
    found = dataset.info.image["v1"]
    assert (found.name, found.length, found.dim) == ("clip", 5, 6)
    assert rejects_of(tmp_path / "out") == {("3", "BAD_TENSOR")}
    (opened,) = dataset.sources("train", image="v1")
    for row in range(3):
        clip = opened[row]
        assert clip.image_LD.tolist() == [[int(clip.latent.id)] * 6] * 5
    write_vision(folder)
    along["image_encoder"] = f"clip:{folder}"
    with pytest.raises(ConfigError, match="gives 5 x 16, but clip_feature is 5 x 6"):
        imported(source, tmp_path / "other", **along)
    with pytest.raises(
        ConfigError, match="--image-key and --image-encoder go together"
    ):
        settings(source, image_key="clip_feature")


def test_maxdiffusions_records(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    text_LD = np.zeros((8, 6), np.float32)
    text_LD[:3] = 0.5
    rows = [{"latents": latents(x), "encoder_hidden_states": text_LD} for x in range(3)]
    rows[1]["latents"] = latents(1, (8, 3, 4, 5))
    write_tfrecord(source / "file_00-8.tfrec", rows)
    save_file({"encoder_hidden_states": text_LD[None, :2]}, tmp_path / "n.safetensors")
    said = {"format": "tfrecord", "text_key": "encoder_hidden_states"}
    said |= {"text_encoder": "umt5", "null_text": str(tmp_path / "n.safetensors")}
    dataset = imported(source, tmp_path / "out", normalised="yes", **said)
    assert [clip.latent.id for clip in clips_of(dataset)] == [
        *("file_00-8#0", "file_00-8#2")
    ]
    assert all(clip.text_LD.shape == (3, 6) for clip in clips_of(dataset))
    assert rejects_of(tmp_path / "out") == {("file_00-8#1", "BAD_TENSOR")}
    text = dataset.info.text["v1"]
    assert (text.name, text.length, text.dim) == ("umt5", 3, 6)
    null_LD = load_null_text(tmp_path / "out", "v1", text.null_crc32)
    np.testing.assert_array_equal(null_LD, text_LD[:2])


def test_pytorchs_files_with_log_variances(tmp_path, save_pt):
    source = tmp_path / "source"
    source.mkdir()
    half = latents(0, dtype=np.float16)
    values = Storage("HalfStorage", "0", half)
    values.values = half.reshape(-1)
    content = {"z": contiguous(values, half.shape), "caption": "a wave"}
    save_pt(source / "a.pt", content, [values])
    said = {"format": "pt", "latents_key": "z", "logvar_key": "z", "normalised": "yes"}
    dataset = imported(source, tmp_path / "out", **said)
    assert [manifest.logvar for manifest in dataset.manifests.values()] == [True]
    (clip,) = clips_of(dataset)
    assert clip.caption == "a wave"
    logvar = half.astype(np.float32).transpose(1, 2, 3, 0) + 2 * np.log(WAN.std)
    found = clip.latent.logvar_FHWC.astype(np.float32)
    np.testing.assert_allclose(found, logvar, rtol=2**-8, atol=1e-2)


def test_bad_clips_are_set_aside_and_named(folder, tmp_path):
    bad = {
        "channels": {"latents": latents(0, (4, 3, 4, 5))},
        "flat": {"latents": latents(0, (3, 4, 5))},
        "key": {"latent": latents(0)},
        "nan": {"latents": np.full(SHAPE_CFHW, np.nan, np.float32)},
        "large": {"latents": np.full(SHAPE_CFHW, 3.4e38, np.float32)},
        "whole": {"latents": np.ones(SHAPE_CFHW, np.int32)},
        "empty": {"latents": latents(0, (16, 0, 4, 5))},
    }
    for name, tensors in bad.items():
        save_file(tensors, folder / f"{name}.safetensors")
    (folder / "cut.safetensors").write_bytes(
        (folder / "0.safetensors").read_bytes()[:-9]
    )
    (folder / "noise.safetensors").write_bytes(b"\xff" * 99)
    save_file({"latents": latents(9)}, folder / "said.safetensors")
    (folder / "said.json").write_text('{"label": "x"}')
    save_file({"latents": latents(9)}, folder / "twice.safetensors")
    (folder / "twice.json").write_text('{"id": "0"}')
    dataset = imported(folder, tmp_path / "out")
    assert len(clips_of(dataset)) == 3
    assert rejects_of(tmp_path / "out") == {
        *((name, "BAD_TENSOR") for name in bad if name != "key"),
        *(("key", "NO_TENSOR"), ("cut", "TRUNCATED"), ("noise", "UNREADABLE")),
        *(("said", "BAD_SIDECAR"), ("0", "DUPLICATE")),
    }


def test_captions_of_a_file_and_a_folder_that_is_held_out(folder, tmp_path):
    (folder / "validation").mkdir()
    (folder / "2.safetensors").rename(folder / "validation/2.safetensors")
    path = tmp_path / "c.jsonl"
    path.write_text('{"id": "1", "caption": "new"}\n')
    dataset = imported(folder, tmp_path / "out", captions=str(path))
    (held,) = clips_of(dataset, "validation")
    assert held.latent.id == "validation/2"
    captions = {clip.latent.id: clip.caption for clip in clips_of(dataset)}
    assert captions == {"0": "a wave", "1": "new"}
    path.write_text('{"id": "1", "caption": "other"}\n')
    with pytest.raises(ConfigError, match="made with --captions=.*c.jsonl of sha256 "):
        imported(folder, tmp_path / "out", captions=str(path))


def test_killed_anywhere_it_ends_with_the_same_bytes(folder, tmp_path, monkeypatch):
    small = {"shard_mib": 0.001}
    imported(folder, tmp_path / "whole" / "set", **small)
    out = tmp_path / "killed" / "set"
    made, real = [], ShardImporter.__call__

    def failing(self, numbered):
        if len(made) == 1:
            made.append(None)
            raise DataError("killed")
        made.append(numbered[0])
        return real(self, numbered)

    monkeypatch.setattr(ShardImporter, "__call__", failing)
    with pytest.raises(DataError, match="killed"):
        imported(folder, out, **small)
    with pytest.raises(DataError, match="not a finished dataset"):
        open_dataset(out)
    with monkeypatch.context() as patch, pytest.raises(DataError, match="killed"):

        def killed(*_):
            raise DataError("killed")

        patch.setattr("data_pipelines.exchange.import_close.write_dataset", killed)
        imported(folder, out, **small)
    imported(folder, out, **small)
    assert sorted(number for number in made if number is not None) == [0, 1, 2]
    assert digests(out) == digests(tmp_path / "whole" / "set")
    said = []
    imported(folder, out, say=said.append, **small)
    assert said == ["imported already"]
    with pytest.raises(ConfigError, match="made with --fps=16.0, not 8.0"):
        imported(folder, out, **small | {"fps": 8.0})
    import_latents(settings(folder, fps=8.0), out, overwrite=True, say=said.append)
    assert open_dataset(out).info.buckets == ("f3_h4_w5_fps24", "f3_h4_w5_fps8")[::-1]


def test_places_that_are_not_ours(folder, ours, tmp_path):
    (tmp_path / "x.txt").write_text("")
    with pytest.raises(DataError, match="holds files, but no dataset"):
        imported(folder, tmp_path)
    with pytest.raises(ConfigError, match="already holds a dataset, made otherwise"):
        imported(folder, ours)


def test_names_that_no_record_holds_and_places_that_cannot_be(folder, tmp_path):
    name = os.fsdecode(b"\xff.safetensors")
    save_file({"latents": latents(0)}, folder / "x.safetensors")
    (folder / "x.safetensors").rename(folder / name)
    imported(folder, tmp_path / "out")
    ((_, code),) = rejects_of(tmp_path / "out")
    assert code == "BAD_NAME"
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match="cannot be written"):
        imported(folder, tmp_path / "file" / "out")


def test_a_file_that_changes_meanwhile(folder, tmp_path, monkeypatch):
    real = ShardImporter.__init__

    def late(self, *arguments):
        (folder / "1.safetensors").unlink()
        real(self, *arguments)

    monkeypatch.setattr(ShardImporter, "__init__", late)
    with pytest.raises(
        DataError, match="1.safetensors: clip 1 was sound and is not now"
    ):
        imported(folder, tmp_path / "out")


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"vae": "wan2.1"}, "did you mean 'wan2_1'"),
        ({"vae": "linear"}, "a tokenizer of ours"),
        ({"vae": "mine", "strides": "4,8", "channels": 4}, "--strides=4,8: "),
        ({"vae": "ltx", "normalised": "yes"}, "constants of ltx are not known"),
        ({"mean": "1", "vae": "ltx"}, "--mean=1 goes with --std"),
        ({"std": "1,2"}, "--std has 2 numbers for 16 channels"),
        ({"std": "x"}, "--std=x: numbers"),
        ({"std": "0"}, "numbers above 0"),
        ({"tokenizer_from": "a"}, "--vae and --tokenizer-from both"),
        ({"normalised": "maybe"}, "--normalised='maybe'"),
        ({"format": "npz"}, "--format='npz'"),
        ({"layout": "CTHW"}, "--layout='CTHW'"),
        ({"latents_key": "*.*"}, r"--latents-key='\*.\*': one star at most"),
        ({"text_encoder": "minilmm"}, "did you mean 'minilm'"),
        ({"text_mask_key": "m"}, "goes with --text-key"),
        ({"null_text": "n.pt"}, "--null-text goes with"),
        ({"validation_share": 1.0}, "--validation-share=1.0"),
        ({"shard_mib": 0.0}, "--shard-mib=0.0"),
        ({"fps": -1.0}, "--fps=-1.0"),
        ({"channels": -1}, "--channels=-1"),
    ],
)
def test_settings_that_cannot_work(changes, said):
    with pytest.raises(ConfigError, match=said) as error:
        settings("x", **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"latents_key": "z"}, "none of 3 clips can be used; the first: 0 .*NO_TENSOR"),
        ({"fps": 0.0}, ""),  # one says it
        ({"validation_share": 0.9999999}, "a smaller --validation-share"),
        ({"text_key": "latents"}, "BAD_TENSOR"),
        ({"captions": "c.xlsx"}, "--captions=c.xlsx: a .jsonl"),
        ({"text_encoder": "t5:/no"}, "there is no /no/config.json"),
    ],
)
def test_sources_that_cannot_be_used(folder, tmp_path, changes, said):
    if not said:
        assert len(clips_of(imported(folder, tmp_path / "out", **changes))) == 1
        return
    with pytest.raises((ConfigError, DataError), match=said):
        imported(folder, tmp_path / "out", **changes)
    assert not (tmp_path / "out" / "dataset.json").exists()


def test_embeddings_of_another_width_than_the_encoders(tmp_path):
    source = tmp_path / "source"
    source.mkdir()
    tensors = {"latents": latents(0), "text": np.ones((2, 6), np.float32)}
    save_file(tensors, source / "a.safetensors")
    with pytest.raises(ConfigError, match="hash has dim 384, but text has 6"):
        imported(source, tmp_path / "out", text_key="text")
    save_file({"text": np.ones((2, 5), np.float32)}, tmp_path / "n.safetensors")
    said = {"text_key": "text", "text_encoder": "x"}
    for name in ("n.safetensors", "n.pt", "n.npz"):
        with pytest.raises(DataError, match=f"--null-text=.*{name}: "):
            null_text = str(tmp_path / name)
            imported(source, tmp_path / "out", null_text=null_text, **said)


def test_the_command(folder, tmp_path, capsys):
    flags = ["--format=safetensors", "--normalised=no", "--vae=wan2_1", "--fps=16"]
    argv = ["import", str(folder), str(tmp_path / "out"), *flags, "--text-encoder=hash"]
    assert main([*argv, "--validation-share=0"]) == 0
    told = capsys.readouterr().out
    assert "3 clips of 3 files, 0 set aside" in told
    assert "3 clips to train on, 0 to validate on; config.data.tokenizer=wan2_1" in told
    export_to = ["export", str(tmp_path / "out"), str(tmp_path / "files")]
    assert main([*export_to, "--format=fastvideo"]) == 0
    assert "3 clips in" in capsys.readouterr().out
    for wrong in (["--fromat=pt"], ["--format=pt", "--text-version=v7"]):
        assert main([*export_to, *wrong]) == BAD_INPUT
    assert main([*argv[:2]]) == BAD_INPUT
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    assert "MaxDiffusion" in capsys.readouterr().out


def test_everything_that_may_be_said_has_a_flag():
    from data_pipelines.exchange.import_flags import HELP

    names = {field.name for field in dataclasses.fields(ImportSettings)}
    assert names == HELP.keys() | {"source"}
