"""Proxies from the usual environment variables, through a real forwarding proxy on loopback."""

from __future__ import annotations

import http.client
import select
import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import gevent.pool
import pytest

from mixpanel_fetch.errors import TransportError
from mixpanel_fetch.transport import Transport

PATH = "/api/query/engage"


class Forwarder(BaseHTTPRequestHandler):
    """Forwards plain requests whole, and CONNECT as a tunnel."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.server.seen.append(self.path)
        body = self.rfile.read(int(self.headers["Content-Length"]))
        parts = urlsplit(self.path)
        upstream = http.client.HTTPConnection(parts.hostname, parts.port, timeout=5)
        upstream.request("POST", f"{parts.path}?{parts.query}", body, dict(self.headers))
        answer = upstream.getresponse()
        content = answer.read()
        upstream.close()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        if answer.headers["Content-Encoding"]:
            self.send_header("Content-Encoding", answer.headers["Content-Encoding"])
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def do_CONNECT(self):
        self.server.seen.append(self.path)
        host, _, port = self.path.partition(":")
        with socket.create_connection((host, int(port)), timeout=5) as upstream:
            self.send_response(200)
            self.end_headers()
            pairs = {self.connection: upstream, upstream: self.connection}
            while True:
                readable, _, _ = select.select(list(pairs), [], [], 5)
                chunks = [(pairs[sock], sock.recv(65_536)) for sock in readable]
                for target, chunk in chunks:
                    target.sendall(chunk)
                if not readable or not all(chunk for _, chunk in chunks):
                    self.close_connection = True
                    return

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def proxy():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Forwarder)
    server.daemon_threads = True
    server.seen = []
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url_of(server):
    return f"http://127.0.0.1:{server.server_address[1]}"


def fetch(simulator, count=10):
    with Transport(connect_timeout=2, read_timeout=5, verify=simulator.ca_bundle) as transport:

        def post(_):
            return transport.post(
                simulator.base_url + PATH,
                params={"project_id": "12345"},
                form={"page": "0"},
                auth=("demo", "demo-secret"),
            ).status

        return list(gevent.pool.Pool(5).imap_unordered(post, range(count)))


def test_http_goes_through_the_proxy_and_overlaps(engage_simulator, monkeypatch, proxy):
    simulator = engage_simulator(profiles=10, latency=0.75)
    monkeypatch.setenv("HTTP_PROXY", url_of(proxy))
    assert fetch(simulator) == [200] * 10
    assert len(proxy.seen) == 10
    assert simulator.stats.max_in_flight == 5


def test_https_goes_through_a_tunnel_and_overlaps(engage_simulator, monkeypatch, proxy):
    simulator = engage_simulator(profiles=10, latency=0.75, tls=True)
    monkeypatch.setenv("HTTPS_PROXY", url_of(proxy))
    assert fetch(simulator) == [200] * 10
    assert 1 <= len(proxy.seen) <= 5  # tunnels are kept and used again
    assert simulator.stats.max_in_flight == 5


def test_no_proxy_is_heeded(engage_simulator, monkeypatch, proxy):
    simulator = engage_simulator(profiles=10)
    monkeypatch.setenv("HTTP_PROXY", url_of(proxy))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    assert fetch(simulator, 1) == [200]
    assert proxy.seen == []


def test_a_dead_proxy_is_named_without_its_password(engage_simulator, monkeypatch):
    simulator = engage_simulator(profiles=10)
    monkeypatch.setenv("HTTP_PROXY", "http://user:hunter2@127.0.0.1:9")
    with pytest.raises(TransportError, match="proxy") as caught:
        fetch(simulator, 1)
    assert "hunter2" not in str(caught.value)
