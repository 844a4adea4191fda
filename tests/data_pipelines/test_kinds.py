"""One line in a table makes a tokenizer or a text encoder known to the encoding."""

import jax.numpy as jnp
import numpy as np
import pytest

from data_pipelines.encode_settings import EncodeSettings
from data_pipelines.phases import _arguments
from videogen import text, tokenizers
from videogen.core.errors import ConfigError
from videogen.data.manifest import load_dataset
from videogen.data.source import open_dataset
from videogen.text.hashed import HashedWords
from videogen.tokenizers.linear import STRIDES, Fitter, LinearTokenizer

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]


class MyWords(HashedWords):
    name = "mine"


class MyTokenizer(LinearTokenizer):
    name = "mine"


class MyPosterior(MyTokenizer):
    """Its variance is of the mean's sign."""

    name = "vae"

    def encode_posterior(self, pixels_BTHWC):
        mean = self.encode(pixels_BTHWC)
        return mean, jnp.sign(mean)


class PosteriorFitter(Fitter):
    def finish(self, channels=16):
        return MyPosterior(**vars(super().finish(channels)))


class MyFitter(Fitter):
    def finish(self, channels=16):
        linear = super().finish(channels)
        return MyTokenizer(
            first=linear.first,
            rest=linear.rest,
            mean_C=linear.mean_C,
            std_C=linear.std_C,
        )


@pytest.fixture
def known(monkeypatch):
    kinds = {
        "mine": tokenizers.Kind(
            strides=STRIDES, load=MyTokenizer.load, fitter=MyFitter
        ),
        "heavy": tokenizers.Kind(strides=STRIDES, load=MyTokenizer.load),
        "vae": tokenizers.Kind(
            strides=STRIDES,
            load=MyPosterior.load,
            fitter=PosteriorFitter,
            has_posterior=True,
        ),
    }
    for name, kind in kinds.items():
        monkeypatch.setitem(tokenizers.KINDS, name, kind)
    monkeypatch.setitem(text.ENCODERS, "mine", lambda length: MyWords(length, 5))


def settings_for(**kinds):
    return EncodeSettings(buckets="9x32x48", **kinds)


def test_a_new_kind_goes_through_the_whole_run(tmp_path, make_video, run_all, known):
    make_video(tmp_path / "a.mp4", [60])
    out = tmp_path / "out"
    encode = settings_for(tokenizer="mine", text_encoder="mine")
    run_all(tmp_path, out, encode=encode)
    info = load_dataset(out)
    assert (info.text["v1"].name, info.text["v1"].dim) == ("mine", 5)
    tokenizer = tokenizers.load(out, **vars(info.tokenizer))
    assert isinstance(tokenizer, MyTokenizer)


def test_a_kind_that_nothing_fits_is_not_offered(known):
    with pytest.raises(
        ConfigError, match="--tokenizer='heavy' .*one of: linear, mine, vae"
    ):
        settings_for(tokenizer="heavy")
    with pytest.raises(ConfigError, match="'heavy' cannot be fitted"):
        tokenizers.make_fitter("heavy")


def test_log_variances_beside_the_latents_where_they_are_asked_for(
    tmp_path, make_video, run_all, known
):
    make_video(tmp_path / "a.mp4", [60])
    encode = settings_for(tokenizer="vae", text_encoder="hash", logvar=True)
    run_all(tmp_path, tmp_path / "out", encode=encode)
    dataset = open_dataset(tmp_path / "out")
    (source,), (manifest,) = dataset.sources("train"), dataset.manifests.values()
    assert manifest.logvar
    for row in range(len(source)):
        latent = source[row].latent
        np.testing.assert_array_equal(latent.logvar_FHWC, np.sign(latent.latent_FHWC))
    with pytest.raises(ConfigError, match="--logvar: the tokenizer 'linear' says one"):
        settings_for(logvar=True)


def test_what_is_off_is_not_among_the_arguments():
    """Tables that were made before it was there stay good."""
    assert "logvar" not in _arguments(settings_for())
