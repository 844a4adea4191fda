"""The same numbers on every mesh, up to the order of sums."""

import pytest
from doors import losses, succeed, train_command

STEPS = (
    "train.steps=4",
    "train.validate_every=4",
    "validation.batch_size=8",
    "train.sample_every=4",
    "sample.prompts=('one',)",  # fewer than there are shards of the batch
)


@pytest.fixture(scope="module")
def unsharded(dataset, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("unsharded")
    succeed(train_command(dataset, workdir, *STEPS))
    return workdir


def check(dataset, unsharded, workdir, mesh, *more):
    fields = [f"mesh.{axis}={size}" for axis, size in mesh.items()]
    succeed(train_command(dataset, workdir, *STEPS, *fields, *more), num_devices=8)
    for split in ("train", "validation"):
        expected = losses(unsharded, split)
        assert losses(workdir, split) == pytest.approx(expected, rel=2e-5)
    assert list(workdir.glob("samples/*/0000.mp4"))


def test_all_four_axes(dataset, unsharded, tmp_path):
    """2 x 2 x 2 over fsdp, context and tensor."""
    mesh = {"replica": 1, "fsdp": 2, "context": 2, "tensor": 2}
    check(dataset, unsharded, tmp_path, mesh)


@pytest.mark.slow  # 40 s; test_trainer has steps on many meshes
def test_replicas_of_a_context_in_both_ways(dataset, unsharded, tmp_path):
    mesh = {"replica": 2, "fsdp": 1, "context": 4, "ulysses": 2, "ring": 2}
    check(dataset, unsharded, tmp_path, mesh)


@pytest.mark.slow
def test_a_batch_in_parts(dataset, unsharded, tmp_path):
    """Four parts of the batch, each of rows of both shards."""
    mesh = {"replica": 1, "fsdp": 2, "context": 2, "tensor": 2}
    check(dataset, unsharded, tmp_path, mesh, "optimizer.microbatches=4")


@pytest.mark.slow
def test_muon(dataset, tmp_path):
    """Its matrices are whole only on all devices together."""
    muon, mesh = "optimizer.name='muon'", {"replica": 1, "fsdp": 4, "tensor": 2}
    succeed(train_command(dataset, tmp_path / "one", *STEPS, muon))
    check(dataset, tmp_path / "one", tmp_path / "eight", mesh, muon)
