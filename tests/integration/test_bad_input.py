"""Mistakes: one line that names the field or file, a non-zero exit, nothing lost."""

import json
import shutil

import pytest
from doors import ROOT, TINY, call, command, losses, overrides, succeed, train_command

from videogen import build, run, workdir
from videogen.core.errors import ConfigError, DataError

CONFIG = str(ROOT / "configs/quickstart.py")


def settings(dataset, *extra):
    return build.read(build.load_config(CONFIG, overrides(dataset, *extra)))


def one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


def test_the_door_prints_one_line_and_exits_43(dataset, tmp_path):
    done = call([*train_command(dataset, tmp_path), "--config.model.wdith=64"])
    assert done.returncode == 43
    assert done.stderr.splitlines()[-1] == (
        "error: config.model.wdith: no such field (did you mean 'width'?)"
    )
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "flags, said",
    [
        (["--config=configs/nowhere.py"], "configs/nowhere.py"),
        (
            ["--config.model.width=wide"],
            "config.model.width='wide': not of the kind of 192",
        ),
        (["--workdr=x"], "workdr"),
        (["model.width=64"], "unexpected argument 'model.width=64'"),
    ],
)
@pytest.mark.slow  # 4 s each
def test_flags_that_cannot_be_read(flags, said, tmp_path):
    done = call(
        [*command("train"), f"--config={CONFIG}", f"--workdir={tmp_path}", *flags]
    )
    assert done.returncode == 43
    last = done.stderr.splitlines()[-1]
    assert last.startswith("error: ") and said in last
    assert "Traceback" not in done.stderr


def test_a_missing_config_is_asked_for(tmp_path):
    done = call([*command("train"), f"--workdir={tmp_path}"])
    assert done.returncode == 43
    assert "error: --config is missing" in done.stderr


@pytest.mark.parametrize(
    "field, said",
    [
        ("modle.width=3", "config.modle.width: no such section 'modle' (did you mean"),
        ("model.width.x=3", "config.model.width is not a section"),
        ("model.rope_theta=many", "config.model.rope_theta='many': not of the kind of"),
        ("model.family=wna", "config.model.family='wna' (did you mean 'wan'?)"),
        ("mesh.fsdp=3", "mesh"),
        ("mesh.tensor=7", "mesh"),
        ("data.global_batch=0", "config.data.global_batch=0"),
        ("data.tokenizer=vae", "config.data.tokenizer='vae'"),
        ("data.text_encoder=minilm", "config.data.text_encoder='minilm'"),
        ("data.text_version=v9", "config.data.text_version='v9'"),
        ("model.latent_channels=8", "config.model.latent_channels=8"),
        ("model.text_dim=64", "config.model.text_dim=64"),
        ("model.patch=(1,3,3)", "config.model.patch=(1, 3, 3)"),
        ("time.kind=cosine", "config.time.kind='cosine'"),
        ("sample.method=rk4", "config.sample.method='rk4'"),
        ("train.steps=0", "config.train.steps=0"),
    ],
)
def test_a_field_that_cannot_work_is_named(dataset, field, said):
    with pytest.raises(ConfigError) as error:
        run.make(settings(dataset, field))
    assert said in one_line(error)


def test_a_field_that_the_file_leaves_out_can_be_set(dataset):
    assert settings(dataset, "model.rope_theta=100").model.rope_theta == 100.0
    assert settings(dataset, "model.attention=reference").model.attention == "reference"
    assert settings(dataset, "model.mask_text=false").model.mask_text is False


def test_a_missing_dataset_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match="no dataset.json.*data_pipelines encode"):
        run.make(settings(tmp_path))


def test_a_truncated_shard_is_named_with_both_sizes(dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    shard = next(copy.glob("*/latents-train*"))
    size = shard.stat().st_size
    with shard.open("r+b") as file:
        file.truncate(size // 2)
    with pytest.raises(DataError) as error:
        run.make(settings(copy))
    for part in (shard.name, str(size), str(size // 2)):
        assert part in one_line(error)


def test_a_workdir_of_another_config_is_kept(dataset, tmp_path):
    succeed(train_command(dataset, tmp_path, "train.steps=1"))
    before = {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    with pytest.raises(ConfigError) as error:
        workdir.prepare(tmp_path, settings(dataset, "model.depth=3", "seed=5"))
    assert "config.model.depth was 2, now 3" in one_line(error)
    assert "config.seed was 0, now 5" in str(error.value)
    assert before == {p: p.read_bytes() for p in tmp_path.rglob("*") if p.is_file()}
    assert losses(tmp_path)


def test_a_resume_may_change_what_does_not_change_the_run(dataset, tmp_path):
    workdir.prepare(tmp_path, settings(dataset))
    workdir.prepare(tmp_path, settings(dataset, "train.steps=99", "model.remat=full"))
    recorded = json.loads((tmp_path / "config.json").read_text())
    assert recorded["train"]["steps"] == 99


def test_a_dataset_of_another_tokenizer_is_refused_on_resume(tmp_path):
    with pytest.raises(DataError) as error:
        workdir.check_identity(
            tmp_path, {"tokenizer": "linear aaaa"}, {"tokenizer": "linear bbbb"}
        )
    assert "linear aaaa" in one_line(error) and "linear bbbb" in str(error.value)


def test_a_workdir_that_cannot_be_written(dataset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/w cannot be written"):
        workdir.prepare(tmp_path / "file" / "w", settings(dataset))


def test_sampling_before_training(dataset, tmp_path):
    parts = run.make(settings(dataset))
    with pytest.raises(DataError, match="holds no checkpoint: train it first"):
        workdir.restore(parts, tmp_path)


def test_init_from_nowhere(dataset, tmp_path):
    parts = run.make(settings(dataset, f"init_from={tmp_path}"))
    checkpoints = workdir.open_checkpoints(tmp_path / "w", parts)
    with pytest.raises(DataError, match="no checkpoint there"):
        workdir.start_state(parts, checkpoints)
    checkpoints.close()


def test_every_section_of_the_tiny_config_exists():
    names = {field.partition("=")[0].partition(".")[0] for field in TINY}
    assert names <= set(build.load_config(CONFIG).keys())
