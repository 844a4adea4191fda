"""Images as their encoders were trained to see them: a square, of a given mean and deviation.

clip    all of the image, its aspect lost, by bicubic interpolation without antialiasing
        (Wan-Video/Wan2.1 wan/modules/clip.py, CLIPModel.visual: PyTorch's interpolate)
siglip  all of it too, by Pillow's bicubic filter, rounded to 8 bits (transformers'
        SiglipImageProcessor, by which HunyuanVideo 1.5 sees)
"""

import numpy as np
from PIL import Image

# Of 0 ... 1, for red, green and blue (OpenAI's CLIP, clip/clip.py).
CLIP_MEAN = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
CLIP_STD = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)
SHARPNESS = -0.75  # a of Keys' kernel (1981), as PyTorch has it


def of_clip(image_HWC: np.ndarray, size: int) -> np.ndarray:
    """float32 (size, size, 3) of uint8 pixels of any size."""
    height, width = image_HWC.shape[:2]
    rows, columns = cubic(height, size), cubic(width, size)
    unit = image_HWC.astype(np.float32) / np.float32(255)
    tall = np.tensordot(rows, unit, axes=(1, 0))
    square = np.einsum("pw,owc->opc", columns, tall, optimize=True)
    return (square - CLIP_MEAN) / CLIP_STD


def of_siglip(image_HWC: np.ndarray, size: int) -> np.ndarray:
    """float32 (size, size, 3) in [-1, 1] of uint8 pixels of any size."""
    image = Image.fromarray(image_HWC)
    square = image.resize((size, size), Image.Resampling.BICUBIC)
    return np.asarray(square, np.float32) / np.float32(127.5) - 1


def cubic(before: int, after: int) -> np.ndarray:
    """The matrix (after, before) that interpolates a line; its ends go on as they are.

    Keys, Cubic convolution interpolation for digital image processing, 1981, equation 15.
    """
    centre = (np.arange(after) + 0.5) * before / after - 0.5
    first = np.floor(centre).astype(int)
    matrix = np.zeros((after, before))
    for place in (first + step for step in range(-1, 3)):
        d, a = np.abs(centre - place), SHARPNESS
        near = ((a + 2) * d - (a + 3)) * d**2 + 1
        far = a * (((d - 5) * d + 8) * d - 4)
        at = np.clip(place, 0, before - 1)
        np.add.at(matrix, (np.arange(after), at), np.where(d <= 1, near, far))
    return matrix.astype(np.float32)
