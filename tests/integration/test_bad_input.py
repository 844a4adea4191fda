"""Mistakes: one line that names the field or file, a non-zero exit, nothing lost."""

import ast
import json
import shutil

import jax
import numpy as np
import pytest
from doors import ROOT, TINY, call, command, losses, overrides, succeed, train_command
from jax.sharding import AbstractMesh

from data_pipelines.synthetic import write_synthetic
from videogen import build, job, run, start, trainer, workdir
from videogen.core.errors import ConfigError, DataError
from videogen.parallel.mesh import AXES

CONFIG = str(ROOT / "configs/quickstart.py")


def settings(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, *extra))
    return build.read(config)


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
            "config.model.width='wide' is not a whole number",
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
        ("model.width.x=3", "config.model.width.x: width is not a section"),
        ("model.rope_theta=many", "config.model.rope_theta='many' is not a number"),
        ("model.family=cros", "config.model.family='cros' (did you mean 'cross'?)"),
        ("mesh.fsdp=3", "mesh"),
        ("mesh.tensor=7", "mesh"),
        ("mesh.ulysses=0", "config.mesh.ulysses=0: must be at least 1"),
        ("mesh.ring=2", "config.mesh: attention: ulysses=1 x ring=2 is 2, but mesh.co"),
        ("data.global_batch=0", "config.data.global_batch=0"),
        ("data.tokenizer=vae", "config.data.tokenizer='vae'"),
        ("data.text_encoder=minilm", "config.data.text_encoder='minilm'"),
        ("data.text_version=v9", "config.data.text_version='v9'"),
        ("model.latent_channels=8", "config.model.latent_channels=8"),
        ("model.text_dim=64", "config.model.text_dim=64"),
        ("model.patch=(1,3,3)", "config.model.patch and"),
        ("time.kind=cosine", "config.time.kind='cosine'"),
        ("sample.method=rk4", "config.sample.method='rk4'"),
        (
            "data.global_batch=None",
            "config.data.global_batch=None is not a whole number",
        ),
        ("model.patch=(1,2)", "config.model.patch=(1, 2) must have 3 values"),
        ("sample.prompts=('x',3)", "config.sample.prompts[1]=3 is not a text"),
        (
            "sample.prompts=('x')",
            "config.sample.prompts='x' is not a tuple, e.g. ('one',)",
        ),
        ("sample.labels=(0,)", "config.sample.labels"),
        (
            "sample={'task': 'i2v', 'given': ('a.png',)}",
            "config.sample.task='i2v' needs config.model.given_channels of at least "
            "latent_channels=16, those above being the mask; it is 0; config.tasks.how="
            "'clean' would work",
        ),
        ("seed=None", "config.seed=None"),
        ("data.num_threads=-3", "config.data.num_threads=-3"),
        ("train.validate_every=-1", "config.train.validate_every=-1"),
        ("train.steps=0", "config.train.steps=0"),
    ],
)
def test_a_field_that_cannot_work_is_named(dataset, field, said):
    with pytest.raises(ConfigError) as error:
        run.make(settings(dataset, field))
    assert said in one_line(error)


def test_clips_longer_than_a_learned_table_are_named(dataset):
    fields = ("model.position=learned", "model.position_sizes=(2,2,2)")
    with pytest.raises(ConfigError) as error:
        run.make(settings(dataset, *fields))
    said = "config.model.position_sizes=(2, 2, 2), but clips of bucket f3_h4_w4 have"
    assert said in one_line(error)


@pytest.mark.parametrize(
    "sizes, factors, said",
    [
        (
            (1, 1, 1, 8),
            (),
            "config.mesh.tensor=8 does not divide config.model.num_heads=4",
        ),
        (
            (1, 1, 4, 2),
            ("mesh.ulysses=4",),
            "config.mesh: attention: ulysses=4 does not",
        ),
        ((1, 1, 4, 1), ("mesh.ring=3",), "ulysses=1 x ring=3 is 3, but mesh.context=4"),
    ],
)
def test_a_mesh_that_the_heads_do_not_fit_is_named(dataset, sizes, factors, said):
    with pytest.raises(ConfigError) as error:
        trainer.check_heads(settings(dataset, *factors), AbstractMesh(sizes, AXES))
    assert said in one_line(error)
    assert "would work" in one_line(error)


@pytest.mark.parametrize(
    "model, said",
    [
        (
            "{'name': 'hunyuan_video', 'text_dim': 384}",
            "needs pooled_BX, guidance_B, and {} holds text_BLD, text_mask_BL, label_B, "
            "fps_B alone; --config.model.pooled_dim=0 --config.model.guidance=False would",
        ),
        (
            "{'name': 'kandinsky5_video_lite', 'text_dim': 384}",
            "needs pooled_BX, and {} holds text_BLD, text_mask_BL, label_B, fps_B alone; "
            "another model, or --config.data.more_text, would work",
        ),
    ],
)
def test_conditions_that_no_dataset_holds_are_missed_before_anything_is_written(
    dataset, tmp_path, model, said
):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset))
    config.model = ast.literal_eval(model)
    with pytest.raises(ConfigError) as error:
        job.train(build.read(config), tmp_path / "w")
    assert said.format(dataset) in one_line(error)
    assert [path.name for path in (tmp_path / "w").iterdir()] == [".lock"]


def test_a_network_that_is_told_the_frame_rate_hears_it_from_the_dataset(dataset):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset))
    sizes = {"width": 24, "depth": 2, "num_heads": 2, "mlp_width": 48, "text_dim": 384}
    config.model = {"name": "open_sora_1_2", **sizes, "latent_channels": 16}
    parts = run.make(build.read(config))
    batch = next(parts.feed.train_batches(0))
    np.testing.assert_array_equal(batch["fps_B"], [parts.feed.fps] * 8)
    conditions, null = parts.feed.prompt_conditions()
    np.testing.assert_array_equal(conditions["fps_B"], [null["fps_B"]] * 2)
    objective = trainer.make_objective(
        parts.settings, parts.network, parts.feed.tokenizer
    )
    loss = jax.eval_shape(objective, parts.abstract.weights, batch, np.int32(0))
    assert loss.shape == ()


def test_a_field_that_the_file_leaves_out_can_be_set(dataset):
    assert settings(dataset, "model.rope_theta=100").model.rope_theta == 100.0
    assert settings(dataset, "model.attention=reference").model.attention == "reference"
    assert settings(dataset, "model.mask_text=false").model.mask_text is False


def test_a_missing_dataset_says_how_to_make_one(tmp_path):
    with pytest.raises(DataError, match="no dataset.json.*data_pipelines all"):
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


@pytest.fixture(scope="module")
def trained(dataset, tmp_path_factory):
    """A workdir with a checkpoint."""
    directory = tmp_path_factory.mktemp("trained")
    succeed(train_command(dataset, directory, "train.steps=1"))
    return directory


def files(directory):
    return {p: p.read_bytes() for p in directory.rglob("*") if p.is_file()}


def test_a_workdir_of_another_config_is_kept(dataset, trained):
    before = files(trained)
    with pytest.raises(ConfigError) as error:
        job.train(settings(dataset, "model.depth=3", "seed=5"), trained)
    assert "config.model.depth was 2, now 3" in one_line(error)
    assert "config.seed was 0, now 5" in str(error.value)
    assert before == files(trained)
    assert losses(trained)


def test_a_resume_may_change_what_does_not_change_the_run(dataset, trained):
    free = ("train.steps=99", "model.remat=offload", "optimizer.offload=True")
    parts = run.make(settings(dataset, *free))
    checkpoints = workdir.open_checkpoints(trained, parts)
    assert checkpoints.latest_step() == 1
    checkpoints.close()


def test_a_start_that_failed_does_not_bind_the_next(dataset, tmp_path):
    """A mistake found before the first step leaves no record to contradict."""
    with pytest.raises(ConfigError, match="text_dim=64"):
        job.train(settings(dataset, "model.text_dim=64"), tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_a_dataset_of_another_tokenizer_is_refused_on_resume(trained, tmp_path):
    write_synthetic(
        tmp_path, num_records=40, latent_shape=(3, 4, 4, 16), seed=9, text_length=8
    )
    parts = run.make(settings(tmp_path))
    with pytest.raises(DataError) as error:
        workdir.open_checkpoints(trained, parts)
    assert "was trained with tokenizer linear" in one_line(error)
    assert "--config.data.path" in str(error.value)


def test_a_workdir_that_cannot_be_written(dataset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file/w cannot be written"):
        job.train(settings(dataset), tmp_path / "file" / "w")


def test_two_trainers_cannot_share_a_workdir(dataset, tmp_path):
    with workdir.claim(tmp_path), pytest.raises(ConfigError, match="another trainer"):
        job.train(settings(dataset), tmp_path)


def test_what_samples_need_is_missed_before_the_first_step(dataset, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(dataset, copy)
    info = json.loads((copy / "dataset.json").read_text())
    info["text"]["v1"]["fingerprint"] = "0" * 64
    (copy / "dataset.json").write_text(json.dumps(info))
    with pytest.raises(ConfigError, match="text encoder hash here"):
        job.train(settings(copy, "train.sample_every=10"), tmp_path / "w")


def test_sampling_before_training(dataset, tmp_path):
    parts = run.make(settings(dataset))
    with pytest.raises(DataError, match="holds no checkpoint: train it first"):
        start.restore(parts, tmp_path)


def test_every_section_of_the_tiny_config_exists():
    names = {field.partition("=")[0].partition(".")[0] for field in TINY}
    assert names <= set(build.load_config(CONFIG).keys())
