"""What `add-image` may be told."""

import dataclasses

from data_pipelines.text_settings import check_version
from videogen.image import check_encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """First frames of which dataset's clips, by which image encoder."""

    dataset: str
    image_encoder: str  # with its folder, "clip:/path/of/it"
    version: str = "v1"  # of the new sidecar
    videos: str = ""
    tables: str = ""

    def __post_init__(self):
        check_encoder(self.image_encoder)
        check_version(self.version)
