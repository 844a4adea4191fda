"""Phase 2: where each video cuts, and the spans of time that clips are cut from.

One row a clip. The whole video is decoded: what is damaged anywhere is set aside here.
"""

import functools

from data_pipelines.cut import Cutter, watch_source
from data_pipelines.job import Job
from data_pipelines.tables import Result
from data_pipelines.units import run_units

COLUMNS = {
    "id": str,
    "source_id": str,
    "start_s": float,  # from the source's first frame
    "end_s": float,  # of the last frame
    "seconds": float,  # end_s - start_s: an image has 0
    "first_frame": int,
    "last_frame": int,  # inclusive
    "part": int,  # of a sheet's parts of the video, the clip's own; null: all was wanted
    "height": int,  # as displayed
    "width": int,
    "fps": float,  # of the source, on average; null for an image
    "bits_per_pixel": float,  # of the source, without its sound
}


def run(job: Job) -> Result:
    """Cuts every source."""
    sources = job.tables.read("ingest")
    watch = functools.partial(watch_source, settings=job.settings)
    cut = functools.partial(Cutter, job.settings)
    answers = run_units(sources, watch, job.parts, job.engine, cut)
    rows, rejected, shots = [], [], 0
    for source, answer in zip(sources, answers, strict=True):
        if "code" in answer:
            rejected.append(job.rejected(source, answer))
        else:
            (found,) = answer["rows"]
            shots += found["shots"]
            rows += found["clips"]
    return Result(
        columns=COLUMNS,
        rows=rows,
        rejected=rejected,
        given=len(sources),
        facts={"shots": shots},
    )
