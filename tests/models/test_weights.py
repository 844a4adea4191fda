"""Tables of weights: both ways to the bit, complete or one line that names keys."""

import json

import ml_dtypes
import numpy as np
import pytest
from safetensors.numpy import save_file

from videogen import convert
from videogen import weights as released
from videogen.core.errors import ConfigError, DataError
from videogen.models import exchange, weights
from videogen.models.exchange import Layers, Tensors, write_folder
from videogen.models.weights import Rule, WeightTable, read, write

TABLE = WeightTable(
    stacks={"blocks": "layers.{}"},
    renames=((r"\.to_([qk])\.", r".\1."),),
    rules=(
        Rule(
            pattern=r"\.q\.kernel$",
            key=".qk.weight",
            layout=weights.LINEAR.then(weights.halves((4, 2))),
            rows=(0, 6),
        ),
        Rule(
            pattern=r"\.k\.kernel$",
            key=".qk.weight",
            layout=weights.LINEAR,
            rows=(6, 11),
        ),
        Rule(
            pattern=r"^patches\.kernel$",
            key="patches.weight",
            layout=weights.patch_conv(3, (1, 2, 2)),
        ),
        Rule(
            pattern=r"^out\.kernel$",
            key="out.weight",
            layout=weights.LINEAR.then(weights.channels_first(3, (1, 2, 2))),
        ),
    ),
    ignored="^positions$",
)
SHAPES = {
    "patches.kernel": (12, 5),
    "blocks.to_q.kernel": (2, 5, 6),
    "blocks.to_k.kernel": (2, 5, 5),
    "blocks.norm.scale": (2, 5),
    "out.kernel": (5, 12),
}


def params():
    rng = np.random.default_rng(0)
    return {p: rng.standard_normal(shape, np.float32) for p, shape in SHAPES.items()}


def test_there_and_back_to_the_bit():
    theirs = write(TABLE, params())
    assert {key: x.shape for key, x in theirs.items()} == {
        "patches.weight": (5, 3, 1, 2, 2),
        **{f"layers.{i}.qk.weight": (11, 5) for i in range(2)},
        **{f"layers.{i}.norm.weight": (5,) for i in range(2)},
        "out.weight": (12, 5),
    }
    for path, value in read(TABLE, SHAPES, theirs).items():
        np.testing.assert_array_equal(value, params()[path])


def test_patches_are_a_strided_convolution():
    """Against the definition: a window's sum over channel, row and column."""
    x = np.random.default_rng(1).standard_normal((5, 3, 1, 2, 2))
    window = np.random.default_rng(2).standard_normal(
        (1, 2, 2, 3)
    )  # ours, channels last
    want = np.einsum("ocfhw,fhwc->o", x, window)
    got = window.reshape(-1) @ weights.patch_conv(3, (1, 2, 2)).ours(x)
    np.testing.assert_allclose(got, want)


def test_halves_become_pairs():
    """Of a head of parts 4 and 2: 0 is turned with 2, 1 with 3; 4 with 5."""
    layout = weights.halves((4, 2))
    np.testing.assert_array_equal(layout.ours(np.arange(6)), [0, 2, 1, 3, 4, 5])
    twice = layout.ours(np.arange(12))
    np.testing.assert_array_equal(twice[6:], 6 + twice[:6])
    np.testing.assert_array_equal(
        layout.theirs(layout.ours(np.arange(12))), np.arange(12)
    )


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda x: x.pop("out.weight"), "missing: out.weight"),
        (lambda x: x.update(extra=np.zeros(2)), "unknown: extra"),
        (
            lambda x: x.update({"out.weight": np.zeros((3, 5))}),
            "of another shape: out.weight is 3x5 for 12x5",
        ),
    ],
)
def test_a_checkpoint_of_another_model_names_its_keys(change, message):
    theirs = write(TABLE, params())
    change(theirs)
    with pytest.raises(DataError, match=message) as error:
        read(TABLE, SHAPES, theirs)
    assert "\n" not in str(error.value)


def test_what_a_table_ignores_may_be_there():
    theirs = write(TABLE, params()) | {"positions": np.zeros(3)}
    assert read(TABLE, SHAPES, theirs).keys() == SHAPES.keys()


def test_a_folder_is_whole_or_not_there(tmp_path):
    def fails():
        yield "a", np.zeros(4)
        raise OSError("No space left on device")

    with pytest.raises(DataError, match="cannot be written .No space left"):
        write_folder(tmp_path / "x", fails(), stem="weights", config={})
    assert list(tmp_path.iterdir()) == []
    pairs = [(name, np.full(1000, i, np.float32)) for i, name in enumerate("abc")]
    size = write_folder(
        tmp_path / "x", pairs, stem="weights", config={"k": 1}, shard_bytes=5000
    )
    assert size == 12_000
    names = sorted(path.name for path in (tmp_path / "x").glob("*.safetensors"))
    assert names == [f"weights-0000{i}-of-00003.safetensors" for i in (1, 2, 3)]
    index = json.loads((tmp_path / "x/weights.safetensors.index.json").read_text())
    assert index["weight_map"]["b"] == names[1]
    assert Tensors(tmp_path / "x")["c"][0] == 2
    with pytest.raises(DataError, match="exists; remove it"):
        write_folder(tmp_path / "x", pairs, stem="weights", config={})


def test_only_safetensors_are_read(tmp_path):
    with pytest.raises(DataError, match="does not exist"):
        Tensors(tmp_path / "nowhere")
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(
        DataError, match="pytorch_model.bin is a pickle, which is never"
    ):
        Tensors(tmp_path)
    (tmp_path / "a.safetensors").write_bytes(b"not that")
    with pytest.raises(DataError, match="a.safetensors is damaged"):
        Tensors(tmp_path)


def tiny_wan(monkeypatch):
    """The published 1.3B, small."""
    import dataclasses

    from videogen.models import FAMILIES

    whole = FAMILIES["cross"].published["wan2_1_t2v_1_3b"]
    sizes = {"width": 24, "depth": 2, "num_heads": 2, "mlp_width": 40, "text_dim": 16}
    config = dataclasses.replace(whole.config, **sizes)
    small = dataclasses.replace(whole, config=config)
    monkeypatch.setattr(released, "find_published", lambda name: ("cross", small))
    return config


@pytest.mark.parametrize("origin", ("diffusers", "native"))
@pytest.mark.parametrize("dtype", (np.float32, ml_dtypes.bfloat16))
def test_the_door_there_and_back_to_the_bit(tmp_path, monkeypatch, origin, dtype):
    config = tiny_wan(monkeypatch)
    shapes = released.shapes_of("cross", config)
    rng = np.random.default_rng(0)
    arrays = {p: rng.standard_normal(s).astype(dtype) for p, s in shapes.items()}
    _, published = released.find_published("wan")
    table = published.weights[origin](config)
    whole = write(table, {p: x.astype(np.float32) for p, x in arrays.items()})
    theirs = {key: value.astype(dtype) for key, value in whole.items()}
    (tmp_path / "transformer").mkdir()
    save_file(theirs, tmp_path / "transformer/model.safetensors")
    model = ["--model=wan2_1_t2v_1_3b"]
    ours, back = tmp_path / "ours", tmp_path / "back"
    assert convert.main([f"--from={origin}", *model, str(tmp_path), str(ours)]) == 0
    kept = Tensors(ours)
    for path, value in arrays.items():
        layers = Layers({path: value})
        for key in (path,) if path in kept else (f"{path}[0]", f"{path}[1]"):
            assert kept[key].dtype == dtype
            np.testing.assert_array_equal(kept[key], layers[key])
    assert convert.main([f"--to={origin}", *model, str(ours), str(back)]) == 0
    # diffusers' loader finds its sizes; the authors' have a config of their own.
    assert (back / "config.json").exists() == (origin == "diffusers")
    returned = Tensors(back)
    assert set(returned) == theirs.keys()
    for key, value in theirs.items():
        np.testing.assert_array_equal(returned[key], value)


def test_bad_input_is_one_line(tmp_path, monkeypatch, capsys):
    tiny_wan(monkeypatch)
    for arguments, message in (
        (["--from=diffuser", "--model=w", "a", "b"], "did you mean 'diffusers'"),
        (
            ["--from=diffusers", "--model=w", str(tmp_path), "b"],
            "holds no .safetensors",
        ),
        (
            ["--to=diffusers", "--model=w", str(tmp_path), "b"],
            "no checkpoint there",
        ),
        (["--model=w", "a", "b"], "--from --to is required"),
    ):
        with pytest.raises(SystemExit) as stop:
            convert.main(arguments)
        assert stop.value.code == 43
        error = capsys.readouterr().err
        assert message in error and error.count("\n") == 1


def test_no_table_says_so(monkeypatch):
    from videogen.models import find_published
    from videogen.models.convert import table_of

    _, movie_gen = find_published("movie_gen_30b")
    with pytest.raises(
        ConfigError, match="movie_gen_30b: no table of weights for 'native'"
    ):
        table_of(movie_gen, "movie_gen_30b", "native")
    assert exchange.SHARD_BYTES == 2**30


def test_a_release_of_two_experts_is_converted_by_its_parts(tmp_path):
    for name in ("transformer", "transformer_2"):
        (tmp_path / "src" / name).mkdir(parents=True)
    with pytest.raises(DataError, match="two networks, transformer .*transformer_2"):
        released.from_release(
            "wan2_2_t2v_a14b", "diffusers", tmp_path / "src", tmp_path / "dst"
        )
