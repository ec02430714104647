"""HTTP on loopback: connections, threads, and the way from bytes to the service and back."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from mixpanel_fetch.simulator.control import CONTROL_PREFIX, control
from mixpanel_fetch.simulator.delivery import Exchange, deliver
from mixpanel_fetch.simulator.messages import ApiError, Request, parse_body, parse_query
from mixpanel_fetch.simulator.service import EngageService, Reply
from mixpanel_fetch.simulator.stats import Traffic, Visit

MAX_BODY_BYTES = 64 * 1024 * 1024
_JOIN_SECONDS = 5.0


class EngageHTTPServer(ThreadingHTTPServer):
    """Serves an EngageService on 127.0.0.1, one thread a connection.

    `tls` is the server's side of TLS, None for plain HTTP.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self, port: int, service: EngageService, traffic: Traffic, tls: ssl.SSLContext | None
    ) -> None:
        self.service = service
        self.traffic = traffic
        self.stopping = threading.Event()
        self._tls = tls
        self._open: dict[threading.Thread, socket.socket] = {}
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), EngageHandler)
        self.base_url = f"{'https' if tls else 'http'}://127.0.0.1:{self.server_port}"

    def server_bind(self) -> None:
        """Bind without HTTPServer's name lookup, which can take seconds."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "127.0.0.1", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve a new connection in a thread of its own."""
        thread = threading.Thread(
            target=self._serve, args=(request, client_address), name="simulator", daemon=True
        )
        with self._open_lock:
            self._open[thread] = request
        thread.start()

    def close(self) -> None:
        """Break every connection, wait for their threads, and free the port.

        To be called when the accepting loop has ended.
        """
        self.stopping.set()
        with self._open_lock:
            threads = list(self._open)
            for connection in self._open.values():
                # Not SSLSocket.shutdown: it takes TLS away under the thread that reads.
                with contextlib.suppress(OSError):
                    socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in threads:
            thread.join(_JOIN_SECONDS)
        self.server_close()

    def _serve(self, connection: socket.socket, client_address: Any) -> None:
        try:
            self.finish_request(self._secured(connection), client_address)
        except OSError:
            pass  # the client went away, or did not like our certificate
        except Exception:  # noqa: BLE001 - a defect of the simulator: say so, serve on
            self.handle_error(connection, client_address)
        finally:
            with self._open_lock:
                connection = self._open.pop(threading.current_thread())
            connection.close()

    def _secured(self, connection: socket.socket) -> socket.socket:
        if self._tls is None:
            return connection
        with self._open_lock:
            secured = self._tls.wrap_socket(
                connection, server_side=True, do_handshake_on_connect=False
            )
            self._open[threading.current_thread()] = secured
        secured.do_handshake()
        return secured


class EngageHandler(BaseHTTPRequestHandler):
    """The requests of one connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: EngageHTTPServer

    def do_GET(self) -> None:
        """Answer a GET."""
        self._handle()

    def do_POST(self) -> None:
        """Answer a POST."""
        self._handle()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Keep silent: `stats` has it all."""

    def _handle(self) -> None:
        if self.path.startswith(CONTROL_PREFIX):
            self._control()
            return
        visit = self.server.traffic.arrive()
        departure = _Departure(self.server.traffic, self.server.service, visit)
        try:
            self._answer(visit, departure)
        finally:
            departure.leave(visit.status)

    def _control(self) -> None:
        service, traffic = self.server.service, self.server.traffic
        try:
            answer = control(self.command, self.path, self._body(), service, traffic)
        except ApiError as error:
            self.close_connection = True
            answer = error.answer(self.path)
        self._send(Reply(answer), _ignore)

    def _answer(self, visit: Visit, departure: _Departure) -> None:
        try:
            request = self._request(visit)
        except ApiError as error:
            self.close_connection = True  # what is left of the body would read as a request
            self._send(Reply(error.answer(self.path)), departure.leave)
            return
        reply = self.server.service.reply(request, visit)
        self.server.stopping.wait(max(visit.started + reply.latency - time.monotonic(), 0))
        self.server.traffic.gathered(reply.gather, self.server.stopping)
        self._send(reply, departure.leave)

    def _request(self, visit: Visit) -> Request:
        path, _, query = self.path.partition("?")
        headers = {name.lower(): value for name, value in self.headers.items()}
        visit.method, visit.path, visit.query = self.command, path, parse_query(query)
        visit.headers = _redacted(headers)
        visit.form = parse_body(self._body())
        url = self.server.base_url + self.path
        return Request(self.command, path, url, visit.query, visit.form, headers)

    def _body(self) -> bytes:
        if "transfer-encoding" in self.headers:
            raise ApiError(411, "the body needs a Content-Length")
        length = self.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise ApiError(400, "Content-Length is no number")
        if int(length) > MAX_BODY_BYTES:
            raise ApiError(413, "the body is too large")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise ConnectionResetError("the client went away in the middle of its request")
        return body

    def _send(self, reply: Reply, finished: Callable[[int | None], None]) -> None:
        exchange = Exchange(self.connection, self.server.stopping, finished)
        deliver(reply, exchange, keep_alive=not self.close_connection)
        self.close_connection = exchange.must_close


class _Departure:
    """Closes a visit once, whoever comes first: the last byte, or the end of its handling."""

    def __init__(self, traffic: Traffic, service: EngageService, visit: Visit) -> None:
        self._traffic = traffic
        self._service = service
        self._visit = visit
        self._left = False

    def leave(self, status: int | None) -> None:
        """Give back what the visit holds and record it with the status that was sent."""
        if self._left:
            return
        self._left = True
        self._visit.status = status
        if self._visit.running:
            self._service.release(self._visit)
        self._traffic.depart(self._visit)


def _ignore(status: int | None) -> None:
    """Control requests are no traffic."""


def _redacted(headers: dict[str, str]) -> dict[str, str]:
    if "authorization" not in headers:
        return headers
    scheme, _, _ = headers["authorization"].partition(" ")
    return {**headers, "authorization": f"{scheme} ***"}
