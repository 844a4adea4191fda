"""The forms in which videos come, one file each: what each finds is Sources."""
