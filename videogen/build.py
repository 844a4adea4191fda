"""ConfigDict -> frozen dataclasses: the only file that reads a ConfigDict.

What comes out is `Settings`; `run.py` makes the parts of a run from it. Every complaint
about a value names its field as it is written on the command line.
"""

import ast
import dataclasses
import importlib.util
import json
import math
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ml_collections import config_dict

from videogen import models, notes
from videogen.core.errors import ConfigError, suggest
from videogen.core.fields import as_type, fill
from videogen.data.hashing import draw64
from videogen.data.pipeline import MORE_TEXT
from videogen.diffusion.objective import ObjectiveConfig
from videogen.diffusion.tasks import TaskMix
from videogen.diffusion.time import TimeSampler
from videogen.eval.sampling import SampleConfig
from videogen.eval.validation_loss import ValidationConfig
from videogen.image import check_encoder
from videogen.nn import lora
from videogen.nn.lora import LoraConfig
from videogen.parallel.mesh import MeshConfig
from videogen.train.adapt import POSITIONS, Rules
from videogen.train.loop import LoopConfig
from videogen.train.optimizer import OptimizerConfig
from videogen.train.plateau import PlateauConfig


@dataclasses.dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Which datasets, and how their batches are made. `global_batch` counts clips.

    mix: ((path, share of the clips), ...) of further datasets; `path` has the rest.
    batch_ramp: ((until which step, clips of a batch), ...), smaller batches that come first.
    batch_tokens: a batch of each latent shape has as many clips, in multiples of
        global_batch, as these tokens hold; 0: global_batch of every shape.
    row_tokens: packs: a batch is global_batch rows of so many tokens, each of clips of any
        shapes (data/packs.py); 0: no packs.
    row_clips: of packs, the most clips of a row.
    row_text_tokens: of packs, room for the texts of a row; 0: for all in full length.
    more_text: ((condition, text version, text encoder), ...) of further encoders: "text2",
        "text3", or "pooled" for an encoder of one vector. They drop with the text, and are of
        the same captions.
    max_bad_records: the share of all records that may be unreadable before a run ends.
    sample_posterior: draw each reading's latent by the log variance beside it, which the
        dataset must hold (encode --logvar); else the mean. Validation reads the mean.
    buffer_mib: memory of each host for batches that are made ahead.
    audio_version: the audio sidecar, of datasets with sound; "": video alone.
    image_version: the image sidecar (add-image), for networks that are told of a first frame.
    image_encoder: what made it, with its folder, "clip:/path/of/it": for samples alone.
    text_mix: ((version, share of the readings), ...) of further texts of the same clips;
        `text_version` has the rest. Each reading of a clip draws which of them it has;
        validation reads `text_version` alone.
    """

    path: str
    global_batch: int
    mix: tuple[tuple[str, float], ...] = ()
    batch_ramp: tuple[tuple[int, int], ...] = ()
    batch_tokens: int = 0
    row_tokens: int = 0
    row_clips: int = 16
    row_text_tokens: int = 0
    tokenizer: str = "linear"
    text_encoder: str = "minilm"
    text_version: str = "v1"
    audio_version: str = ""
    image_version: str = "v1"
    image_encoder: str = ""
    text_mix: tuple[tuple[str, float], ...] = ()
    more_text: tuple[tuple[str, str, str], ...] = ()
    text_dropout: float = 0.1
    num_threads: int = 2
    buffer_mib: int = 2048
    max_bad_records: float = 0.001
    sample_posterior: bool = False

    def __post_init__(self):
        for name in ("global_batch", "row_clips", "num_threads", "buffer_mib"):
            if getattr(self, name) < 1:
                raise ConfigError(f"data.{name}={getattr(self, name)} must be positive")
        for name in ("batch_tokens", "row_tokens", "row_text_tokens"):
            if getattr(self, name) < 0:
                raise ConfigError(f"data.{name}={getattr(self, name)}: at least 0")
        sized = [
            n for n in ("batch_ramp", "batch_tokens", "row_tokens") if getattr(self, n)
        ]
        if len(sized) > 1:
            raise ConfigError(
                f"data.{sized[0]} and data.{sized[1]} both say how large batches are; "
                "leave one out"
            )
        steps = [0, *(until for until, _ in self.batch_ramp)]
        if steps != sorted(set(steps)) or any(size < 1 for _, size in self.batch_ramp):
            raise ConfigError(
                f"data.batch_ramp={self.batch_ramp} must be pairs of a growing step and a "
                "positive number of clips, as ((1000, 64), (2000, 128))"
            )
        self._check_text_mix()
        self._check_more_text()
        if self.image_encoder:
            check_encoder(self.image_encoder)
        if not 0 <= self.text_dropout <= 1:
            raise ConfigError(
                f"data.text_dropout={self.text_dropout} must be in [0, 1]"
            )

    @property
    def text_versions(self) -> tuple[str, ...]:
        """`text_version` first."""
        return (self.text_version, *(version for version, _ in self.text_mix))

    @property
    def more_versions(self) -> dict[str, str]:
        """Condition -> text version, of the further encoders."""
        return {name: version for name, version, _ in self.more_text}

    def _check_text_mix(self) -> None:
        shares = [share for _, share in self.text_mix]
        if any(not 0 < share <= 1 for share in shares) or sum(shares) > 1 + 1e-9:
            raise ConfigError(
                f"data.text_mix={self.text_mix}: shares must be positive and add up to at "
                "most 1, as (('v2', 0.7),)"
            )
        if len(set(self.text_versions)) < len(self.text_versions):
            raise ConfigError(
                f"data.text_mix={self.text_mix} names a version twice, or data."
                f"text_version={self.text_version!r}, which has what the others leave"
            )

    def _check_more_text(self) -> None:
        names = [name for name, _, _ in self.more_text]
        for name in names:
            if name not in MORE_TEXT:
                near = suggest(name, MORE_TEXT)
                raise ConfigError(f"data.more_text: {name!r} is not a condition{near}")
        if len(set(names)) < len(names):
            raise ConfigError(f"data.more_text names {names}: each may stand once")
        if names and self.row_tokens:
            raise ConfigError(
                "data.more_text cannot be packed: data.row_tokens=0 would work"
            )
        if names and self.text_mix:
            raise ConfigError(
                f"data.text_mix={self.text_mix} draws the text among captions, and data."
                "more_text is always of one of them; leave one out"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Stage:
    """Which part of a staged recipe: its steps are counted from `start`."""

    name: str = ""
    index: int = 0
    start: int = 0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """One experiment, whole, or one stage of it.

    stages: see stages.py, which makes a Settings of each.
    whole: of a stage: the record of the experiment.
    """

    seed: int
    init_from: str  # a workdir whose weights to start from, or ""
    init_positions: str  # how position tables of another size are adapted
    init_fresh: tuple[str, ...]  # patterns of parameters not taken from there
    family_name: str
    model: Any  # the family's config dataclass
    data: DataConfig
    mesh: MeshConfig
    objective: ObjectiveConfig
    time: TimeSampler
    tasks: TaskMix
    optimizer: OptimizerConfig
    train: LoopConfig
    validation: ValidationConfig
    sample: SampleConfig
    lora: LoraConfig
    plateau: PlateauConfig
    published: dict[str, str]  # field -> its source; see notes.py
    assumed: dict[str, str]  # field -> why
    stages: tuple[dict[str, Any], ...] = ()
    stage: Stage = Stage()
    whole: dict[str, Any] | None = None

    def __post_init__(self):
        options = ("", *POSITIONS)
        if self.init_positions not in options:
            raise ConfigError(
                f"config.init_positions={self.init_positions!r}"
                f"{suggest(self.init_positions, options)}"
            )
        if self.plateau.is_on and not self.train.validate_every:
            raise ConfigError(
                f"config.plateau.factor={self.plateau.factor} needs validations: set "
                "config.train.validate_every"
            )
        notes.check(self.published, self.assumed, self.record)

    def trains(self, path: str) -> bool:
        """Whether the parameter of that path is trained."""
        only = self.optimizer.train_only
        if any(re.search(pattern, path) for pattern in only):
            return True
        return path.startswith(lora.PREFIX) if self.lora.rank else not only

    @property
    def gives(self) -> str:
        """How frames are given: a name of tasks.HOW."""
        first_frames = self.time.clean_frames and not self.tasks.gives
        return "clean" if first_frames else self.tasks.how

    @property
    def weight_rules(self) -> Rules:
        """How weights of another network are adapted to this one's."""
        return Rules(
            cells=math.prod(self.model.patch),
            positions=self.init_positions,
            fresh=self.init_fresh,
        )

    @property
    def data_seed(self) -> int:
        """Of the order of batches and the dropped texts: each stage has its own."""
        if not self.stage.index:
            return self.seed
        return int(draw64("stage", self.seed, self.stage.index))

    @property
    def family(self) -> models.Family:
        return models.FAMILIES[self.family_name]

    @property
    def record(self) -> dict[str, Any]:
        """Every field, defaults included, as JSON: what a workdir keeps."""
        if self.whole is not None:
            return self.whole
        fields = dataclasses.asdict(self)
        del fields["stage"], fields["whole"]
        fields["model"]["family"] = fields.pop("family_name")
        fields |= {kind: notes.nest(fields[kind]) for kind in notes.KINDS}
        return json.loads(json.dumps(fields))


SECTIONS = {
    "data": DataConfig,
    "mesh": MeshConfig,
    "objective": ObjectiveConfig,
    "time": TimeSampler,
    "tasks": TaskMix,
    "optimizer": OptimizerConfig,
    "train": LoopConfig,
    "validation": ValidationConfig,
    "sample": SampleConfig,
    "lora": LoraConfig,
    "plateau": PlateauConfig,
}
# Fields outside sections: (type, default).
SCALARS: dict[str, tuple[Any, Any]] = {
    "seed": (int, 0),
    "init_from": (str, ""),
    "init_positions": (str, ""),
    "init_fresh": (tuple[str, ...], ()),
}
REQUIRED = ("model", "data", "optimizer", "train")
FORMER = ("prefetch",)  # of `data`, in older records: it changed no number


def load_config(path: str) -> config_dict.ConfigDict:
    """get_config() of a file, which may import siblings as `configs.NAME`."""
    if not Path(path).is_file():
        raise ConfigError(f"--config={path}: there is no such file")
    spec = importlib.util.spec_from_file_location("config", path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"--config={path} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    root = str(Path(path).resolve().parents[1])
    if root not in sys.path:
        sys.path.append(root)
    spec.loader.exec_module(module)
    if not hasattr(module, "get_config"):
        raise ConfigError(f"--config={path} has no get_config()")
    return module.get_config()


def recorded_config(workdir: Path) -> config_dict.ConfigDict:
    """The config that a workdir was trained with."""
    path = workdir / "config.json"
    try:
        return _of_record(json.loads(path.read_text()))
    except FileNotFoundError:
        raise ConfigError(
            f"--config is missing, and {path} does not exist to stand in for it"
        ) from None
    except ValueError as error:
        raise ConfigError(f"{path} is damaged ({error}); give --config") from error


def complete(record: dict[str, Any]) -> dict[str, Any]:
    """A recorded config with the defaults of fields that are newer than it."""
    return read(_of_record(record)).record


def _of_record(record: dict[str, Any]) -> config_dict.ConfigDict:
    config = config_dict.ConfigDict(record)
    data: Any = config.get("data", {})
    for name in FORMER:
        if name in data:
            del data[name]
    return config


def override(config: config_dict.ConfigDict, overrides: Sequence[str]) -> None:
    """Applies overrides such as "model.depth=2", in place.

    A field that the file leaves out may be set too; `read` knows which exist.
    """
    changed: list[str] = []
    for text in overrides:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"config.{name} has no value: write --config.{name}=...")
        *parents, last = name.split(".")
        node: Any = config
        for part in parents:
            if node is config and part in SECTIONS and part not in node:
                with config.unlocked():
                    config[part] = config_dict.ConfigDict()
            if part not in node:
                raise ConfigError(
                    f"config.{name}: no such section {part!r}{suggest(part, node)}"
                )
            node = node[part]
            if not isinstance(node, config_dict.ConfigDict):
                raise ConfigError(f"config.{name}: {part} is not a section")
        before = node.get(last)
        with node.unlocked(), node.ignore_type():
            node[last] = _value(value, like=before)
        if node[last] != before:
            notes.mark_changed(config, name)
        changed.append(name)
    _check_staged(config, changed)


def _check_staged(config: config_dict.ConfigDict, changed: Sequence[str]) -> None:
    """ConfigError for an override that a stage of the recipe would undo.

    Stages that are said beside it are meant as they are.
    """
    stages: Any = () if "stages" in changed else config.get("stages", ())
    for i, stage in enumerate(stages):
        for name in changed:
            if isinstance(stage, dict) and name in stage:
                raise ConfigError(
                    f"config.{name} is set by config.stages[{i}], which would undo it; "
                    "--config.stages='()' trains without stages"
                )


def _value(text: str, like: Any) -> Any:
    """The value of a text, as Python writes it; where a text stood, the text itself."""
    if isinstance(like, str):
        return text
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False, "none": None}.get(text.lower(), text)


def read(config: config_dict.ConfigDict) -> Settings:
    """The config, checked. ConfigError for an unknown, missing or impossible field."""
    return read_plain(config.to_dict())


def read_plain(node: dict[str, Any]) -> Settings:
    """`read` of a plain dict."""
    of_fields = {*SECTIONS, *notes.KINDS, "model"}
    known = {*of_fields, *SCALARS, "stages"}
    for name, value in node.items():
        if name not in known:
            raise ConfigError(f"config.{name}: no such section{suggest(name, known)}")
        if name in of_fields and not isinstance(value, dict):
            raise ConfigError(f"config.{name}={value!r} is no section: it has fields")
    for name in REQUIRED:
        if name not in node:
            raise ConfigError(f"config.{name} is missing")
    scalars = {
        name: as_type(node.get(name, default), hint, f"config.{name}")
        for name, (hint, default) in SCALARS.items()
    }
    family_name, model = _model(node["model"])
    kinds = {**SECTIONS, "model": models.FAMILIES[family_name].config}
    sections: dict[str, Any] = {
        name: fill(kind, {**node, "model": model}.get(name, {}), f"config.{name}")
        for name, kind in kinds.items()
    }
    said: dict[str, Any] = {
        kind: notes.flatten(node.get(kind, {}), kind) for kind in notes.KINDS
    }
    stages = node.get("stages", ())
    if not isinstance(stages, list | tuple) or not all(
        isinstance(stage, dict) for stage in stages
    ):
        raise ConfigError(f"config.stages={stages!r} is not a tuple of dicts")
    return Settings(
        family_name=family_name, stages=tuple(stages), **scalars, **sections, **said
    )


def _model(values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """(family, its fields): those given, over those of the published model `name`."""
    values = dict(values)
    name, family_name = values.pop("name", ""), values.pop("family", "")
    if name:
        try:
            of_name, published = models.find_published(name)
        except ConfigError as error:
            raise ConfigError(f"config.model.name: {error}") from None
        if family_name not in ("", of_name):
            raise ConfigError(
                f"config.model.family={family_name!r}, but model.name={name!r} is of "
                f"{of_name!r}: leave one out"
            )
        return of_name, dataclasses.asdict(published.config) | values
    if family_name not in models.FAMILIES:
        raise ConfigError(
            f"config.model.family={family_name!r}"
            f"{suggest(str(family_name), models.FAMILIES)}"
        )
    return family_name, values


def shrink(settings: Settings, num_devices: int) -> Settings:
    """A tiny experiment of the same kind, for that many devices: four steps of it.

    Nothing of it is published.
    """
    sample = settings.sample
    each = len(sample.given) // max(1, len(sample.prompts or sample.labels))
    replace = dataclasses.replace
    return replace(
        settings,
        init_from="",
        init_fresh=(),
        published={},
        stages=(),
        lora=replace(settings.lora, rank=min(settings.lora.rank, 2)),
        model=_shrink_model(settings.model),
        data=replace(
            settings.data,
            global_batch=num_devices * settings.optimizer.microbatches,
            batch_ramp=(),
        ),
        mesh=MeshConfig(),
        optimizer=replace(settings.optimizer, schedule="constant", warmup_steps=1),
        train=replace(
            settings.train,
            steps=4,
            log_every=1,
            validate_every=2,
            sample_every=4,
            checkpoint_every=2,
        ),
        sample=replace(
            sample,
            num_steps=2,
            prompts=sample.prompts[:2],
            labels=sample.labels[:2],
            given=sample.given[: 2 * each],
        ),
    )


def _shrink_model(model: Any) -> Any:
    """Two heads of the same size, at most two blocks of each kind."""
    names = {field.name for field in dataclasses.fields(model)}
    width = 2 * model.head_dim
    fields = {n: min(2, getattr(model, n)) for n in names if n.endswith("depth")}
    fields["depth"] = 2 + 2 * getattr(model, "full_pairs", 0)
    if "num_kv_heads" in names:
        fields["num_kv_heads"] = 1
    return dataclasses.replace(
        model, num_heads=2, width=width, mlp_width=2 * width, **fields
    )
