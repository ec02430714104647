"""How an answer goes over the wire, whole or as a fault of the connection wants it."""

from __future__ import annotations

import http
import socket
import struct
import threading
from collections.abc import Callable, Mapping
from email.utils import formatdate

from mixpanel_fetch.simulator.faults import Fault
from mixpanel_fetch.simulator.messages import Answer
from mixpanel_fetch.simulator.service import Reply

_DRIPS = 20
_LINGER_NOT = struct.pack("ii", 1, 0)


class Exchange:
    """The sending side of one request.

    `finished` is called, once, just before the last byte goes out or the connection is given up:
    a client that has its answer must find itself counted, and no longer in flight. `stopping` is
    set when the simulator stops. `must_close` tells the server what to do afterwards.
    """

    def __init__(
        self,
        connection: socket.socket,
        stopping: threading.Event,
        finished: Callable[[int | None], None],
    ) -> None:
        self._connection = connection
        self._stopping = stopping
        self._finished = finished
        self.must_close = False

    def wait(self, seconds: float | None) -> None:
        """Wait, or until the simulator stops (for ever if `seconds` is None)."""
        self._stopping.wait(seconds)

    def send(self, data: bytes) -> None:
        """Send what is not the end."""
        self._connection.sendall(data)

    def send_last(self, data: bytes, status: int) -> None:
        """Send the end of an answer."""
        view = memoryview(data)
        self._connection.sendall(view[:-1])
        self._finished(status)
        self._connection.sendall(view[-1:])

    def give_up(self, status: int | None, *, reset: bool = False) -> None:
        """Close without an end, by a reset (RST) or in good order (FIN)."""
        self._finished(status)
        if reset:
            self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.must_close = True


def deliver(reply: Reply, exchange: Exchange, *, keep_alive: bool) -> None:
    """Send a reply as its fault wants it."""
    head, body = _head(reply.answer, keep_alive=keep_alive), reply.answer.body
    manner = _MANNERS.get(reply.fault.kind) if reply.fault else None
    if reply.fault and manner:
        manner(head, body, reply.answer.status, reply.fault, exchange)
    else:
        exchange.send_last(head + body, reply.answer.status)
    exchange.must_close |= not keep_alive


def _head(answer: Answer, *, keep_alive: bool) -> bytes:
    try:
        phrase = http.HTTPStatus(answer.status).phrase
    except ValueError:
        phrase = "Unknown"
    headers = {
        "Server": "mixpanel-fetch simulator",
        "Date": formatdate(usegmt=True),
        **answer.headers,
        "Content-Length": str(len(answer.body)),
        "Connection": "keep-alive" if keep_alive else "close",
    }
    lines = [f"HTTP/1.1 {answer.status} {phrase}", *(f"{k}: {v}" for k, v in headers.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _slow(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:
    exchange.wait(1.0 if fault.seconds is None else fault.seconds)
    exchange.send_last(head + body, status)


def _drip(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:
    pause = (1.0 if fault.seconds is None else fault.seconds) / _DRIPS
    step = len(body) // _DRIPS + 1
    drops = [body[start : start + step] for start in range(0, len(body), step)]
    exchange.send(head)
    for drop in drops[:-1]:
        exchange.send(drop)
        exchange.wait(pause)
    exchange.send_last(drops[-1], status)


def _hang(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:  # noqa: ARG001
    exchange.wait(fault.seconds)
    exchange.give_up(None)


def _close(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:  # noqa: ARG001
    exchange.give_up(None)


def _reset(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:  # noqa: ARG001
    exchange.give_up(None, reset=True)


def _reset_midway(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:  # noqa: ARG001
    exchange.send(head + body[: len(body) // 2])
    exchange.give_up(status, reset=True)


def _truncate(head: bytes, body: bytes, status: int, fault: Fault, exchange: Exchange) -> None:  # noqa: ARG001
    exchange.send(head + body[: len(body) // 2])
    exchange.give_up(status)


_MANNERS: Mapping[str, Callable[[bytes, bytes, int, Fault, Exchange], None]] = {
    "slow": _slow,
    "drip": _drip,
    "hang": _hang,
    "close": _close,
    "reset": _reset,
    "reset_midway": _reset_midway,
    "truncate": _truncate,
}
