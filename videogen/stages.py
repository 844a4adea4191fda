"""A recipe in stages: one workdir, trained through one set of overrides after another.

    config.stages = (
        {"name": "256px_images", "steps": 210_000, "data.global_batch": 9216, ...},
        {"name": "256px_video", "steps": 113_000, "optimizer.learning_rate": 6e-5, ...},
    )

A field is written as on the command line and holds for its stage alone; `{stage}` in the
path of a dataset stands for the name of the stage that reads it. Which stage a
step is in follows from the steps of those before; `train.steps` may end the run earlier.
Each stage has its own order of batches and its own learning-rate schedule, counted from
its first step (without a warm-up, unless it asks for one); moments and averages carry over.
"""

import copy
import dataclasses
import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

from videogen import build
from videogen.build import Settings, Stage
from videogen.core.errors import ConfigError

NAME = "{stage}"  # in a path
# What holds for the run, or for its start.
WHOLE = (
    *("seed", "stages", "init_from", "init_fresh", "lora", "published", "assumed"),
    *("model.family", "model.patch", "train.steps"),
    *("train.profile_at", "train.profile_steps"),
    # Moments carry over, and of another optimiser there are none.
    *("optimizer.train_only", "optimizer.name", "optimizer.moments"),
)


def of(settings: Settings) -> tuple[Settings, ...]:
    """The settings of each stage that `train.steps` reaches; without stages, the settings.

    ConfigError for a stage that cannot be.
    """
    if not settings.stages:
        if NAME in settings.data.path:
            raise ConfigError(
                f"config.data.path={settings.data.path}: {NAME} stands for a stage's name, "
                "and config.stages has none"
            )
        return (settings,)
    named = [_parts(i, stage) for i, stage in enumerate(settings.stages)]
    names = [name for name, _, _ in named]
    if len(set(names)) < len(names):
        raise ConfigError(f"config.stages: two stages of one name in {names}")
    ends = list(itertools.accumulate(steps for _, steps, _ in named))
    if settings.train.steps > ends[-1]:
        raise ConfigError(
            f"config.train.steps={settings.train.steps}, but config.stages end at "
            f"{ends[-1]}: at most that would work"
        )
    starts = [0, *ends[:-1]]
    return tuple(
        _settings(settings, Stage(name=name, index=i, start=starts[i]), ends[i], fields)
        for i, (name, _, fields) in enumerate(named)
        if starts[i] < settings.train.steps
    )


def trained(stages: Sequence[Settings], step: int) -> int:
    """The index of the stage whose step was the last of `step` steps."""
    before = [i for i, stage in enumerate(stages) if stage.stage.start < max(step, 1)]
    return before[-1]


def begun(record: Mapping[str, Any], step: int) -> dict[str, Any]:
    """The record with those stages alone that `step` steps began, ends only if passed."""
    start, kept = 0, {}
    for i, stage in enumerate(record.get("stages", ())):
        end = start + stage["steps"]
        if start < step:
            passed = end <= step
            kept[str(i)] = {k: v for k, v in stage.items() if k != "steps" or passed}
        start = end
    return {**record, "stages": kept}


def _parts(index: int, stage: Mapping[str, Any]) -> tuple[str, int, dict[str, Any]]:
    """(name, steps, {dotted field: value})."""
    fields = dict(stage)
    where = f"config.stages[{index}]"
    name, steps = fields.pop("name", f"stage_{index}"), fields.pop("steps", None)
    if not isinstance(name, str) or not re.fullmatch(r"[\w-]+", name):
        raise ConfigError(f"{where}.name={name!r} is not of letters, digits, _ and -")
    if type(steps) is not int or steps < 1:
        raise ConfigError(f"{where}.steps={steps!r} is not a positive whole number")
    for field in fields:
        for fixed in WHOLE:
            if field == fixed or field.startswith(f"{fixed}."):
                raise ConfigError(
                    f"{where}: {field} holds for the whole run; set config.{field}"
                )
    return name, steps, fields


def _settings(
    whole: Settings, stage: Stage, end: int, fields: Mapping[str, Any]
) -> Settings:
    node: Any = copy.deepcopy(whole.record)
    node["stages"], node["train"]["steps"] = (), min(end, whole.train.steps)
    if stage.index:
        node["optimizer"]["warmup_steps"] = 0
    for field, value in fields.items():
        *parents, last = field.split(".")
        inner = node
        for part in parents:
            inner = inner.setdefault(part, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            raise ConfigError(f"config.stages[{stage.index}]: {field} is not a field")
        inner[last] = value
    try:
        settings = build.read_plain(node)
        data = _named(settings.data, stage)
    except ConfigError as error:
        raise ConfigError(f"config.stages[{stage.index}]: {error}") from None
    return dataclasses.replace(settings, data=data, stage=stage, whole=whole.record)


def _named(data: build.DataConfig, stage: Stage) -> build.DataConfig:
    """With the stage's name in the paths that ask for it."""
    mix = tuple((path.replace(NAME, stage.name), share) for path, share in data.mix)
    path = data.path.replace(NAME, stage.name)
    return dataclasses.replace(data, path=path, mix=mix)
