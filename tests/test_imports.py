"""Imports point down, frameworks stay at home, few files wait for the device."""

import ast
import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# The floor of each folder of videogen/. Its own files are doors (5), cli.py is 6.
FLOORS = {
    "core": 0,
    **dict.fromkeys(("ops", "parallel", "cost"), 1),
    "nn": 2,
    **dict.fromkeys(("models", "diffusion", "data", "tokenizers", "text", "image"), 3),
    **dict.fromkeys(("train", "eval"), 4),
    "planner": 5,
}
DOOR, CLI = 5, 6
# The sideways imports: evaluation restores what training saved; costs need chips, and
# attention is cut over the mesh; text encoders are published checkpoints too, and image
# encoders have the blocks and the folders of text encoders.
SIDEWAYS = [
    ("videogen.eval.*", "videogen.train.state*"),
    ("videogen.cost.*", "videogen.parallel.chips*"),
    ("videogen.cost.analytic.*", "videogen.parallel.gather*"),
    ("videogen.cost.analytic.*", "videogen.parallel.mesh*"),
    ("videogen.ops.*", "videogen.parallel.*"),
    ("videogen.text.*", "videogen.models.weights*"),
    ("videogen.text.*", "videogen.models.exchange*"),
    ("videogen.image.*", "videogen.models.weights*"),
    ("videogen.image.*", "videogen.text.*"),
]

FRAMEWORKS = {"torch", "torchvision", "tensorflow", "diffusers", "transformers"}
MACHINE_LEARNING = FRAMEWORKS | {
    *("jax", "jaxlib", "flax", "optax", "orbax", "grain", "ml_collections"),
}
OUTSIDE = {"launch", "data_pipelines", "configs"}
PIPELINE_FOLDERS = {"core", "data", "tokenizers", "text", "image"}

# Modules that may import a package; a package not listed is free.
HOMES = {
    "flax": [
        *("*.nn.*", "*.tokenizers.*", "*.text.*", "*.image.*"),
        *("*.models.*.model", "*.models.*.conditions"),
    ],
    "ml_collections": ["videogen.*"],  # the doors and build.py: narrowed by floor
}
NNX_FORBIDDEN = {
    *("jit", "pjit", "grad", "value_and_grad", "scan", "vmap", "pmap", "remat"),
    *("Optimizer", "with_partitioning"),
}
NNX_FENCED = {"split", "merge"}
# The one bridge to encoders that are not here, used while a dataset is made.
BRIDGE = "data_pipelines.transformers_text"
FENCE = ["videogen.nn.fence", "videogen.text.*"]
# Files that may wait for the device; anywhere else it would stall the loop.
WAITS = {"block_until_ready", "device_get", "item"}
MAY_WAIT = [
    *("videogen.train.metrics", "videogen.train.checkpoint", "videogen.train.profiler"),
    *("videogen.eval.*", "videogen.parallel.multihost"),
]


def parts_of(module: str) -> list[str]:
    return module.split(".")


def floor_of(module: str) -> int:
    """The floor of a module of videogen; `videogen` itself holds nothing and is 0."""
    parts = parts_of(module)
    if len(parts) == 1:
        return 0
    if parts[-1] == "__main__":
        return DOOR
    return CLI if parts[1] == "cli" else FLOORS.get(parts[1], DOOR)


def folder_of(module: str) -> str:
    """The folder within which imports are free: all doors share one."""
    shared = {DOOR: "doors", CLI: "cli"}
    return shared.get(floor_of(module)) or parts_of(module)[1]


def matches(module: str, patterns: list[str]) -> bool:
    return any(fnmatch(module, pattern) for pattern in patterns)


def imports_of(module: str, tree: ast.AST, is_package: bool) -> Iterator[str]:
    """Dotted names that a module imports anywhere; `a.b` for `from a import b`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                up = node.level - is_package
                parts = parts_of(module)
                base = ".".join(parts[: len(parts) - up] + [base] * bool(base))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def named_modules(tree: ast.AST) -> Iterator[str]:
    """Strings that are nothing but a module of launch or data_pipelines."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"(launch|data_pipelines)(\.\w+)*", node.value):
                yield node.value


def import_faults(module: str, source: str, is_package: bool = False) -> list[str]:
    """What is wrong with the imports of one module, a line each."""
    tree = ast.parse(source)
    top = parts_of(module)[0]
    check = {
        "videogen": videogen_import_fault,
        "data_pipelines": pipelines_import_fault,
        "launch": launch_import_fault,
        "configs": configs_import_fault,
    }[top]
    names = list(imports_of(module, tree, is_package))
    if top == "videogen" and module != "videogen.cli":
        names += named_modules(tree)
    faults = ((name, check(module, name)) for name in names)
    return [f"{module}: {name}: {fault}" for name, fault in faults if fault]


def videogen_import_fault(module: str, name: str) -> str | None:
    top = parts_of(name)[0]
    if top in FRAMEWORKS:
        return "belongs to the parity tests alone"
    if top in OUTSIDE:
        return None if module == "videogen.cli" else "only cli.py may name it"
    if top == "ml_collections":
        return None if floor_of(module) == DOOR else "only build.py and the doors"
    if top in HOMES and not matches(module, HOMES[top]):
        return "only in nn/, models/*/{model,conditions}.py, tokenizers/, text/, image/"
    if top == "videogen":
        return upward_fault(module, name)
    return None


def upward_fault(module: str, name: str) -> str | None:
    if floor_of(name) == 0 or folder_of(module) == folder_of(name):
        return None
    if floor_of(name) < floor_of(module):
        return None
    if any(fnmatch(module, a) and fnmatch(name, b) for a, b in SIDEWAYS):
        return None
    return f"floor {floor_of(module)} may not import floor {floor_of(name)}"


def pipelines_import_fault(module: str, name: str) -> str | None:
    parts = parts_of(name)
    if module == BRIDGE and parts[0] in ("torch", "transformers"):
        return None
    if parts[0] in FRAMEWORKS | {"launch", "configs"}:
        return "not in data_pipelines"
    if parts[0] == "videogen" and not PIPELINE_FOLDERS & set(parts[1:2]):
        return "only videogen." + ", videogen.".join(sorted(PIPELINE_FOLDERS))
    return None


def launch_import_fault(module: str, name: str) -> str | None:
    banned = MACHINE_LEARNING | {"videogen", "data_pipelines", "configs"}
    return "launch starts processes only" if parts_of(name)[0] in banned else None


def configs_import_fault(module: str, name: str) -> str | None:
    allowed = {"configs", "ml_collections"}
    if parts_of(name)[0] in allowed or parts_of(name)[0] in ("math", "copy"):
        return None
    return "a config imports ml_collections and its siblings only"


def nnx_faults(module: str, source: str) -> list[str]:
    """Uses of nnx outside the permitted subset (nn/fence.py says why)."""
    tree = ast.parse(source)
    used = [name.removeprefix("flax.nnx.") for name in imports_of(module, tree, False)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and ast.unparse(node.value).endswith("nnx"):
            used.append(node.attr)
    banned = NNX_FORBIDDEN | (set() if matches(module, FENCE) else NNX_FENCED)
    return [f"{module}: nnx.{name}" for name in used if name in banned]


def wait_faults(module: str, source: str) -> list[str]:
    """Calls that wait for the device in a module that must not."""
    if matches(module, MAY_WAIT) or floor_of(module) >= DOOR:
        return []
    calls = (n for n in ast.walk(ast.parse(source)) if isinstance(n, ast.Call))
    names = ((ast.unparse(call.func).split(".")[-1], call) for call in calls)
    return [f"{module}:{c.lineno}: {name}" for name, c in names if name in WAITS]


def modules(*tops: str) -> Iterator[tuple[str, str, bool]]:
    """(dotted name, source, is a package) of each module under the given folders."""
    for path in sorted(p for top in tops for p in (ROOT / top).rglob("*.py")):
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        is_package = parts[-1] == "__init__"
        yield (
            ".".join(parts[:-1] if is_package else parts),
            path.read_text(),
            is_package,
        )


def test_every_import_is_allowed():
    tops = ("videogen", "data_pipelines", "launch", "configs")
    faults = [fault for module in modules(*tops) for fault in import_faults(*module)]
    assert not faults, "\n".join(faults)


def test_nnx_stays_in_its_subset():
    found = [
        f for name, source, _ in modules("videogen") for f in nnx_faults(name, source)
    ]
    assert not found, "\n".join(found)


def test_only_named_files_wait_for_the_device():
    found = [
        f for name, source, _ in modules("videogen") for f in wait_faults(name, source)
    ]
    assert not found, "\n".join(found)


def test_every_folder_has_a_floor():
    folders = {p.name for p in (ROOT / "videogen").iterdir() if any(p.glob("**/*.py"))}
    assert folders <= set(FLOORS), f"not in FLOORS: {sorted(folders - set(FLOORS))}"


BAD_IMPORTS = [
    ("videogen.core.types", "import videogen.nn.norm"),
    ("videogen.nn.norm", "from videogen.models import wan"),
    ("videogen.parallel.mesh", "from videogen.ops import attention"),
    ("videogen.data.plan", "from videogen.tokenizers.base import Tokenizer"),
    ("videogen.train.loop", "def f():\n    from videogen.eval import sampling"),
    ("videogen.eval.sampling", "from videogen.train import loop"),
    ("videogen.cost.compile", "from videogen.ops import attention"),
    ("videogen.train.step", "from videogen.build import make_model"),
    ("videogen.train.step", "from ..build import make_model"),
    ("videogen.build", "import videogen.cli"),
    ("videogen.text.t5", "import transformers"),
    ("videogen.text.t5", "from videogen.models import joint"),
    ("videogen.eval.fvd", "import torch.nn as nn"),
    ("videogen.data.example", "import tensorflow as tf"),
    ("videogen.train.state", "from flax import nnx"),
    ("videogen.models.cross.config", "import flax"),
    ("videogen.train.optimizer", "from ml_collections import ConfigDict"),
    ("videogen.cli", "import ml_collections"),
    ("videogen.sample", "import launch.local"),
    ("videogen.sample", "run('data_pipelines.encode')"),
    ("data_pipelines.encode", "from videogen import train"),
    ("data_pipelines.encode", "import torch"),
    ("launch.local", "import jax"),
    ("launch.local", "from videogen.core import errors"),
    ("configs.quickstart", "import jax"),
]
GOOD_IMPORTS = [
    ("videogen.nn.norm", "from flax import nnx"),
    (
        "videogen.models.cross.model",
        "from flax import nnx\nfrom videogen.nn import norm",
    ),
    ("videogen.models.cross.model", "from .config import CrossConfig"),
    ("videogen.eval.sampling", "from videogen.train.state import TrainState"),
    ("videogen.cost.schedule", "from videogen.parallel.chips import Chip"),
    ("videogen.text.t5", "from videogen.models.weights import WeightTable"),
    ("videogen.train.loop", "from videogen.train import step\nimport jax, optax"),
    ("videogen.build", "import ml_collections\nfrom videogen.train import loop"),
    ("videogen.session", "from videogen import build"),
    ("videogen.cli", "DOORS = {'launch': 'launch.__main__'}\nimport videogen.train"),
    ("videogen.data.schema", "'what data_pipelines writes'"),
    ("data_pipelines.encode", "from videogen.text import minilm\nimport apache_beam"),
    ("data_pipelines.transformers_text", "def f():\n    import torch"),
    ("launch.local", "import subprocess\nfrom launch import ship"),
    (
        "configs.quickstart",
        "from ml_collections import ConfigDict\nimport configs.base",
    ),
]


@pytest.mark.parametrize("module, source", BAD_IMPORTS)
def test_a_bad_import_is_found(module, source):
    assert import_faults(module, source)


@pytest.mark.parametrize("module, source", GOOD_IMPORTS)
def test_a_good_import_passes(module, source):
    assert not import_faults(module, source)


@pytest.mark.parametrize("use", ["nnx.jit(f)", "flax.nnx.scan(f)", "nnx.split(m)"])
def test_a_forbidden_nnx_use_is_found(use):
    assert nnx_faults("videogen.nn.stack", use)
    assert nnx_faults("videogen.nn.stack", "from flax.nnx import vmap")
    assert not nnx_faults("videogen.nn.fence", "nnx.split(m)")
    assert not nnx_faults("videogen.nn.stack", "jax.vmap(f); text.split()")


@pytest.mark.parametrize(
    "call", ["jax.block_until_ready(x)", "x.item()", "y = jax.device_get(x)"]
)
def test_a_wait_is_found(call):
    assert wait_faults("videogen.train.loop", call)
    assert not wait_faults("videogen.train.metrics", call)
    assert not wait_faults("videogen.session", call)
