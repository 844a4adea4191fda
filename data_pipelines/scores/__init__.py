"""Scores of clips: one file each. The decode pass is score.py's."""
