"""Fingerprints survive copying and tell clips apart."""

import cv2
import numpy as np

from data_pipelines.scores.dhash import DHash

RNG = np.random.default_rng(0)


def bits(score, pictures):
    digits = score(DHash(), pictures)["dhash"]
    return np.unpackbits(np.frombuffer(bytes.fromhex(digits), np.uint8))


def test_fingerprints_survive_copying_and_tell_clips_apart(score, moving):
    clip = moving(3)
    noisy = [
        np.clip(cv2.resize(c, (128, 72)) * 0.9 + RNG.normal(0, 2, (72, 128)), 0, 255)
        for c in clip
    ]
    other = [image[::-1, ::-1] for image in clip]
    original = bits(score, clip)
    assert len(original) == 512
    assert (original != bits(score, noisy)).sum() < 90
    assert (original != bits(score, other)).sum() > 150
