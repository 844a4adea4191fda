"""What `videogen convert --to=diffusers` writes: it loads, computes the same and comes back."""

import dataclasses
import inspect

import jax
import numpy as np
import pytest
from networks import random_params
from parity.harness import FORWARD, T_B, applied, compare, tensor, twin_of

from videogen import convert
from videogen.core.errors import ConfigError
from videogen.models import FAMILIES
from videogen.models.convert import export_weights, import_weights
from videogen.models.exchange import FORMAT, Layers, Tensors, write_folder
from videogen.models.weights import layer_key

pytestmark = pytest.mark.parity

TWINS = (
    *("cogvideox.of_2b", "cogvideox.of_5b", "cogvideox.of_5b_i2v"),
    *("cogvideox.of_1_5", "cogvideox.of_1_5_i2v", "mochi.mochi"),
    *("cosmos.predict1", "cosmos.predict2", "cosmos.predict2_5"),
    *("cross.wan", "cross.wan_i2v", "cross.ltx", "cross.allegro"),
    *("dit.diffusers", "factorised.latte", "kandinsky.kandinsky"),
    *("joint.hunyuan", "joint.hunyuan_by_channels", "joint.hunyuan_by_clean_tokens"),
    *("joint.hunyuan_1_5", "joint.flux"),
)
ROWS = {
    name: row
    for family in FAMILIES.values()
    for name, row in family.published.items()
    if "diffusers" in row.weights
}


def params_of(twin):
    return {path: np.asarray(x) for path, x in random_params(twin.network).items()}


def write_ours(twin, params, folder):
    """Our exchange folder, as if it came from diffusers."""
    layers = Layers(params)
    keys = dict.fromkeys(map(layer_key, twin.table.places(twin.shapes)))
    config = {"model": twin.name, "origin": "diffusers"}
    write_folder(
        folder,
        ((key, layers[key]) for key in keys),
        stem="weights",
        config={"format": FORMAT, "config": dataclasses.asdict(twin.config)} | config,
        checksum=True,
    )


def check_loaded(twin, params, folder):
    """from_pretrained finds every tensor, and the network of its config.json is ours."""
    import diffusers
    import torch

    told = twin.published.diffusers_config(twin.config)
    kind = getattr(diffusers, told["_class_name"])
    model, report = kind.from_pretrained(folder, output_loading_info=True)
    assert not any(report.values()), report
    twin.adapt(model)
    latent, sign = twin.latent(), -1 if twin.turned else 1
    their_t = 1 - T_B if twin.turned else T_B
    with torch.no_grad():
        want = twin.theirs(model, tensor(latent), tensor(their_t)).numpy()

    @jax.jit
    def ours(params):
        return sign * twin.ours(applied(twin.network, params), latent, T_B)

    got = ours(params)
    compare("the output", np.asarray(got), want, FORWARD)


@pytest.mark.filterwarnings("ignore:In CPU autocast")  # Mochi's rotary embedding
@pytest.mark.parametrize("name", TWINS)
def test_diffusers_loads_what_convert_writes(name, tmp_path):
    """And `--from` has the same bits of it."""
    twin = twin_of(name)
    params, source, folder = params_of(twin), tmp_path / "ours", tmp_path / "theirs"
    write_ours(twin, params, source)
    argv = ["--to=diffusers", f"--model={twin.name}", str(source), str(folder)]
    assert convert.main(argv) == 0
    check_loaded(twin, params, folder)
    back = tmp_path / "back"
    import_weights(twin.published, twin.name, "diffusers", twin.shapes, folder, back)
    ours, again = Tensors(source), Tensors(back)
    assert ours.keys() == again.keys()
    for key, value in ours.items():
        np.testing.assert_array_equal(again[key], value, err_msg=key)


def test_diffusers_loads_several_shards(tmp_path):
    twin = twin_of("cross.wan")
    params, folder = params_of(twin), tmp_path / "theirs"
    names = twin.published, twin.name, "diffusers", twin.shapes
    export_weights(*names, Layers(params), folder, shard_bytes=20_000)
    assert len(list(folder.glob("diffusion_pytorch_model-*.safetensors"))) > 2
    check_loaded(twin, params, folder)


def test_every_class_of_diffusers_is_loaded():
    told = {name: row.diffusers_config(row.config) for name, row in ROWS.items()}
    tested = {twin_of(name).name for name in TWINS}
    classes = {told[name]["_class_name"] for name in tested}
    assert classes == {each["_class_name"] for each in told.values()}


@pytest.mark.parametrize("name", TWINS)
def test_a_class_is_told_what_it_knows(name):
    """No argument that its constructor lacks."""
    import diffusers

    twin = twin_of(name)
    told = twin.published.diffusers_config(twin.config)
    kind = getattr(diffusers, told.pop("_class_name"))
    assert told.keys() <= inspect.signature(kind.__init__).parameters.keys()


def test_what_a_class_cannot_be_told_is_refused(tmp_path, capsys):
    """Rotary angles of another theta would be another network."""
    twin = twin_of("cross.ltx_of_slow_angles")
    source, folder = tmp_path / "ours", tmp_path / "theirs"
    write_ours(twin, params_of(twin), source)
    with pytest.raises(ConfigError, match=r"rope_theta=100\.0 cannot .* takes 10000"):
        twin.published.diffusers_config(twin.config)
    with pytest.raises(SystemExit) as stop:
        convert.main(
            ["--to=diffusers", f"--model={twin.name}", str(source), str(folder)]
        )
    assert stop.value.code == 43 and "model.rope_theta=100.0" in capsys.readouterr().err
    assert not folder.exists()
