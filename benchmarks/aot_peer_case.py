"""The training step of MaxDiffusion's Wan trainer as a case for `videogen.cost`."""

import importlib.abc
import importlib.machinery
import sys
import types
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from videogen.cost.case import Case
from videogen.cost.pod import Pod
from videogen.cost.schedule import Shares
from videogen.models import FAMILIES, find_published

# Imported there to load weights, read data or show videos; no step runs any of it.
ABSENT = (
    *("torch", "tensorflow", "transformers", "datasets", "skimage", "imageio", "ftfy"),
    *("chex", "aqt", "google.cloud"),
    *(f"maxdiffusion.{name}" for name in ("generate_wan", "pipelines", "loaders")),
)


def step_case(
    devices: Any, checkout: str, config: str, fields: Sequence[str], model: str
) -> Case:
    """Their step on these devices, at the published shape of our model of that name."""
    sys.meta_path.insert(0, Absent())
    sys.path.insert(0, str(Path(checkout) / "src"))
    sys.modules["jaxopt"] = tree_norm()
    from flax import nnx
    from flax.linen import partitioning
    from maxdiffusion import max_utils, pyconfig
    from maxdiffusion.trainers.base_wan_trainer import TrainState
    from maxdiffusion.trainers.wan_trainer import WanTrainer

    jax.devices = lambda *_, **__: list(devices)  # they ask it how many there are
    file = Path(checkout) / "src/maxdiffusion/configs" / config
    pyconfig.initialize(["", str(file), "run_name=aot", *fields], unittest=True)
    theirs = pyconfig.config
    mesh = jax.sharding.Mesh(
        max_utils.create_device_mesh(theirs, logging=False), theirs.mesh_axes
    )
    family, published = find_published(model)
    network = make_network(theirs, mesh, published.config)
    graphdef, params, rest = nnx.split(network, nnx.Param, ...)
    trainer: Any = object.__new__(WanTrainer)
    trainer.config = theirs
    rate = max_utils.create_learning_rate_schedule(1e-5, 1000, 0.1, 1000)

    def make_state(params: Any, rest: Any) -> Any:
        return TrainState.create(
            apply_fn=graphdef.apply,
            params=params,
            tx=max_utils.create_optimizer(theirs, rate),
            graphdef=graphdef,
            rest_of_state=rest,
        )

    with mesh, partitioning.axis_rules(theirs.logical_axis_rules):
        state = jax.eval_shape(make_state, params, rest)
        state = state.replace(step=jax.ShapeDtypeStruct((), jnp.int32))
        shardings = nnx.get_named_sharding(state, mesh)
    scheduler, scheduler_state = trainer.create_scheduler()
    step = trainer.get_train_step(
        types.SimpleNamespace(scheduler=scheduler),
        *(mesh, shardings, trainer.get_data_shardings(mesh)),
    )
    latent, clips = published.latent_FHWC, theirs.global_batch_size_to_train_on
    loaded = theirs.global_batch_size_to_load  # of which the step takes the first
    frames, rows, columns, channels = latent
    whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
    sizes = {
        "latents": (loaded, channels, frames, rows, columns),
        "encoder_hidden_states": (loaded, published.text_tokens, 4096),
    }
    batch = {name: jax.ShapeDtypeStruct(x, jnp.float32) for name, x in sizes.items()}
    flops = FAMILIES[family].flops(published.config, latent, published.text_tokens)
    return Case(
        function=Under(step, mesh, theirs.logical_axis_rules),
        args=(
            shapes(state, shardings),
            shapes(batch, trainer.get_data_shardings(mesh)),
            everywhere(jax.eval_shape(jax.random.key, 0), whole),
            everywhere(jax.tree.map(jnp.asarray, scheduler_state), whole),
        ),
        flops=3.0 * flops * clips / mesh.size,
        shares={"": Shares(cold=1 / 64)},
        pod=Pod.of(mesh),
        facts={"global_batch": float(clips)},
    )


def make_network(theirs: Any, mesh: Any, sizes: Any) -> Any:
    """Their model of shapes, as `create_sharded_logical_transformer` makes and casts it."""
    from flax import nnx
    from maxdiffusion.max_utils import get_flash_block_sizes, get_precision
    from maxdiffusion.models.wan.transformers.transformer_wan import WanModel

    kept = ("remat_policy", "flash_min_seq_length", "dropout", "mask_padding_tokens")
    kept += ("names_which_can_be_saved", "names_which_can_be_offloaded", "attention")
    kept += ("scan_layers", "weights_dtype")
    options = {name: getattr(theirs, name) for name in kept}
    options["attention_config"] = {
        name: getattr(theirs, name)
        for name in ("use_base2_exp", "use_experimental_scheduler")
    }
    network = nnx.eval_shape(
        lambda: WanModel(
            rngs=nnx.Rngs(jax.random.key(0)),
            num_attention_heads=sizes.num_heads,
            attention_head_dim=sizes.width // sizes.num_heads,
            ffn_dim=sizes.mlp_width,
            num_layers=sizes.depth,
            mesh=mesh,
            dtype=theirs.activations_dtype,
            precision=get_precision(theirs),
            flash_block_sizes=get_flash_block_sizes(theirs),
            **options,
        )
    )
    graphdef, params, rest = nnx.split(network, nnx.Param, ...)
    params = jax.tree.map_with_path(lambda path, x: cast(path, x, theirs), params)
    return nnx.merge(graphdef, params, rest)


def cast(path: Any, x: Any, theirs: Any) -> jax.ShapeDtypeStruct:
    """Norms, embedders and modulation stay float32 there (`cast_with_exclusion`)."""
    name = jax.tree_util.keystr(path).lower()
    whole = any(x in name for x in ("norm", "condition_embedder", "scale_shift_table"))
    dtype = jnp.float32 if whole else theirs.weights_dtype
    return jax.ShapeDtypeStruct(x.shape, dtype)


def shapes(tree: Any, shardings: Any) -> Any:
    """Shapes where they lie."""
    return jax.tree.map(
        lambda x, s: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=s), tree, shardings
    )


def everywhere(tree: Any, whole: Any) -> Any:
    """The same with one sharding for all."""
    return shapes(tree, jax.tree.map(lambda _: whole, tree))


class Under:
    """A jitted function that is traced under a mesh and their names of its axes."""

    def __init__(self, step: Any, mesh: Any, rules: Any):
        self.step, self.mesh, self.rules = step, mesh, rules

    def trace(self, *args: Any) -> Any:
        from flax.linen import partitioning

        with self.mesh, partitioning.axis_rules(self.rules):
            return self.step.trace(*args)


def tree_norm() -> types.ModuleType:
    """The one function of jaxopt that the step calls."""
    import optax

    module = types.ModuleType("jaxopt")
    module.tree_util = types.SimpleNamespace(tree_l2_norm=optax.global_norm)
    return module


class Anything(type):
    """A class whose attributes are such classes: enough for what only annotates."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return anything(name)

    def __or__(cls, other: Any) -> Any:
        return cls

    __ror__ = __or__


def anything(name: str) -> Any:
    members = {
        "__init__": lambda self, *_, **__: None,
        "__class_getitem__": classmethod(lambda cls, _: cls),
    }
    return Anything(name, (), members)


class Absent(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the modules of ABSENT, with whatever is asked of them."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        if any(name == x or name.startswith(f"{x}.") for x in ABSENT):
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: Any) -> types.ModuleType:
        module = types.ModuleType(spec.name)
        module.__getattr__ = anything
        return module

    def exec_module(self, module: types.ModuleType) -> None:
        pass
