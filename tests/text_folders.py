"""Folders of tiny text encoders, written as releases have them, without PyTorch."""

import json
import struct

import jax
import numpy as np
from safetensors.numpy import save_file

from videogen.models.weights import write
from videogen.nn.fence import Network
from videogen.text import clip, t5, words

T5_SIZES = dict(
    vocab_size=384,
    d_model=16,
    d_kv=4,
    d_ff=24,
    num_layers=2,
    num_heads=3,
    feed_forward_proj="gated-gelu",
)
CLIP_SIZES = dict(
    hidden_size=16,
    intermediate_size=24,
    projection_dim=6,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=20,
)


def write_t5(folder, *, each_layer=False, **sizes):
    """config.json, model.safetensors and spiece.model. Returns their tensors."""
    fields = T5_SIZES | sizes
    config = t5.T5Config(**fields)
    network = Network.of(lambda rngs: t5.T5(config, each_layer=each_layer, rngs=rngs))
    tensors = write(t5.weight_table({}), random_params(network))
    pieces_file(folder / "spiece.model")
    write_folder(folder, tensors, fields | {"model_type": "t5", "dropout_rate": 0.1})
    return tensors


def write_clip(folder, **sizes):
    """The same of CLIP's text model, with its projection."""
    fields = CLIP_SIZES | {"vocab_size": clip_files(folder), "eos_token_id": 2} | sizes
    config = clip.ClipConfig(**fields)
    network = Network.of(lambda rngs: clip.Clip(config, output="projected", rngs=rngs))
    table = clip.weight_table({"text_model.x": 0}, "projected")
    tensors = write(table, random_params(network))
    write_folder(folder, tensors, {"text_config": fields, "model_type": "clip"})
    return tensors


def random_params(network):
    """Around 1 for gains, around 0 for all else."""
    rng = np.random.default_rng(0)
    return {
        path: 0.3 * rng.standard_normal(leaf.shape, np.float32) + ("scale" in path)
        for path, leaf in network.abstract().items()
    }


def write_folder(folder, tensors, config):
    save_file(jax.tree.map(np.ascontiguousarray, tensors), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(config))


def pieces_file(path):
    """A small unigram vocabulary, as sentencepiece writes it; (piece, score) of each."""
    letters = "abcdefghijklmnopqrstuvwxyz.,A0123456789"
    words_ = ["\u2581a", "\u2581red", "bi", "cycle", "\u2581wh", "ite", "\u2581", "st"]
    special = [("<pad>", 3), ("</s>", 3), ("<unk>", 2)]
    rows = [*special, *((word, 1) for word in (*words_, *letters))]
    scores = [
        0.0 if kind != 1 else -0.25 * place for place, (_, kind) in enumerate(rows)
    ]
    data = b""
    for (piece, kind), score in zip(rows, scores, strict=True):
        text = piece.encode()
        body = b"\x0a" + bytes([len(text)]) + text + b"\x15" + struct.pack("<f", score)
        body += b"\x18" + bytes([kind])
        data += b"\x0a" + bytes([len(body)]) + body
    path.write_bytes(data)
    return [(piece, score) for (piece, _), score in zip(rows, scores, strict=True)]


def clip_files(folder):
    """A byte-level vocabulary with few merges. The number of its words."""
    from tokenizers import pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    merges = ["r e", "re d</w>", "b i", "i t", "l e"]
    made = ["".join(merge.split()) for merge in merges]
    vocabulary = [*letters, *(x + "</w>" for x in letters), *made]
    vocabulary += [words.START, words.END]
    ids = {word: place for place, word in enumerate(vocabulary)}
    (folder / "vocab.json").write_text(json.dumps(ids))
    (folder / "merges.txt").write_text("#version: 0.2\n" + "\n".join(merges) + "\n")
    return len(vocabulary)
