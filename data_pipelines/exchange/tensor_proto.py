"""What tf.io.serialize_tensor writes, read without TensorFlow.

Of TensorProto (tensorflow/core/framework/tensor.proto): 1 dtype, 2 shape, 4 tensor_content, the
bytes of the numbers in C order, little endian. Of the shape: 2 dim, each 1 size.
"""

import numpy as np

from data_pipelines.exchange.record import Tensor, view
from data_pipelines.quarantine import Reject
from videogen.data import wire

_DTYPES = {
    **{1: "float32", 2: "float64", 14: "bfloat16", 19: "float16"},
    **{3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool"},
}


def parse_tensor(data: memoryview) -> Tensor:
    """Views of the bytes. Reject(BAD_TENSOR) for what is no such message."""
    try:
        fields = {number: value for number, _, value in wire.fields(data)}
        shape = _shape(fields.get(2, memoryview(b"")))
    except ValueError as error:
        raise Reject("BAD_TENSOR", f"not of serialize_tensor: {error}") from error
    dtype = _DTYPES.get(fields.get(1), f"TensorFlow's type {fields.get(1)}")  # type: ignore[arg-type]
    content = fields.get(4, memoryview(b""))

    def load() -> np.ndarray:
        if isinstance(content, int):
            raise Reject("BAD_TENSOR", "a number where the tensor's bytes should be")
        return view(content, dtype, shape)

    return Tensor(shape=shape, load=load)


def _shape(data: int | memoryview) -> tuple[int, ...]:
    if isinstance(data, int):
        raise ValueError("its shape is a number")
    sizes = []
    for number, _, dim in wire.fields(data):
        if number == 2 and isinstance(dim, memoryview):
            parts = {n: value for n, _, value in wire.fields(dim)}
            sizes.append(parts.get(1, 0))  # zeros are not written
    if not all(isinstance(size, int) and size < 1 << 40 for size in sizes):
        raise ValueError("its shape is not of whole numbers")
    return tuple(sizes)
