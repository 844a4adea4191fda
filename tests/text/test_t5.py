"""T5, UMT5 and ByT5 from folders: what is read, what is refused, on one device and on many."""

import json

import ml_dtypes
import numpy as np
import pytest
from eight_devices import run_on_eight_devices
from safetensors.numpy import load_file, save_file
from text_folders import write_folder, write_t5

from videogen.core.errors import ConfigError, DataError
from videogen.text import make_encoder, t5
from videogen.text.base import TextEncoder

TEXTS = ["a red bicycle", "", "white " * 30]


def test_shapes_masks_and_padding(tmp_path):
    write_t5(tmp_path)
    encoder = make_encoder(f"t5:{tmp_path}", 12)
    assert isinstance(encoder, TextEncoder)
    assert (encoder.name, encoder.length, encoder.dim) == ("t5", 12, 16)
    text_BLD, mask_BL = encoder.encode(TEXTS)
    assert text_BLD.shape == (3, 12, 16) and text_BLD.dtype == np.float32
    assert mask_BL.sum(1).tolist()[1:] == [1, 12]
    assert not text_BLD[~mask_BL].any() and text_BLD[mask_BL].any(-1).all()
    longer, _ = make_encoder(f"t5:{tmp_path}", 19).encode(TEXTS[:2])
    np.testing.assert_allclose(longer[:, :12], text_BLD[:2], atol=1e-5)
    assert encoder.encode([])[0].shape == (0, 12, 16)


def test_bytes_need_no_vocabulary(tmp_path):
    write_t5(tmp_path)
    (tmp_path / "spiece.model").unlink()
    encoder = make_encoder(f"byt5:{tmp_path}", 6)
    tokens_BL, mask_BL = encoder.tokenize(["ab", "\u00e9", "abcdefgh"])
    want = [[100, 101, 1, 0, 0, 0], [198, 172, 1, 0, 0, 0]]
    assert tokens_BL[:2].tolist() == want and tokens_BL[2, -1] == 1
    np.testing.assert_array_equal(mask_BL, tokens_BL > 0)
    with pytest.raises(DataError, match=r"tokenizer.json, or spiece.model would work"):
        make_encoder(f"t5:{tmp_path}", 6)


@pytest.mark.parametrize("kind", ["t5", "umt5"])
def test_shards_and_a_name_for_both_embeddings_change_nothing(kind, tmp_path):
    tensors = write_t5(tmp_path, each_layer=kind == "umt5")
    whole = make_encoder(f"{kind}:{tmp_path}", 9)
    embeddings = tensors.pop("shared.weight")
    (tmp_path / "model.safetensors").unlink()
    half = len(tensors) // 2
    parts = [dict(list(tensors.items())[:half]), dict(list(tensors.items())[half:])]
    parts[0]["encoder.embed_tokens.weight"] = embeddings
    parts[1] |= {
        "decoder.block.0.x": np.ones(2, np.float32),
        "lm_head.weight": embeddings,
    }
    for number, part in enumerate(parts):
        part = {key: np.ascontiguousarray(x) for key, x in part.items()}
        save_file(part, tmp_path / f"model-0000{number + 1}-of-00002.safetensors")
    cut = make_encoder(f"{kind}:{tmp_path}", 9)
    np.testing.assert_array_equal(cut.encode(TEXTS)[0], whole.encode(TEXTS)[0])


def test_bfloat16_is_near_and_another_encoder(tmp_path):
    write_t5(tmp_path)
    exact = make_encoder(f"t5:{tmp_path}", 9)
    rough = make_encoder(f"t5_bf16:{tmp_path}", 9)
    assert rough.name == "t5_bf16" and rough.fingerprint != exact.fingerprint
    want, got = exact.encode(TEXTS)[0], rough.encode(TEXTS)[0]
    assert 0 < np.abs(got - want).max() < 0.1 * np.abs(want).max()


@pytest.mark.parametrize("dtype", [ml_dtypes.bfloat16, np.float16])
def test_weights_of_two_bytes_are_read(dtype, tmp_path):
    tensors = write_t5(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    rounded = {key: x.astype(dtype) for key, x in tensors.items()}
    write_folder(
        tmp_path, {k: x.astype(np.float32) for k, x in rounded.items()}, config
    )
    want = make_encoder(f"t5:{tmp_path}", 7).encode(TEXTS)[0]
    write_folder(tmp_path, rounded, config)
    np.testing.assert_array_equal(
        make_encoder(f"t5:{tmp_path}", 7).encode(TEXTS)[0], want
    )


def test_fingerprint_is_of_weights_vocabulary_and_length(tmp_path):
    tensors = write_t5(tmp_path)

    def now(length=8):
        return make_encoder(f"t5:{tmp_path}", length).fingerprint

    first = now()
    assert now() == first != now(9)
    pieces = tmp_path / "spiece.model"
    pieces.write_bytes(pieces.read_bytes().replace(b"red", b"der"))
    assert (second := now()) != first
    config = json.loads((tmp_path / "config.json").read_text())
    write_folder(
        tmp_path, tensors | {"shared.weight": tensors["shared.weight"] + 1}, config
    )
    assert now() not in (first, second)


def test_keys_that_do_not_fit_are_named(tmp_path):
    tensors = write_t5(tmp_path)
    with pytest.raises(DataError, match=r"missing: encoder.block.1.*attention_bias"):
        make_encoder(f"umt5:{tmp_path}", 8)
    config = json.loads((tmp_path / "config.json").read_text())
    write_folder(tmp_path, tensors | {"encoder.more": np.ones(1)}, config)
    with pytest.raises(DataError, match=f"^{tmp_path}: .*unknown: encoder.more$"):
        make_encoder(f"t5:{tmp_path}", 8)
    write_folder(tmp_path, tensors, config | {"d_ff": 25})
    with pytest.raises(
        DataError, match=r"of another shape: .*wi_0.weight is 24x16 for"
    ):
        make_encoder(f"t5:{tmp_path}", 8)


def test_files_and_fields_that_fail_are_named(tmp_path):
    name = f"t5:{tmp_path}"
    with pytest.raises(DataError, match=r"config.json cannot be read"):
        make_encoder(name, 8)
    write_t5(tmp_path)
    with pytest.raises(ConfigError, match="text length=1 must be at least 2 for t5"):
        make_encoder(name, 1)
    (tmp_path / "spiece.model").write_bytes(b"\x0a\xff")
    with pytest.raises(DataError, match=r"spiece.model: cannot be read \(it is cut"):
        make_encoder(name, 8)
    (tmp_path / "model.safetensors").rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(DataError, match=r"pytorch_model.bin is a pickle"):
        make_encoder(name, 8)
    path = tmp_path / "config.json"
    config = json.loads(path.read_text())
    path.write_text(json.dumps(config | {"feed_forward_proj": "gated-silu"}))
    with pytest.raises(ConfigError, match="'gated-silu': 'gated-gelu', or 'relu'"):
        make_encoder(name, 8)
    path.write_text(json.dumps({k: x for k, x in config.items() if k != "d_kv"}))
    with pytest.raises(ConfigError, match=r"config.json.d_kv is missing"):
        make_encoder(name, 8)


@pytest.mark.parametrize(
    "name, message",
    [
        ("t5", "'t5' is read from a folder: 't5:/path/of/it' would work"),
        ("tt5:/x", r"'tt5' does not exist \(did you mean 't5'"),
        ("hash:/x", "'hash:/x' has no folder: 'hash' would work"),
    ],
)
def test_names(name, message):
    with pytest.raises(ConfigError, match=message):
        make_encoder(name, 8)


def test_buckets_are_symmetric_and_grow():
    near = t5.buckets_of(300, 32, 128)
    after, before = near[0], near[:, 0]  # keys after the query, and before it
    assert after[:9].tolist() == [0, *range(17, 25)] and before[:9].tolist() == [
        *range(9)
    ]
    np.testing.assert_array_equal(after[1:], before[1:] + 16)
    assert (np.diff(before) >= 0).all() and (before[128:] == 15).all()


SHARDED = """
import jax, numpy as np, pathlib, tempfile
from videogen.text import make_encoder
from videogen.text import folder, runner
import sys; sys.path.insert(0, "tests")
from text_folders import write_t5
here = pathlib.Path(tempfile.mkdtemp())
write_t5(here, each_layer=True)
texts = [f"a red {word}" for word in ("bicycle", "", "wall", "bite", "white star")]
with jax.set_mesh(jax.make_mesh((2, 4), ("fsdp", "tensor"))):  # of the caller: no matter
    encoder = make_encoder(f"umt5:{here}", 8)
    got, mask = encoder.encode(texts)
words = encoder.run._params["words"]
assert words.sharding.shard_shape(words.shape) == (384, 2)
up = encoder.run._params["blocks.mlp.up.kernel"]
assert up.addressable_shards[0].data.shape == (2, 2, 24)
runner.jax.local_devices = lambda devices=jax.local_devices(): devices[:1]
alone = make_encoder(f"umt5:{here}", 8)
assert alone.fingerprint == encoder.fingerprint
np.testing.assert_allclose(got, alone.encode(texts)[0], atol=1e-5)
"""


def test_eight_devices_are_one():
    run_on_eight_devices(SHARDED)


def test_a_tensor_is_what_was_written(tmp_path):
    tensors = write_t5(tmp_path)
    read = load_file(tmp_path / "model.safetensors")
    params = make_encoder(f"t5:{tmp_path}", 8).run._params
    ours = np.asarray(params["blocks.attention.to_q.kernel"])
    for layer in range(2):
        key = f"encoder.block.{layer}.layer.0.SelfAttention.q.weight"
        np.testing.assert_array_equal(ours[layer], read[key].T)
    assert read.keys() == tensors.keys()
