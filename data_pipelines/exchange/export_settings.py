"""What `export` may be told."""

import dataclasses

from data_pipelines.settings import check_known

FORMATS = ("fastvideo", "safetensors")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSettings:
    """Which dataset, into which files."""

    source: str
    format: str
    text_version: str = "v1"

    def __post_init__(self):
        check_known("format", self.format, FORMATS)
