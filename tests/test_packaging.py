"""What gets installed: promised extras, complete locks, PyTorch for parity alone."""

import ast
import importlib.util
import re
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
EXTRAS = [
    *("tpu", "cuda", "pipelines", "ocr", "eval", "parity", "benchmarks", "dev"),
]
UNLOCKED_EXTRA = "ocr"  # models in a package, for those who ask for them
LOCKED_EXTRAS = ("", "pipelines", "eval", "dev")
# tensorflow-datasets reads and describes records without TensorFlow.
HEAVY = re.compile(r"^(torch|tensorflow(?!-(datasets|metadata)$)|nvidia|keras|triton)")


def lock_pins(text: str) -> dict[str, str]:
    """{canonical name: version} of a lock file; each line must be one exact pin."""
    lines = [line.strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    pins = [re.fullmatch(r"([\w.-]+)==([\w.]+)", line) for line in lines]
    loose = [line for line, pin in zip(lines, pins, strict=True) if pin is None]
    if loose:
        raise ValueError(f"not an exact pin: {loose}")
    return {canonicalize_name(pin[1]): pin[2] for pin in pins if pin}


def heavy_names(names) -> list[str]:
    return sorted(name for name in names if HEAVY.match(name))


def requires(name: str) -> list[str]:
    """What an installed package asks for; nothing when it is not installed."""
    try:
        return metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []


def closure(requirements: list[str], extras: tuple[str, ...]) -> set[str]:
    """Canonical names that the requirements need, transitively, on this machine."""
    needed: set[tuple[str, str]] = set()
    todo = [(Requirement(text), extras) for text in requirements]
    while todo:
        requirement, wanted = todo.pop()
        marker = requirement.marker
        if marker and not any(marker.evaluate({"extra": extra}) for extra in wanted):
            continue
        name = canonicalize_name(requirement.name)
        for extra in ("", *requirement.extras):
            if (name, extra) not in needed:
                needed.add((name, extra))
                todo += [(Requirement(text), (extra,)) for text in requires(name)]
    return {name for name, _ in needed}


def setup_value(name: str):
    """The literal that setup.py assigns to a top-level name."""
    for node in ast.parse((ROOT / "setup.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return ast.literal_eval(node.value)
    raise AssertionError(f"setup.py assigns no {name}")


def read_pins(name: str) -> dict[str, str]:
    return lock_pins((ROOT / name).read_text())


def test_extras_are_as_promised():
    assert list(setup_value("EXTRAS")) == EXTRAS


def test_torch_and_diffusers_are_in_parity_alone():
    extras = setup_value("EXTRAS")
    light = setup_value("CORE") + [
        r for e in EXTRAS if e != "parity" for r in extras[e]
    ]
    names = [canonicalize_name(Requirement(text).name) for text in light]
    assert not heavy_names(names) and "diffusers" not in names
    parity = {Requirement(text).name for text in extras["parity"]}
    assert {"torch", "diffusers", "transformers"} <= parity


@pytest.mark.parametrize(
    "lock",
    [
        *("requirements.lock", "requirements-nodeps.lock"),
        *("requirements-tpu.lock", "requirements-benchmarks.lock"),
    ],
)
def test_lock_has_no_heavy_framework(lock):
    assert not heavy_names(read_pins(lock))


def test_environment_has_no_torch_and_no_tensorflow():
    if importlib.util.find_spec("diffusers"):
        pytest.skip("this is the parity environment")
    found = [n for n in ("torch", "tensorflow", "keras") if importlib.util.find_spec(n)]
    assert not found, f"installed beside the quickstart's packages: {found}"


def test_lock_is_complete():
    extras = setup_value("EXTRAS")
    wanted = setup_value("CORE") + [r for e in LOCKED_EXTRAS[1:] for r in extras[e]]
    missing = closure(wanted, LOCKED_EXTRAS) - set(read_pins("requirements.lock"))
    assert not missing, f"run `make lock`: {sorted(missing)}"


def test_tpu_workers_are_locked_whole():
    wanted = setup_value("CORE") + setup_value("EXTRAS")["tpu"]
    tpu = read_pins("requirements-tpu.lock")
    locked = read_pins("requirements.lock") | tpu
    missing = closure(wanted, ("", "tpu")) - locked.keys()
    assert not missing, f"run `make lock`: {sorted(missing)}"
    if metadata.version("jax") != locked["jax"]:
        pytest.skip("another jax than the locked one is installed")
    for asked in map(Requirement, requires("jax")):
        if asked.name == "libtpu" and asked.marker:
            assert asked.specifier.contains(tpu["libtpu"]), f"{asked} of jax"


def test_lock_meets_setup():
    extras = setup_value("EXTRAS")
    locked = [extra for extra in EXTRAS if extra != UNLOCKED_EXTRA]
    wanted = setup_value("CORE") + [r for extra in locked for r in extras[extra]]
    pins = read_pins("requirements.lock")
    for extra in ("parity", "benchmarks"):
        pins |= read_pins(f"requirements-{extra}.lock")
    for requirement in map(Requirement, wanted):
        pin = pins[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(pin), f"{requirement} but {pin} is locked"


def test_locks_do_not_overlap():
    main, nodeps = read_pins("requirements.lock"), read_pins("requirements-nodeps.lock")
    for extra in ("parity", "tpu", "benchmarks"):
        pins = read_pins(f"requirements-{extra}.lock")
        assert not pins.keys() & (main | nodeps).keys()
    assert not nodeps.keys() & main.keys()


def test_checkers_find_faults():
    for bad in ("jax>=0.10", "--extra-index", "jax==0.10 --hash=sha256:0"):
        with pytest.raises(ValueError, match="exact pin"):
            lock_pins(bad)
    assert lock_pins("# note\nml_dtypes==0.6.0\n") == {"ml-dtypes": "0.6.0"}
    assert heavy_names(["torch", "nvidia-cudnn", "jax"]) == ["nvidia-cudnn", "torch"]
    assert {"jaxlib", "numpy"} <= closure(["jax"], ("",))
