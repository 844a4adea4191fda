"""The table at the end of a run: what went in, what came out, what was set aside."""

import collections

from data_pipelines.encode import Report

ROWS = {
    "videos": "videos",
    "quarantined": "quarantined",
    "shots": "shots",
    "clips_found": "clips found",
    "train": "clips to train on",
    "validation": "clips to validate on",
    "null_captions": "clips without caption",
}


def funnel(report: Report, out: str) -> str:
    """A few lines of text for people."""
    counts = report.info.counts
    if report.outcome is None:
        return f"already encoded: {counts['clips']} clips in {out}"
    rows = [(ROWS[name], f"{counts[name]}") for name in ROWS]
    codes = collections.Counter(item.code for item in report.outcome.plan.rejected)
    at = 1 + list(ROWS).index("quarantined")
    rows[at:at] = [(f"  {code}", f"{codes[code]}") for code in sorted(codes)]
    rows.append(("megabytes", f"{report.outcome.size / 1e6:.1f}"))
    rows += [(f"seconds, {name}", f"{s:.1f}") for name, s in report.seconds.items()]
    lines = [f"  {label:<24}{value:>10}" for label, value in rows]
    return "\n".join([*lines, f"encoded: {counts['clips']} clips in {out}"])
