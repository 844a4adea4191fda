"""Packaging: the only source of the version, the dependencies and the extras."""

from pathlib import Path

from setuptools import find_packages, setup

CORE = [
    "absl-py>=2.1",
    "array_record>=0.8.1",
    "av>=18,<20",
    "etils[epath]>=1.9",
    "flax>=0.12.8,<0.13",
    "grain>=0.2.18,<0.3",
    "jax>=0.10.2",
    "jaxtyping>=0.3",
    "ml_collections>=1.1",
    "ml_dtypes>=0.5",
    "numpy>=2.0",
    "optax>=0.2.8",
    "orbax-checkpoint>=0.12.8,<0.13",
    "pillow>=11",
    "protobuf>=5.28,<7",
    "qwix>=0.1.8,<0.2",
    "safetensors>=0.6",
    "tensorboardX>=2.6.4",
    "tokenizers>=0.22",
]
EXTRAS = {
    "tpu": ["jax[tpu]>=0.10.2"],
    "cuda": ["jax[cuda12]>=0.10.2"],
    "pipelines": [
        "apache-beam>=2.70,<3",
        "importlib_resources>=6",  # tensorflow-datasets needs it and does not say so
        "opencv-python-headless>=4.10",
        "pyarrow>=20",
        "scenedetect-headless>=0.7.2",
        "tensorflow-datasets>=4.9.10",
    ],
    "ocr": ["onnxruntime>=1.20", "rapidocr>=3.10,<4"],  # score --text-area; not locked
    "eval": ["jinja2>=3.1", "matplotlib>=3.10"],
    "parity": [
        "torch==2.13.0",
        "transformers>=5,<6",
        "diffusers>=0.40",
        "accelerate>=1",  # diffusers asks for it to load some models
    ],
    "benchmarks": ["tokamax==0.0.12"],
    "dev": [
        "beartype>=0.22",
        "hypothesis>=6.140",
        "pyright[nodejs]==1.1.414",
        "pytest>=9",
        "pytest-timeout>=2.4",
        "pytest-xdist>=3.8",
        "ruff==0.17.6",
    ],
}

setup(
    name="videogen",
    version="0.1.0",
    description="Pre-train video diffusion transformers on TPU pods, in JAX",
    long_description=Path(__file__).with_name("README.md").read_text(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.11",
    packages=find_packages(include=["videogen*", "data_pipelines*", "launch*"]),
    package_data={
        "data_pipelines": ["captions/*.json"],
        "videogen": ["**/*.jinja", "**/*.json"],
    },
    install_requires=CORE,
    extras_require=EXTRAS,
    entry_points={"console_scripts": ["videogen = videogen.cli:main"]},
)
