"""ConfigDict -> frozen dataclasses: the only file that reads a ConfigDict.

What comes out is `Settings`; `run.py` makes the parts of a run from it. Every complaint
about a value names its field as it is written on the command line.
"""

import ast
import dataclasses
import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

from ml_collections import config_dict

from videogen import models
from videogen.core.errors import ConfigError, suggest
from videogen.diffusion.time import TimeSampler
from videogen.eval.sampling import SampleConfig
from videogen.eval.validation_loss import ValidationConfig
from videogen.parallel.mesh import MeshConfig
from videogen.train.loop import LoopConfig
from videogen.train.optimizer import OptimizerConfig

T = TypeVar("T")


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which dataset, and how its batches are made. `global_batch` counts clips."""

    path: str
    global_batch: int
    tokenizer: str = "linear"
    text_encoder: str = "minilm"
    text_version: str = "v1"
    text_dropout: float = 0.1
    num_threads: int = 2
    prefetch: int = 2  # batches

    def __post_init__(self):
        if self.global_batch < 1:
            raise ConfigError(f"data.global_batch={self.global_batch} must be positive")
        if not 0 <= self.text_dropout <= 1:
            raise ConfigError(
                f"data.text_dropout={self.text_dropout} must be in [0, 1]"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One experiment, whole. `record` is the same as JSON, for the workdir."""

    seed: int
    family: models.Family
    model: Any  # the family's config dataclass
    data: DataConfig
    mesh: MeshConfig
    time: TimeSampler
    optimizer: OptimizerConfig
    train: LoopConfig
    validation: ValidationConfig
    sample: SampleConfig
    init_from: str
    record: dict[str, Any]


SECTIONS = {
    "data": DataConfig,
    "mesh": MeshConfig,
    "time": TimeSampler,
    "optimizer": OptimizerConfig,
    "train": LoopConfig,
    "validation": ValidationConfig,
    "sample": SampleConfig,
}
# What a resumed run may change: none of these alters what the weights were trained on.
FREE = (
    "data.path",
    "data.num_threads",
    "data.prefetch",
    "init_from",
    "mesh",
    "model.attention",
    "model.remat",
    "sample",
    "train",
    "validation",
)


def load_config(path: str, overrides: Sequence[str] = ()) -> config_dict.ConfigDict:
    """The config of "FILE.py" or "FILE.py:ARG", with overrides such as "model.depth=2".

    Raises ConfigError, naming the file, the key or the value.
    """
    config = _get_config(path)
    for override in overrides:
        name, equals, text = override.partition("=")
        if not equals:
            raise ConfigError(f"config.{name} has no value: write --config.{name}=...")
        _override(config, name, text)
    return config


def _get_config(path: str) -> config_dict.ConfigDict:
    file, _, arg = path.partition(":")
    if not Path(file).is_file():
        raise ConfigError(f"--config={path}: there is no file {file}")
    spec = importlib.util.spec_from_file_location("config", file)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--config={path}: {file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise ConfigError(f"--config={path}: {file} has no get_config()")
    return module.get_config(*([arg] if arg else []))


def _override(config: config_dict.ConfigDict, name: str, text: str) -> None:
    """Sets one field. A new one must be known to its section, which `read` checks."""
    *parents, last = name.split(".")
    node: Any = config
    for part in parents:
        if not isinstance(node, config_dict.ConfigDict) or part not in node:
            options = node if isinstance(node, config_dict.ConfigDict) else ()
            raise ConfigError(
                f"config.{name}: no such section {part!r}{suggest(part, options)}"
            )
        node = node[part]
    if not isinstance(node, config_dict.ConfigDict):
        raise ConfigError(f"config.{name}: config.{'.'.join(parents)} is not a section")
    with node.unlocked(), node.ignore_type():
        node[last] = _value(text, like=node.get(last), name=name)


def _value(text: str, *, like: Any, name: str) -> Any:
    """The value of a text, as Python writes it, of the kind it replaces."""
    if isinstance(like, str):
        return text
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        value = {"true": True, "false": False}.get(text.lower(), text)
    return _like(value, like, f"config.{name}")


def _like(value: Any, like: Any, where: str) -> Any:
    """`value` as the type of `like`; ConfigError if it is of another kind."""
    if like is None or value is None or type(value) is type(like):
        return value
    if isinstance(like, float) and type(value) is int:
        return float(value)
    raise ConfigError(f"{where}={value!r}: not of the kind of {like!r}")


def read(config: config_dict.ConfigDict, *, debug_devices: int = 0) -> Settings:
    """The config, checked. ConfigError for an unknown, missing or impossible field.

    With `debug_devices`, a tiny config of the same kind for that many devices.
    """
    record = json.loads(json.dumps(config.to_dict()))
    known = {*SECTIONS, "seed", "model", "init_from"}
    for name in record:
        if name not in known:
            raise ConfigError(f"config.{name}: no such section{suggest(name, known)}")
    for name in ("seed", "model", "data", "mesh", "optimizer", "train"):
        if name not in record:
            raise ConfigError(f"config.{name} is missing")
    if debug_devices:
        shrink(record, debug_devices)
    family, model = _read_model(record["model"])
    sections = {
        name: _fill(kind, record.get(name, {}), f"config.{name}")
        for name, kind in SECTIONS.items()
    }
    return Settings(
        seed=record["seed"],
        family=family,
        model=model,
        init_from=record.get("init_from", ""),
        record=record,
        **sections,
    )


def shrink(record: dict[str, Any], num_devices: int) -> None:
    """Makes any config a tiny one of the same kind, in place."""
    model, sample = record["model"], record.setdefault("sample", {})
    head_dim = model["width"] // model["num_heads"]
    model |= {"depth": 2, "num_heads": 2, "width": 2 * head_dim}
    model["mlp_width"] = 4 * head_dim
    record["data"]["global_batch"] = num_devices
    record["optimizer"] |= {"schedule": "constant", "warmup_steps": 1}
    record["train"] |= {"steps": 4, "log_every": 1, "validate_every": 2}
    record["train"] |= {"sample_every": 4, "checkpoint_every": 2}
    sample |= {"num_steps": 2, "prompts": sample.get("prompts", [])[:2]}


def check_workdir(workdir: Path, record: dict[str, Any]) -> None:
    """ConfigError when `workdir` was trained with a config that differs where it matters."""
    path = workdir / "config.json"
    if not path.exists():
        return
    theirs, ours = _flat(json.loads(path.read_text())), _flat(record)
    changed = sorted(
        name
        for name in theirs.keys() | ours.keys()
        if theirs.get(name) != ours.get(name) and not _is_free(name)
    )
    if changed:
        names = ", ".join(
            f"config.{name} was {theirs.get(name)!r}, now {ours.get(name)!r}"
            for name in changed
        )
        raise ConfigError(
            f"workdir {workdir} holds a run of another config: {names}; give the old "
            "value, or a new --workdir (with --config.init_from to start from its weights)"
        )


def _read_model(node: dict[str, Any]) -> tuple[models.Family, Any]:
    name = node.get("family", "")
    if name not in models.FAMILIES:
        raise ConfigError(
            f"config.model.family={name!r}{suggest(name, models.FAMILIES)}"
        )
    family = models.FAMILIES[name]
    fields = {key: value for key, value in node.items() if key != "family"}
    return family, _fill(family.config, fields, "config.model")


def _fill(kind: type[T], node: dict[str, Any], where: str) -> T:
    """`kind(**node)`, JSON lists as tuples, with errors that name the field."""
    fields = {field.name: field for field in dataclasses.fields(kind)}  # type: ignore[arg-type]
    for name in node:
        if name not in fields:
            raise ConfigError(f"{where}.{name}: no such field{suggest(name, fields)}")
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING
        if (
            required
            and field.default_factory is dataclasses.MISSING
            and name not in node
        ):
            raise ConfigError(f"{where}.{name} is missing")
    values = {name: _tuple(value) for name, value in node.items()}
    for name, value in values.items():
        default = fields[name].default
        if default is not dataclasses.MISSING:
            values[name] = _like(value, default, f"{where}.{name}")
    try:
        return kind(**values)
    except ConfigError as error:
        text = str(error)
        raise ConfigError(
            text if text.startswith("config.") else f"config.{text}"
        ) from None


def _tuple(value: Any) -> Any:
    return tuple(_tuple(v) for v in value) if isinstance(value, list) else value


def _flat(node: Any, prefix: str = "") -> dict[str, Any]:
    if not isinstance(node, dict):
        return {prefix: node}
    parts = (
        _flat(value, f"{prefix}.{key}" if prefix else key)
        for key, value in node.items()
    )
    return {name: value for part in parts for name, value in part.items()}


def _is_free(name: str) -> bool:
    return any(name == free or name.startswith(f"{free}.") for free in FREE)
