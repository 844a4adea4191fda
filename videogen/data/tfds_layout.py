"""What TFDS wants beside a bucket's shards, so that it opens them as they are.

    <bucket>/{dataset_info,features}.json               of the latents
    <bucket>/<sidecar>/{dataset_info,features}.json     of captions-v1, text-v1, ...

`tfds.builder_from_directory(<either directory>).as_data_source("train")` then reads records
of schema.py, without TensorFlow. Splits without records are left out. We read none of it.
"""

import json
import posixpath
from collections.abc import Mapping
from typing import Any

from videogen.data.schema import Manifest, ShardInfo

VERSION = "1.0.0"  # of the records' fields
INFO, FEATURES = "dataset_info.json", "features.json"
_CORE = "tensorflow_datasets.core.features"
_TEXT = {"pythonClassName": f"{_CORE}.text_feature.Text", "text": {}}
_BY_KIND = {
    "captions": ("caption", "is_null"),
    "text": ("text", "text/shape"),
    "audio": ("audio", "audio/shape", "heard"),
    "image": ("image", "image/shape"),
}


def describe(manifest: Manifest) -> dict[str, str]:
    """{file, relative to the bucket's directory: JSON}: equal manifests, equal bytes."""
    latents = {name: split.latents for name, split in manifest.splits.items()}
    found = _files("", "latents", latents, _latent_features(manifest))
    for kind in sorted({k for s in manifest.splits.values() for k in s.sidecars}):
        shards = {n: s.sidecars.get(kind, ()) for n, s in manifest.splits.items()}
        found |= _files(kind, kind, shards, _sidecar_features(kind.partition("-")[0]))
    return found


def _files(
    directory: str,
    name: str,
    splits: Mapping[str, tuple[ShardInfo, ...]],
    features: Mapping[str, Any],
) -> dict[str, str]:
    """The two files of one set of shards, which lie in the bucket's directory."""
    place = "../" if directory else ""
    info = {
        "fileFormat": "array_record",
        "name": name.replace("-", "_"),
        "splits": [
            {
                "filepathTemplate": f"{place}{name}-{{SPLIT}}.{{FILEFORMAT}}-{{SHARD_X_OF_Y}}",
                "name": split,
                "numBytes": str(sum(shard.size for shard in shards)),
                "shardLengths": [str(shard.records) for shard in shards],
            }
            for split, shards in sorted(splits.items())
            if shards
        ],
        "version": VERSION,
    }
    content = {
        "featuresDict": {"features": features},
        "pythonClassName": f"{_CORE}.features_dict.FeaturesDict",
    }
    return {
        posixpath.join(directory, file): json.dumps(data, indent=2, sort_keys=True)
        + "\n"
        for file, data in ((INFO, info), (FEATURES, content))
    }


def _latent_features(manifest: Manifest) -> dict[str, Any]:
    whole = ("num_frames", "height", "width", "label")
    arrays = ("latent", "logvar") if manifest.logvar else ("latent",)
    latent = _tensor("bfloat16", "bytes", *manifest.latent_shape)
    return {
        "id": _TEXT,
        "source_id": _TEXT,
        **dict.fromkeys(arrays, latent),
        **dict.fromkeys(("fps", "start_s"), _scalar("float32")),
        **dict.fromkeys(whole, _scalar("int64")),
    }


def _sidecar_features(kind: str) -> dict[str, Any]:
    """Those that every version of a kind has."""
    arrays = ("text", "audio", "image")
    kinds = {
        "caption": _TEXT,
        **dict.fromkeys(arrays, _tensor("bfloat16", "bytes", -1)),
        **{f"{name}/shape": _tensor("int64", "none", 2) for name in arrays},
        **dict.fromkeys(("is_null", "heard"), _scalar("int64")),
    }
    return {"id": _TEXT, **{name: kinds[name] for name in _BY_KIND[kind]}}


def _scalar(dtype: str) -> dict[str, Any]:
    tensor = {"dtype": dtype, "encoding": "none", "shape": {}}
    return {"pythonClassName": f"{_CORE}.scalar.Scalar", "tensor": tensor}


def _tensor(dtype: str, encoding: str, *shape: int) -> dict[str, Any]:
    """-1: of any size."""
    sizes = {"dimensions": [str(size) for size in shape]}
    tensor = {"dtype": dtype, "encoding": encoding, "shape": sizes}
    return {"pythonClassName": f"{_CORE}.tensor_feature.Tensor", "tensor": tensor}
