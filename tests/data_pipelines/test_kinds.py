"""One line in a table makes a tokenizer or a text encoder known to the encoding."""

import pytest

from data_pipelines.encode_settings import EncodeSettings
from videogen import text, tokenizers
from videogen.core.errors import ConfigError
from videogen.data.manifest import load_dataset
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
    tokenizer = tokenizers.load(
        out,
        name=info.tokenizer.name,
        file=info.tokenizer.file,
        fingerprint=info.tokenizer.fingerprint,
    )
    assert isinstance(tokenizer, MyTokenizer)


def test_a_kind_that_nothing_fits_is_not_offered(known):
    with pytest.raises(ConfigError, match="tokenizer='heavy' .*one of: linear, mine"):
        settings_for(tokenizer="heavy")
    with pytest.raises(ConfigError, match="'heavy' cannot be fitted"):
        tokenizers.make_fitter("heavy")
