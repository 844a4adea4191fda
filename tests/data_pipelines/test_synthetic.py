"""The synthetic dataset is a whole one, its latents decode to its waves."""

import jax.numpy as jnp
import numpy as np

from data_pipelines.synthetic import wave_clip, write_synthetic
from videogen import tokenizers
from videogen.data.manifest import load_dataset
from videogen.data.null_text import load_null_text
from videogen.data.source import open_dataset
from videogen.text.hashed import HashedWords

SHAPE = (2, 3, 4, 16)


def write(directory, seed=0):
    write_synthetic(
        directory,
        num_records=8,
        latent_shape=SHAPE,
        seed=seed,
        text_length=6,
        text_dim=12,
        num_validation=2,
    )


def files(directory):
    paths = sorted(path for path in directory.rglob("*") if path.is_file())
    return [(path.relative_to(directory), path.read_bytes()) for path in paths]


def test_it_depends_on_the_seed_alone(tmp_path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        write(tmp_path / name, seed)
    assert files(tmp_path / "a") == files(tmp_path / "b")
    assert files(tmp_path / "a") != files(tmp_path / "c")


def test_latents_decode_to_the_waves(tmp_path):
    write(tmp_path)
    info = load_dataset(tmp_path).tokenizer
    tokenizer = tokenizers.load(tmp_path, **vars(info))
    (source,) = open_dataset(tmp_path).sources("train", captions="v1")
    for index in range(len(source)):
        pixels, caption, label = wave_clip(SHAPE, 0, index)
        clip = source[index]
        decoded = tokenizer.decode(
            jnp.asarray(clip.latent.latent_FHWC, jnp.float32)[None]
        )
        error = np.mean(np.square(np.asarray(decoded[0]) - pixels))
        assert error < 0.05 * pixels.var()
        assert (clip.caption, clip.latent.label) == (caption, label)


def test_the_null_text_is_the_encoders(tmp_path):
    write(tmp_path)
    text_BLD, mask_BL = HashedWords(6, 12).encode([""])
    crc32 = load_dataset(tmp_path).text["v1"].null_crc32
    np.testing.assert_array_equal(
        load_null_text(tmp_path, "v1", crc32), text_BLD[0][mask_BL[0]]
    )
