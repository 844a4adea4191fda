"""Messages between two processes. Arrays go beside their pickle, without a copy of ours."""

import pickle
import socket
import struct
from typing import Any

import numpy as np

_SIZE = struct.Struct("!Q")


class Pipe:
    """One end. A sender waits until its message is taken, but for what the system holds."""

    def __init__(self, end: socket.socket):
        self._end = end

    @classmethod
    def of(cls, descriptor: int) -> "Pipe":
        """The end that another process opened."""
        return cls(socket.socket(fileno=descriptor))

    @classmethod
    def pair(cls) -> "tuple[Pipe, Pipe]":
        ours, theirs = socket.socketpair()
        return cls(ours), cls(theirs)

    def fileno(self) -> int:
        return self._end.fileno()

    def close(self) -> None:
        self._end.close()

    def send(self, message: Any) -> None:
        """OSError when nobody is there."""
        arrays: list[pickle.PickleBuffer] = []
        content = pickle.dumps(message, protocol=5, buffer_callback=arrays.append)
        parts = [memoryview(content), *(array.raw() for array in arrays)]
        sizes = b"".join(_SIZE.pack(part.nbytes) for part in parts)
        self._end.sendall(_SIZE.pack(len(parts)) + sizes)
        for part in parts:
            self._end.sendall(part)

    def recv(self) -> Any:
        """The next message. EOFError or OSError when there is none to come."""
        (count,) = _SIZE.unpack(self._bytes(_SIZE.size))
        sizes = [size for (size,) in _SIZE.iter_unpack(self._bytes(count * _SIZE.size))]
        content, *arrays = map(self._bytes, sizes)
        return pickle.loads(content, buffers=arrays)

    def _bytes(self, size: int) -> memoryview:
        content = np.empty(size, np.uint8).data  # unlike a bytearray, not zeroed first
        rest = content
        while rest:
            count = self._end.recv_into(rest, 0, socket.MSG_WAITALL)
            if not count:
                raise EOFError
            rest = rest[count:]
        return content
