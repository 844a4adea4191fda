"""T5 v1.1, UMT5, ByT5 and CLIP against transformers: tiny random networks, saved by it."""

import numpy as np
import pytest
from parity.towers import near, save
from safetensors.numpy import load_file, save_file
from text_folders import clip_files, pieces_file

from data_pipelines.text import load_text_encoder
from videogen.core.errors import DataError
from videogen.text import make_encoder, t5

pytestmark = [pytest.mark.parity, pytest.mark.filterwarnings("ignore")]

TEXTS = [
    "A red bicycle leans on a wall.",
    "",
    "  two   spaces,\tna\u00efve caf\u00e9; 3.14 -- it's \u6771\u4eac \U0001f600 ",
    "a large white rabbit steps out of its burrow and stretches " * 8,
]
SIZES = dict(
    d_model=24,
    d_kv=6,
    d_ff=40,
    num_layers=3,
    num_heads=4,
    feed_forward_proj="gated-gelu",
)


def tokens_of(tokenizer, length):
    made = tokenizer(
        TEXTS,
        padding="max_length",
        truncation=True,
        max_length=length,
        return_tensors="np",
    )
    return made["input_ids"], made["attention_mask"]


def check_states(encoder, model, tokenizer, length):
    """Tokens equal, states near, padding zero."""
    import torch

    ids, mask = tokens_of(tokenizer, length)
    tokens_BL, mask_BL = encoder.tokenize(TEXTS)
    np.testing.assert_array_equal(mask_BL, mask)
    np.testing.assert_array_equal(tokens_BL[mask_BL], ids[mask_BL])
    with torch.no_grad():
        out = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    want = out.last_hidden_state.numpy()
    got, got_mask_BL = encoder.encode(TEXTS)
    assert got.shape == want.shape == (len(TEXTS), length, encoder.dim)
    np.testing.assert_array_equal(got_mask_BL, mask_BL)
    assert not got[~mask_BL].any()
    near(got[mask_BL], want[mask_BL])
    return out


@pytest.mark.parametrize("length", [37, 300])
@pytest.mark.parametrize("kind", ["t5", "umt5", "v1.0"])
def test_t5_of_a_piece_file(kind, length, tmp_path):
    transformers = pytest.importorskip("transformers")
    pieces = pieces_file(tmp_path / "spiece.model")
    config, network = {
        "t5": (transformers.T5Config, transformers.T5EncoderModel),
        "v1.0": (transformers.T5Config, transformers.T5EncoderModel),
        "umt5": (transformers.UMT5Config, transformers.UMT5EncoderModel),
    }[kind]
    sizes = SIZES | ({"feed_forward_proj": "relu"} if kind == "v1.0" else {})
    model = save(network(config(vocab_size=len(pieces), **sizes)), tmp_path)
    tokenizer = transformers.T5Tokenizer(pieces, extra_ids=0)
    name = "umt5" if kind == "umt5" else "t5"
    encoder = make_encoder(f"{name}:{tmp_path}", length)
    check_states(encoder, model, tokenizer, length)


def test_t5_of_a_whole_model_and_a_tokenizer_json_beside_it(tmp_path):
    transformers = pytest.importorskip("transformers")
    folder, vocabulary = tmp_path / "text_encoder_2", tmp_path / "tokenizer_2"
    folder.mkdir()
    vocabulary.mkdir()
    pieces = pieces_file(tmp_path / "spiece.model")
    tokenizer = transformers.T5Tokenizer(pieces, extra_ids=0)
    tokenizer.save_pretrained(vocabulary)
    config = transformers.T5Config(vocab_size=len(pieces), **SIZES)
    whole = transformers.T5ForConditionalGeneration(config)
    model = save(whole, folder).get_encoder()
    check_states(make_encoder(f"t5:{folder}", 21), model, tokenizer, 21)


def test_byt5(tmp_path):
    transformers = pytest.importorskip("transformers")
    config = transformers.T5Config(vocab_size=384, **SIZES)
    model = save(transformers.T5EncoderModel(config), tmp_path)
    tokenizer = transformers.ByT5Tokenizer()
    check_states(make_encoder(f"byt5:{tmp_path}", 51), model, tokenizer, 51)


@pytest.mark.parametrize("act", ["quick_gelu", "gelu"])
@pytest.mark.parametrize("legacy", [False, True])
def test_clip(act, legacy, tmp_path):
    transformers = pytest.importorskip("transformers")
    vocab_size = clip_files(tmp_path)
    config = transformers.CLIPTextConfig(
        vocab_size=vocab_size,
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=3,
        num_attention_heads=4,
        projection_dim=10,
        max_position_embeddings=33,
        hidden_act=act,
        eos_token_id=2 if legacy else vocab_size - 1,
    )
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    # The one has a prefix in its keys, the other none.
    with_projection = transformers.CLIPTextModelWithProjection(config)
    model = save(with_projection, tmp_path)
    states = make_encoder(f"clip:{tmp_path}", 33)
    check_states(states, model, tokenizer, 33)
    projected, mask_B1 = make_encoder(f"clip_projected:{tmp_path}", 5).encode(TEXTS)
    assert projected.shape == (len(TEXTS), 1, 10) and mask_B1.all()
    alone = transformers.CLIPTextModel(config)
    save(alone, tmp_path)
    out = check_states(make_encoder(f"clip:{tmp_path}", 33), alone, tokenizer, 33)
    pooled, _ = make_encoder(f"clip_pooled:{tmp_path}", 1).encode(TEXTS)
    near(pooled[:, 0], out.pooler_output.numpy())


def test_clip_projected(tmp_path):
    import torch

    transformers = pytest.importorskip("transformers")
    config = transformers.CLIPTextConfig(
        vocab_size=clip_files(tmp_path),
        hidden_size=24,
        intermediate_size=40,
        num_hidden_layers=2,
        num_attention_heads=4,
        projection_dim=10,
        max_position_embeddings=29,
        eos_token_id=2,
    )
    tokenizer = transformers.CLIPTokenizer.from_pretrained(tmp_path)
    model = save(transformers.CLIPTextModelWithProjection(config), tmp_path)
    ids, mask = tokens_of(tokenizer, 29)
    with torch.no_grad():
        out = model(torch.from_numpy(ids), attention_mask=torch.from_numpy(mask))
    got, _ = make_encoder(f"clip_projected:{tmp_path}", 1).encode(TEXTS)
    near(got[:, 0], out.text_embeds.numpy())


@pytest.mark.parametrize("sizes", [(32, 128), (12, 40)])
def test_buckets(sizes):
    """To the last one: the rounding of a logarithm decides where buckets end."""
    import torch
    from transformers.models.t5.modeling_t5 import T5Attention

    place = torch.arange(1100)
    want = T5Attention._relative_position_bucket(
        place[None] - place[:, None], True, *sizes
    )
    np.testing.assert_array_equal(t5.buckets_of(1100, *sizes), want.numpy())


def test_through_transformers_it_is_the_same(tmp_path):
    """The bridge of data_pipelines, with a T5 that we have too."""
    transformers = pytest.importorskip("transformers")
    pieces = pieces_file(tmp_path / "spiece.model")
    config = transformers.T5Config(vocab_size=len(pieces), **SIZES)
    save(transformers.T5EncoderModel(config), tmp_path)
    transformers.T5Tokenizer(pieces, extra_ids=0).save_pretrained(tmp_path)
    bridge = load_text_encoder(f"hf:{tmp_path}", 17)
    ours = make_encoder(f"t5:{tmp_path}", 17)
    assert (bridge.name, bridge.length, bridge.dim) == ("hf", 17, ours.dim)
    many = TEXTS * 3  # more than one call
    (got, got_mask), (want, mask_BL) = bridge.encode(many), ours.encode(many)
    np.testing.assert_array_equal(got_mask, mask_BL)
    near(got, want)
    assert bridge.fingerprint != load_text_encoder(f"hf:{tmp_path}", 16).fingerprint
    fewer = load_file(tmp_path / "model.safetensors")
    del fewer["encoder.final_layer_norm.weight"]
    save_file(fewer, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(DataError, match="the weights lack encoder.final_layer_norm"):
        load_text_encoder(f"hf:{tmp_path}", 18)
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(DataError, match="transformers cannot read it"):
        load_text_encoder(f"hf:{tmp_path}", 19)
