"""Texts of batches and prompts: by an encoder from a folder, by several encoders."""

import contextlib
import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from doors import overrides
from safetensors.numpy import save_file
from text_folders import write_t5

from data_pipelines.add_text import add_text
from data_pipelines.exchange.import_settings import ImportSettings
from data_pipelines.exchange.importing import import_latents
from data_pipelines.synthetic import write_synthetic
from data_pipelines.text_settings import TextSettings
from videogen import build, job, run, text
from videogen.core.errors import ConfigError
from videogen.data import pipeline
from videogen.data.manifest import load_dataset
from videogen.data.schema import ImageInfo
from videogen.data.source import open_dataset
from videogen.data.writer import write_dataset
from videogen.eval import dataset_page
from videogen.feed import open_mix
from videogen.images import Images, check_mixed_images
from videogen.models import conditions
from videogen.text import make_encoder
from videogen.text.hashed import HashedWords
from videogen.tokenizers.published import PUBLISHED

# Beam's own; nothing of ours is hidden.
pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning:apache_beam.*"),
    pytest.mark.filterwarnings("ignore::FutureWarning:apache_beam.*"),
]
CONFIG = "configs/quickstart.py"


def settings(dataset, *extra):
    config = build.load_config(CONFIG)
    build.override(config, overrides(dataset, *extra))
    return build.read(config)


def test_the_encoder_may_have_moved_but_not_changed(tmp_path):
    first, moved, other = (tmp_path / name for name in ("first", "moved", "other"))
    for folder in (first, other):
        folder.mkdir()
    write_t5(first)
    write_t5(other, num_layers=1)
    encoder = make_encoder(f"byt5:{first}", 8)
    data = tmp_path / "data"
    write_synthetic(
        data, num_records=8, latent_shape=(2, 4, 4, 16), text_encoder=encoder
    )
    shutil.move(first, moved)
    dim = "model.text_dim=16"
    parts = run.make(settings(data, f"data.text_encoder=byt5:{moved}", dim))
    assert parts.feed.identity["text_encoder"].startswith("byt5 ")
    told, null = parts.feed.prompt_conditions(("red waves",))
    want, mask_BL = encoder.encode(["red waves"])
    np.testing.assert_array_equal(told["text_BLD"], want)
    np.testing.assert_array_equal(told["text_mask_BL"], mask_BL)
    np.testing.assert_array_equal(null["text_BLD"], encoder.encode([""])[0][0])
    for folder, said in ((other, "is not the one that"), ("", "read from a folder")):
        name = f"byt5:{folder}".removesuffix(":")
        feed = run.make(settings(data, f"data.text_encoder={name}", dim)).feed
        with pytest.raises(ConfigError, match=said):
            feed.prompt_conditions(("red waves",))
    with pytest.raises(ConfigError, match="'t5', but .* was made with 'byt5'"):
        run.make(settings(data, f"data.text_encoder=t5:{moved}", dim))


def test_batches_are_made_ahead_within_the_budget(tmp_path, monkeypatch):
    """Those of validation too."""
    write_synthetic(tmp_path, num_records=16, latent_shape=(2, 4, 4, 16))
    feed = run.make(settings(tmp_path, "data.buffer_mib=3")).feed
    budgets = []

    def ahead(*_, budget, **__):
        budgets.append(budget)
        return iter(())

    monkeypatch.setattr(pipeline, "in_threads", ahead)
    assert not [*feed.train_batches(0), *feed.validation_batches()]
    assert budgets == [3 << 20] * 2


class Pooled(HashedWords):
    """One vector of a text, as clip_pooled."""

    name = "pool"

    def __init__(self, length=1):
        super().__init__(1, 6)


@pytest.fixture(scope="module")
def three_texts(tmp_path_factory):
    """v1 of width 12, v2 of width 384, v3 of one vector."""
    directory = tmp_path_factory.mktemp("three")
    write_synthetic(
        directory,
        num_records=16,
        latent_shape=(2, 4, 4, 16),
        text_encoder=HashedWords(5, 12),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(text.ENCODERS, "pool", Pooled)
        for version, encoder in (("v2", "hash"), ("v3", "pool")):
            add_text(
                TextSettings(
                    dataset=str(directory),
                    version=version,
                    text_encoder=encoder,
                    text_length=7,
                )
            )
    return directory


SMALL = (
    *("model.width=24", "model.depth=1", "model.single_depth=1", "model.num_heads=2"),
    *("model.mlp_width=32", "model.rope_split=(4,4,4)", "model.dtype=float32"),
    *("model.text_dim=12", "model.pooled_dim=6", "model.more_text_dims=(384,)"),
    "data.global_batch=16",
)
MORE = "data.more_text=(('text2','v2','hash'),('pooled','v3','pool'))"


def joint(dataset, *fields):
    config = build.load_config("configs/hunyuan_video.py")
    more = f"data.path={dataset}", "data.text_encoder=hash", *SMALL, *fields
    build.override(config, more)
    return build.read(config)


def test_further_texts_reach_the_network_and_its_prompts(three_texts, monkeypatch):
    monkeypatch.setitem(text.ENCODERS, "pool", Pooled)
    parts = run.make(joint(three_texts, MORE, "data.text_dropout=1.0"))
    feed = parts.feed
    # The first was made narrower than the encoder of its name is.
    narrow = HashedWords(5, 12)
    first = {"text": narrow}
    opened = type(feed).open_encoder
    monkeypatch.setattr(
        type(feed), "open_encoder", lambda self, x: first.get(x) or opened(self, x)
    )
    train = next(feed.train_batches(0))
    held = next(iter(feed.validation_batches()))
    told, null = feed.prompt_conditions(("red waves moving left",))
    names = {"text_BLD", "text_mask_BL", "text2_BLX", "text2_mask_BL", "pooled_BX"}
    for batch in (train, held, told, null):
        assert {x for x in batch if x.startswith(("text", "pool"))} == names
    for name in names:  # every row is dropped in training, none in validation
        rows = np.asarray(train[name])
        np.testing.assert_array_equal(rows, np.broadcast_to(null[name], rows.shape))
        assert told[name].shape[1:] == null[name].shape == held[name].shape[1:]
        assert (np.asarray(held[name]) != null[name]).any()
    out = jax.eval_shape(
        lambda params, batch: conditions.bind(parts.network, params, batch)(
            batch["latent_BFHWC"].astype(jnp.float32), jnp.zeros(len(batch["fps_B"]))
        ),
        *(parts.network.abstract(), train),
    )
    assert out.shape == train["latent_BFHWC"].shape
    assert set(feed.identity) == {
        "tokenizer",
        "text_encoder",
        "text2",
        "pooled",
        "plan",
    }


@pytest.mark.parametrize(
    ("version", "changes", "said"),
    [
        ("v2", {}, ""),
        ("v2", {"captions": ""}, ""),
        ("v2", {"captions": "v7"}, "of the captions v7, but v1 is of v1: add-text"),
        (
            "v2",
            {"dim": 8},
            "text v2 of .* is hash .* 7 x 384, but .* v2: hash .* 7 x 8",
        ),
        ("v2", {"length": 6}, "text v2 of .* 7 x 384, but .* v2: hash .* 6 x 384"),
        ("v2", {"fingerprint": "feed"}, "text v2 of .*, but .* v2: hash feed 7 x 384"),
        ("v4", {}, r"text v2 of .*, but .*/other has v1: .*\(add-text\) would work"),
    ],
)
def test_further_texts_are_alike_in_all_datasets(
    three_texts, tmp_path, version, changes, said
):
    """As those of the first, and each of its dataset's own captions."""
    other = shutil.copytree(three_texts, tmp_path / "other")
    info = load_dataset(other)
    text = dict(info.text)
    text[version] = dataclasses.replace(text.pop("v2"), **changes)
    write_dataset(other, dataclasses.replace(info, text=text))
    mixed = joint(three_texts, MORE, f"data.mix=(('{other}',0.5),)")
    raises = (
        pytest.raises(ConfigError, match=said) if said else contextlib.nullcontext()
    )
    with raises:
        (found,) = open_mix(mixed, open_dataset(three_texts), None)
        assert found.directory == other


def test_images_are_there_in_all_datasets(three_texts):
    other, info = open_dataset(three_texts), load_dataset(three_texts)
    seen = ImageInfo(name="clip", fingerprint="0" * 64, length=5, dim=6)
    fields = {"version": "v1", "directory": three_texts, "here": ""}
    check_mixed_images(None, other)
    said = r"data.mix: .* no image tokens v1 by clip \(00000000\), .*: add-image --version=v1"
    with pytest.raises(ConfigError, match=said):
        check_mixed_images(Images(info=seen, **fields), other)
    write_dataset(three_texts, dataclasses.replace(info, image={"v1": seen}))
    check_mixed_images(Images(info=seen, **fields), open_dataset(three_texts))
    write_dataset(three_texts, info)


@pytest.mark.parametrize(
    "fields, said",
    [
        ((), "needs text2_BLX, pooled_BX, .* or --config.data.more_text, would work"),
        (("data.more_text=(('txt2','v2','hash'),)",), "'txt2' is not a condition"),
        (
            ("data.more_text=(('text2','v9','hash'),)",),
            r"more_text\[text2\]='v9' is not",
        ),
        (("data.more_text=(('text2','v2','t5:/x'),)",), r"\[text2\]='t5', but"),
        (
            (MORE.replace("'v3','pool'", "'v2','hash'"),),
            "has texts of 7 tokens: one of",
        ),
        ((MORE, "model.pooled_dim=7"), "pooled_dim=7, but pooled of .* has dim 6"),
        ((MORE, "model.more_text_dims=(4,)"), "text2 of .* has dim 384"),
        ((MORE, "data.row_tokens=64"), "cannot be packed: data.row_tokens=0"),
        ((MORE, "data.text_mix=(('v4',0.5),)"), "text_mix=.* leave one out"),
        ((MORE.replace("pooled", "text2"),), "each may stand once"),
    ],
)
def test_what_further_texts_cannot_be_is_said(three_texts, fields, said):
    with pytest.raises(ConfigError, match=said):
        run.make(joint(three_texts, *fields))


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory):
    """Latents of a VAE that is not here, with log variances, and text of an encoder that is."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (folder / "files").mkdir()
    for number in range(8):
        random = np.random.default_rng(number)
        shape = (16, 2, 4, 4)
        tensors = {"latents": random.normal(size=shape).astype(np.float32)}
        tensors["logvar"] = np.full(shape, -2, np.float32)
        save_file(tensors, folder / "files" / f"{number}.safetensors")
    import_latents(
        ImportSettings(
            source=str(folder / "files"),
            format="safetensors",
            normalised="no",
            vae="wan2_1",
            fps=16.0,
            logvar_key="logvar",
            text_encoder="hash",
            validation_share=0.0,
        ),
        folder / "set",
        say=lambda line: None,
    )
    return folder / "set"


@pytest.mark.slow  # 20 s
def test_latents_made_elsewhere_train(elsewhere, tmp_path):
    own = settings(elsewhere, "data.tokenizer=wan2_1", "train.steps=2")
    assert job.train(own, tmp_path / "a") == 0


def test_latents_made_elsewhere_are_not_sampled_and_say_so(elsewhere, tmp_path):
    parts = run.make(settings(elsewhere, "data.tokenizer=wan2_1"))
    np.testing.assert_array_equal(
        parts.feed.tokenizer.std_C, np.float32(PUBLISHED["wan2_1"].std)
    )
    with pytest.raises(ConfigError, match="'wan2_1' made these .*sample_every=0"):
        sampled = settings(elsewhere, "data.tokenizer=wan2_1", "train.sample_every=1")
        job.train(sampled, tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").iterdir()] == [".lock"]
    _, facts = dataset_page.render(elsewhere, (1, 2, 2))
    assert facts.latents["tokenizer"] == "wan2_1, 16 channels, strides (4, 8, 8)"


def test_posteriors_are_drawn_where_they_are_asked_for(elsewhere, three_texts):
    draws = "data.sample_posterior=True"
    drawn, means = (
        run.make(settings(elsewhere, "data.tokenizer=wan2_1", *more)).feed
        for more in ((draws,), ())
    )
    batches = [next(feed.train_batches(0)) for feed in (drawn, means, drawn)]
    one, mean, again = (np.asarray(x["latent_BFHWC"], np.float32) for x in batches)
    np.testing.assert_array_equal(one, again)
    assert 0.3 < (one - mean).std() < 0.45  # exp(-1)
    with pytest.raises(ConfigError, match="no log variances: encode it with --logvar"):
        run.make(settings(three_texts, draws))
