"""Writing to a stream that somebody reads at their leisure, or stops reading."""

from __future__ import annotations

import os
import select
import stat
from contextlib import suppress
from typing import BinaryIO

from mixpanel_fetch.errors import StorageError

_GLANCE = 100  # milliseconds between two looks at whether to stop


class Outlet:
    """Takes bytes and waits until they are written, however long the stream makes it wait."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream

    def write(self, data: bytes) -> None:
        """Write all of ``data``. Raises OSError, StorageError when interrupted."""
        left = memoryview(data)
        while left:
            written = self._stream.write(left)  # an unbuffered stream may take a part
            if not written:
                raise BlockingIOError("it is set not to wait for its reader")
            left = left[written:]
        self._stream.flush()

    def interrupt(self) -> None:
        """Make a waiting :meth:`write` end soon. Called from another thread."""

    def close(self) -> None:
        """Let go of what was opened; the stream itself is not closed."""


class PipeOutlet(Outlet):
    """A pipe, whose reader may stall: nothing but :meth:`interrupt` ends that.

    It is opened once more, because whether it blocks is a matter of the opened file, and that is
    shared with other processes.
    """

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__(stream)
        path = f"/proc/self/fd/{stream.fileno()}"
        self._descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        self._room = select.poll()
        self._room.register(self._descriptor, select.POLLOUT)
        self._interrupted = False

    def write(self, data: bytes) -> None:
        """Write all of ``data``. Raises OSError, StorageError when interrupted."""
        self._stream.flush()
        left = memoryview(data)
        while left:
            try:
                left = left[os.write(self._descriptor, left) :]
            except BlockingIOError:
                self._wait_for_room()

    def interrupt(self) -> None:
        """Make a waiting :meth:`write` end soon. Called from another thread."""
        self._interrupted = True

    def close(self) -> None:
        """Close the pipe as it was opened here; it stays open where it was open before."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _wait_for_room(self) -> None:
        while not self._room.poll(_GLANCE):
            if self._interrupted:
                raise StorageError("interrupted while nobody read standard output")


def outlet_of(stream: BinaryIO) -> Outlet:
    """Return the outlet for ``stream``, which need not be a file of the system's."""
    # Without a reader, or without /proc, it cannot be opened again: writing will tell.
    with suppress(OSError):
        if stat.S_ISFIFO(os.fstat(stream.fileno()).st_mode):
            return PipeOutlet(stream)
    return Outlet(stream)
