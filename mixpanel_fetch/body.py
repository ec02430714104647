"""An answer's body, read within a bound: as it comes over the wire, and as it unfolds."""

from __future__ import annotations

import http.client
import zlib
from collections.abc import Iterable, Iterator

from urllib3 import BaseHTTPResponse
from urllib3.exceptions import DecodeError

from mixpanel_fetch.sizes import MIB

ENCODINGS = "gzip"
"""What may be asked for: the ``Accept-Encoding`` of a request whose answer is read here."""

_PIECE = MIB  # bytes read at once of a body that does not say how long it is
_GZIP = 16 + zlib.MAX_WBITS
_MOST_MEMBERS = 16  # of a gzip body; servers write one, and each one copies what is left


class StrictResponse(http.client.HTTPResponse):
    """Takes no negative chunk: http.client would read up to the end, however much that is."""

    def _read_next_chunk_size(self) -> int:
        size: int = super()._read_next_chunk_size()  # type: ignore[misc]
        if size < 0:
            raise ValueError("a chunk cannot be negative")
        return size


def read_body(raw: BaseHTTPResponse, most: int) -> bytes:
    """Return the decoded body, or ``most + 1`` bytes of it where it is longer than ``most``.

    Neither what comes nor what it unfolds to is ever more in memory. Raises urllib3's HTTPError
    for a body that breaks off, is encoded in another way than was asked for, or not at all in
    the way it says.
    """
    encoding = raw.headers.get("Content-Encoding", "identity").strip().lower()
    if encoding in {"", "identity"}:
        return _joined(list(_pieces(raw, most)))
    if encoding in {"gzip", "x-gzip"}:
        return _joined(_inflated(_pieces(raw, most), most))
    raise DecodeError("encoded in a way that was not asked for")


def _joined(pieces: list[bytes]) -> bytes:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _pieces(raw: BaseHTTPResponse, most: int) -> Iterator[bytes]:
    """Yield the body as it comes, ``most + 1`` bytes at the most; in one piece if its length is
    known.
    """
    left = most + 1
    usual = raw.length_remaining or _PIECE
    while left > 0:
        piece = raw.read(min(left, usual), decode_content=False)
        if not piece:
            return
        left -= len(piece)
        yield piece


def _inflated(pieces: Iterable[bytes], most: int) -> list[bytes]:
    """Return what a gzip body unfolds to, ``most + 1`` bytes at the most.

    What follows the last member and is none itself is padding. Raises DecodeError.
    """
    inflater = _Inflater(most + 1)
    for piece in pieces:
        inflater.feed(piece)
        if inflater.left == 0:
            return inflater.pieces
    inflater.finish()
    return inflater.pieces


class _Inflater:
    """Unfolds gzip members, ``left`` bytes and no more. Raises DecodeError."""

    def __init__(self, left: int) -> None:
        self.left = left
        self.pieces: list[bytes] = []
        self._members = 0
        self._decoder: zlib._Decompress | None = None

    def feed(self, piece: bytes) -> None:
        """Take in the next piece of the body."""
        while piece and self.left > 0:
            if self._decoder is None:
                if self._members and piece[:1] != b"\x1f":
                    return
                self._begin()
            assert self._decoder is not None
            piece = self._unfold(self._decoder, piece)

    def finish(self) -> None:
        """Check that the body did not end within a member."""
        if self._decoder is not None:
            raise DecodeError("its compressed body breaks off")

    def _begin(self) -> None:
        self._members += 1
        if self._members > _MOST_MEMBERS:
            raise DecodeError("its compressed body is in too many parts")
        self._decoder = zlib.decompressobj(_GZIP)

    def _unfold(self, decoder: zlib._Decompress, piece: bytes) -> bytes:
        """Return what of ``piece`` is not of this member."""
        try:
            unfolded = decoder.decompress(piece, self.left)
        except zlib.error:
            raise DecodeError("its compressed body is broken") from None
        self.left -= len(unfolded)
        self.pieces.append(unfolded)
        if not decoder.eof:
            return b""  # all of it is used up, or nothing is left of the bound
        self._decoder = None
        return decoder.unused_data
