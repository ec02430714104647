"""What a hostile server, or a hostile argument, may come up with: one clear line, and no more."""

from __future__ import annotations

import base64
import gzip
import json
import re
import socket
import threading
import tracemalloc
from urllib.parse import parse_qsl

import duckdb
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from mixpanel_fetch.answers import error_of
from mixpanel_fetch.client import ClientSettings
from mixpanel_fetch.decode import decode_document, decode_page
from mixpanel_fetch.errors import ConfigError, MixpanelFetchError, ServerError, TransportError
from mixpanel_fetch.mend import mend
from mixpanel_fetch.model import Credentials
from mixpanel_fetch.simulator import Fault
from mixpanel_fetch.sizes import MIB, bytes_of, in_words
from mixpanel_fetch.transport import Transport

PATH = "/api/query/engage"
AUTH = ("demo", "demo-secret")
BASIC = base64.b64encode(b"demo:demo-secret")
unhurried = settings(max_examples=60, deadline=None, database=None)


class Wire:
    """A server that reads a request and sends whatever it was told to, byte for byte."""

    def __init__(self, answer=b""):
        self.answer = answer
        self.connections = 0
        self.received = bytearray()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self.connections += 1
            with connection:
                connection.settimeout(0.5)
                try:
                    self._talk(connection)
                except OSError:
                    continue

    def _talk(self, connection):
        heard = b""
        while not re.search(rb"\r\n\r\n.*page=", heard, re.DOTALL):
            piece = connection.recv(65_536)
            heard += piece
            self.received += piece
            if not piece:
                return
        connection.sendall(self.answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass

    def close(self):
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join(5)


@pytest.fixture
def wire():
    server = Wire()
    yield server
    server.close()


@pytest.fixture
def transport():
    with Transport(connect_timeout=5, read_timeout=5, max_body_bytes=MIB) as one:
        yield one


def post(transport, url, form=None):
    form = form or {"page": "0"}
    return transport.post(url + PATH, params={"project_id": "12345"}, form=form, auth=AUTH)


def in_thread(function):
    outcome = []
    thread = threading.Thread(target=lambda: outcome.append(function()))
    thread.start()
    thread.join()
    return outcome[0]


def refused(function):
    """Return the error of ours that ``function`` raises."""
    with pytest.raises(MixpanelFetchError) as caught:
        function()
    assert str(caught.value).isprintable()
    assert caught.value.__context__ is None
    return caught.value


# Bodies larger than they may be

OK = b"HTTP/1.1 200 OK\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
TOO_LARGE = "larger than 1 MiB; raise --max-page-bytes or ask for fewer rows with --page-size"


def chunks(body, size=10_000):
    pieces = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""])


BLANKS = b" " * (MIB + 1)
LARGER = {
    "declared": OK + b"Content-Length: 1048577\r\n\r\n" + BLANKS,
    "declared beyond every number": OK + b"Content-Length: %b\r\n\r\n{}" % (b"9" * 300),
    "chunked": CHUNKED + chunks(BLANKS),
    "up to the end": OK + b"\r\n" + BLANKS,
    "bomb": GZIP + b"\r\n" + gzip.compress(BLANKS),
    "chunked bomb": GZIP + CHUNKED[len(OK) :] + chunks(gzip.compress(BLANKS), 100),
    "bomb in two parts": GZIP + b"\r\n" + gzip.compress(BLANKS[:MIB]) + gzip.compress(b" "),
}


@pytest.mark.parametrize("call", [lambda function: function(), in_thread])
@pytest.mark.parametrize("kind", LARGER)
def test_a_larger_body_is_refused_and_not_asked_for_again(wire, transport, kind, call):
    wire.answer = LARGER[kind]
    error = call(lambda: refused(lambda: post(transport, wire.url)))
    assert isinstance(error, ServerError)
    assert TOO_LARGE in str(error)
    assert not error.transient


FITTING = b" " * MIB


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 1048576\r\n\r\n" + FITTING,
        OK + b"\r\n" + FITTING,
        CHUNKED + chunks(FITTING),
        GZIP + b"\r\n" + gzip.compress(FITTING, mtime=0),
        GZIP + CHUNKED[len(OK) :] + chunks(gzip.compress(FITTING, mtime=0), 7),
        GZIP + b"\r\n" + gzip.compress(FITTING[:5], mtime=0) + gzip.compress(FITTING[5:], mtime=0),
        GZIP + b"\r\n" + gzip.compress(FITTING, mtime=0) + b"\0" * 20,
    ],
)
def test_a_body_that_just_fits_comes_whole(wire, transport, answer):
    wire.answer = answer
    assert post(transport, wire.url).body == FITTING


def test_what_was_not_read_is_not_left_on_a_connection(engage_simulator, transport):
    simulator = engage_simulator(faults=[Fault(0, "big", size=2 * MIB), Fault(0, "401")])
    refused(lambda: post(transport, simulator.base_url))
    assert open_connections(transport) == 0
    assert post(transport, simulator.base_url).status == 401
    assert open_connections(transport) == 1


def open_connections(transport):
    manager = transport._cooperative.get_adapter("http://").poolmanager
    pools = [manager.pools[key] for key in manager.pools.keys()]  # noqa: SIM118
    idle = [one for pool in pools for one in pool.pool.queue if one is not None]
    return sum(not one.is_closed for one in idle)


@pytest.mark.parametrize("start", [GZIP + b"\r\n", GZIP + CHUNKED[len(OK) :]])
def test_a_bomb_takes_no_more_memory_than_it_may(wire, transport, start):
    bomb = gzip.compress(bytes(100 * MIB))
    wire.answer = start + (chunks(bomb) if b"chunked" in start else bomb)
    tracemalloc.start()
    try:
        error = refused(lambda: post(transport, wire.url))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert TOO_LARGE in str(error)
    assert peak < 4 * MIB


def test_of_an_error_the_beginning_is_enough(wire, transport):
    wire.answer = b"HTTP/1.1 401 No\r\n\r\n" + b"x" * (3 * MIB)
    assert len(post(transport, wire.url).body) == 64 * 1024
    wire.answer = b"HTTP/1.1 500 No\r\nContent-Encoding: gzip\r\n\r\n" + gzip.compress(BLANKS)
    assert len(post(transport, wire.url).body) == 64 * 1024


def test_the_body_of_a_redirect_is_not_read_to_its_end(wire, transport):
    wire.answer = b"HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n" + b"x" * (3 * MIB)
    answer = post(transport, wire.url)
    assert (answer.status, len(answer.body)) == (302, 64 * 1024)


def test_a_bound_that_no_memory_has_is_no_bound(engage_simulator):
    simulator = engage_simulator(gzip=True)
    with Transport(connect_timeout=2, read_timeout=2, max_body_bytes=10**400) as transport:
        assert post(transport, simulator.base_url, {"page": "0"}).body.startswith(b"{")


def test_the_bound_is_a_setting():
    account = Credentials(api_secret="x")
    with pytest.raises(ConfigError, match="max_page_bytes must be at least 1"):
        ClientSettings(account, max_page_bytes=0)
    assert ClientSettings(account).max_page_bytes == 256 * MIB


@pytest.mark.parametrize("kind", ["big", "bomb"])
def test_mp_says_how_to_get_the_page(engage_simulator, environment_of, mp, tmp_path, kind):
    simulator = engage_simulator(faults=[Fault(0, kind, times=None, size=2 * MIB)])
    environment_of(simulator)
    done = mp(
        *("fetch", "profiles", "--to", f"duckdb:///{tmp_path}/r.duckdb"),
        *("--max-page-bytes", "1MiB", "--format", "text"),
    )
    assert (done.code, done.err) == (1, f"mp: Mixpanel's answer is {TOO_LARGE}\n")
    assert len(simulator.stats.requests) == 1


# Answers that are hardly HTTP

BROKEN = {
    "nothing": b"",
    "noise": b"\0\1\2\xff\n\n",
    "no status": b"HTTP/1.1 -1 x\r\n\r\n",
    "two lengths": OK + b"Content-Length: 2\r\nContent-Length: 5\r\n\r\n{}",
    "a length too long": OK + b"Content-Length: 20\r\n\r\n{}",
    "headers without end": OK + b"A: b\r\n" * 200 + b"\r\n",
    "a header without end": OK + b"A: " + b"b" * 100_000 + b"\r\n\r\n",
    "a negative chunk": CHUNKED + b"-5\r\nxxxxx",
    "a chunk up to the end": CHUNKED + b"-1\r\n" + b"x" * 5_000_000,
    "a chunk beyond all memory": CHUNKED + b"f" * 16 + b"\r\nxxxxx",
    "a chunk of no size": CHUNKED + b"zz\r\n{}\r\n",
    "a trailer without end": CHUNKED + b"2\r\n{}\r\n0\r\na: " + b"b" * 100_000 + b"\r\n\r\n",
    "another encoding": OK + b"Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}",
    "two encodings": OK + b"Content-Encoding: gzip, gzip\r\nContent-Length: 2\r\n\r\n{}",
    "encodings without end": OK + b"Content-Encoding: %b\r\n\r\n{}" % b",".join([b"gzip"] * 99),
    "no gzip": GZIP + b"\r\n{}",
    "gzip cut short": GZIP + b"\r\n" + gzip.compress(b"{}")[:-4],
    "gzip of another sum": GZIP + b"\r\n" + gzip.compress(b"{}")[:-8] + b"12345678",
    "gzip in parts without end": GZIP + b"\r\n" + gzip.compress(b"") * 30_000,
}


@pytest.mark.parametrize("kind", BROKEN)
def test_an_answer_that_is_hardly_http_is_a_transport_error(wire, transport, kind):
    wire.answer = BROKEN[kind]
    error = refused(lambda: post(transport, wire.url))
    assert isinstance(error, TransportError)
    assert error.transient


@pytest.mark.parametrize(
    "location", [b"http://[x/", b"\xff\xfe://", b"//\0", b"file:///etc/passwd", b"http://h:x/"]
)
def test_a_redirect_to_nowhere_is_still_an_answer(wire, transport, location):
    wire.answer = b"HTTP/1.1 302 F\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location
    error = error_of(post(transport, wire.url))
    assert "is not followed with credentials" in str(error)
    assert str(error).isprintable()


@settings(max_examples=40, deadline=None, database=None)
@given(st.binary(max_size=80), st.sampled_from([b"", OK, GZIP, CHUNKED, GZIP + b"\r\n"]))
def test_no_bytes_raise_anything_but_an_error_of_ours(wire_of_all, noise, start):
    server, transport = wire_of_all
    server.answer = start + noise
    try:
        error_of(post(transport, server.url))
    except MixpanelFetchError as error:
        assert str(error).isprintable()  # noqa: PT017


@pytest.fixture(scope="module")
def wire_of_all():
    server = Wire()
    with Transport(connect_timeout=2, read_timeout=2) as transport:
        yield server, transport
    server.close()


# Credentials stay where they belong


def test_no_redirect_carries_credentials_to_another_host(
    engage_simulator, environment_of, mp, wire, tmp_path
):
    wire.answer = OK + b"\r\n"
    simulator = engage_simulator(
        faults=[Fault(None, "redirect", times=None, location=wire.url + PATH)]
    )
    environment_of(simulator)
    done = mp("fetch", "profiles", "--to", f"jsonl:///{tmp_path}/r.jsonl", "--format", "text")
    assert done.code == 1
    assert f"redirects to 127.0.0.1:{wire.port}, which is not followed" in done.err
    assert len(done.err.splitlines()) == 1
    assert (wire.connections, bytes(wire.received)) == (0, b"")
    assert len(simulator.stats.requests) == 1


@pytest.mark.parametrize("call", [lambda function: function(), in_thread])
def test_a_server_without_tls_hears_nothing_of_the_request(wire, transport, call):
    wire.answer = b"HTTP/1.1 200 OK\r\n\r\n{}"
    error = call(lambda: refused(lambda: post(transport, wire.url.replace("http:", "https:"))))
    assert isinstance(error, TransportError)
    assert BASIC not in wire.received
    assert b"POST" not in wire.received


@pytest.mark.parametrize("call", [lambda function: function(), in_thread])
@pytest.mark.parametrize("why", ["unknown authority", "another name"])
def test_a_certificate_that_is_not_trusted_ends_it(engage_simulator, why, call):
    simulator = engage_simulator(tls=True)
    bundle = simulator.ca_bundle if why == "another name" else None
    # Another spelling of the same address, which the certificate does not name.
    url = simulator.base_url.replace("127.0.0.1", "127.0.0.1" if bundle is None else "127.1")
    with Transport(connect_timeout=2, read_timeout=2, verify=bundle) as one:
        error = call(lambda: refused(lambda: post(one, url)))
    assert isinstance(error, TransportError)
    assert simulator.stats.requests == ()


@pytest.mark.parametrize("call", [lambda function: function(), in_thread])
def test_an_older_tls_is_not_fallen_back_to(wire, call):
    with Transport(connect_timeout=2, read_timeout=0.2) as one:
        call(lambda: refused(lambda: post(one, wire.url.replace("http:", "https:"))))
    hello = bytes(wire.received)
    (versions,) = re.findall(rb"\x00\x2b\x00(?:\x05\x04|\x03\x02)(....|..)", hello, re.DOTALL)[:1]
    assert b"\x03\x04" in versions
    assert b"\x03\x01" not in versions
    assert b"\x03\x02" not in versions
    assert wire.connections == 1


# Arguments and headers


@pytest.mark.parametrize(
    "url",
    [
        "http://a b/",
        "http://*/",
        "http://[::1/",
        "http://127.0.0.1:99999",
        "http://127.0.0.1:x",
        "http://" + "a" * 300,
        "http://a..b",
        "http://h\0st",
        "ftp://127.0.0.1",
        "",
    ],
)
def test_an_address_that_is_none_is_a_setting_that_is_wrong(transport, capfd, url):
    error = refused(lambda: post(transport, url))
    # Older urllib3 looks up whatever it is given.
    assert isinstance(error, ConfigError) or "cannot find the host" in str(error)
    assert capfd.readouterr().err == ""


EVIL = "x\r\nX-Evil: 1\r\n\r\nPOST / HTTP/1.1"


def test_where_is_form_data_and_nothing_else(wire, transport):
    wire.answer = OK + b"Content-Length: 0\r\n\r\n"
    post(transport, wire.url, {"where": EVIL, "session_id": EVIL, "page": "0"})
    head, _, body = bytes(wire.received).partition(b"\r\n\r\n")
    assert b"evil" not in head.lower()
    assert head.count(b"HTTP/1.1") == 1
    assert b"\n" not in body
    assert dict(parse_qsl(body.decode()))["where"] == EVIL


@unhurried
@given(st.text(max_size=30))
@example(EVIL)
@example("\ud800")
def test_any_where_arrives_as_it_is_or_is_refused(simulator_and_transport, where):
    simulator, transport = simulator_and_transport
    simulator.reset_stats()
    try:
        post(transport, simulator.base_url, {"where": where, "page": "0"})
    except ConfigError:
        assert any("\ud800" <= character <= "\udfff" for character in where)
    else:
        (request,) = simulator.stats.requests
        assert request.form["where"] == where


@pytest.fixture(scope="module")
def simulator_and_transport():
    from mixpanel_fetch.simulator import EngageSimulator

    with (
        EngageSimulator(profiles=1) as simulator,
        Transport(connect_timeout=2, read_timeout=2) as transport,
    ):
        yield simulator, transport


@pytest.mark.parametrize("name", [EVIL, "日本", "é:é", "\0", "x" * 5_000])
def test_any_user_name_is_encoded(wire, transport, name):
    wire.answer = OK + b"Content-Length: 0\r\n\r\n"
    transport.post(wire.url, params={}, form={"page": "0"}, auth=(name, name))
    (value,) = re.findall(rb"(?im)^Authorization: Basic (\S+)\r$", bytes(wire.received))
    assert base64.b64decode(value).decode() == f"{name}:{name}"
    assert b"evil" not in wire.received.lower()


@pytest.mark.parametrize("auth", [("a\udcff", "b"), ("a", "hunter2\udcff")])
def test_credentials_that_are_no_text_are_refused_and_not_shown(transport, auth):
    error = refused(lambda: transport.post("http://127.0.0.1:9", params={}, form={}, auth=auth))
    assert isinstance(error, ConfigError)
    assert "hunter2" not in repr(error)


@pytest.mark.parametrize("name", ["project_id", "workspace_id"])
@pytest.mark.parametrize("value", ["1\r\nX: y", "1&page=2", "1 ", "\u0661", "1\0", "-1", "1e3"])
def test_an_id_is_digits(name, value):
    with pytest.raises(ConfigError, match=f"{name} must be a number") as caught:
        Credentials("u", "s", **{"project_id": "1", name: value})
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("table", ["a\r\nb", "a\0b", "\udcff", "", "x" * 300, "../x", 'a"."b.c'])
def test_a_table_name_is_quoted_or_refused(engage_simulator, environment_of, mp, tmp_path, table):
    simulator = engage_simulator(profiles=1)
    environment_of(simulator)
    to = ("--to", f"duckdb:///{tmp_path}/r.duckdb", "--format", "text")
    done = mp("fetch", "profiles", *to, "--", table)
    assert (done.code, len(done.err.splitlines())) == (3, 1)
    assert simulator.stats.requests == ()


# Pages that are JSON, and hardly that


def page(row='{"$distinct_id": "a"}', **envelope):
    fields = {"page": "0", "page_size": "10", "session_id": '"s"', "total": "2"} | envelope
    around = "".join(f'"{name}": {value}, ' for name, value in fields.items())
    good = '{"$distinct_id": "good", "$properties": {"n": 1}}'
    return f'{{{around}"results": [{good}, {row}]}}'.encode("utf-8", "surrogatepass")


def holding(value):
    return page(f'{{"$distinct_id": "a", "$properties": {{"x": {value}, "y": 2}}}}')


DEEP = "[" * 100_000 + "]" * 100_000
DEEP_OBJECT = '{"a":' * 100_000 + "1" + "}" * 100_000


@pytest.mark.parametrize("deep", [DEEP, DEEP_OBJECT, '{"$last_seen":' * 9_000 + "1" + "}" * 9_000])
def test_a_property_nested_without_end_costs_itself_and_no_more(deep):
    decoded = decode_page(holding(deep), 0)
    batch, rejected = decoded.read()
    assert (batch.distinct_ids, rejected, decoded.repaired_values) == (["good", "a"], (), 1)
    kept = list(batch.rows())[1]["properties"]
    assert kept["y"] == 2
    assert 480 < json.dumps(kept).count("[") + json.dumps(kept).count("{") < 510


def test_an_id_nested_without_end_is_a_rejected_row():
    batch, rejected = decode_page(page(f'{{"$distinct_id": {DEEP}}}'), 0).read()
    assert batch.distinct_ids == ["good"]
    assert [one.position for one in rejected] == [1]


@pytest.mark.parametrize("decode", [lambda body: decode_page(body, 0), decode_document])
@pytest.mark.parametrize(
    "body",
    [
        DEEP.encode(),
        DEEP_OBJECT.encode(),
        page(total=DEEP),
        page(session_id=DEEP),
        b'{"results": ' + b"[" * 100_000,
        b'{"results": [{"$properties": ' + b"[" * 100_000 + b"}" * 100_000 + b"}]}",
        b"{" * 100_000,
    ],
)
def test_an_envelope_nested_without_end_is_a_server_error(decode, body):
    assert isinstance(refused_from_none(lambda: decode(body)), ServerError)


def refused_from_none(function):
    with pytest.raises(MixpanelFetchError) as caught:
        function()
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 300
    return caught.value


ODD_ENVELOPES = [
    {"total": value}
    for value in ("-1", str(2**63), str(10**30), "1e400", "9" * 5_000, "1.0", '"2"', "true", "[]")
]
ODD_ENVELOPES += [
    {"page_size": value} for value in ("0", "-1", str(2**63), str(10**30), "1e3", '"9"', "{}")
]
ODD_ENVELOPES += [
    {"session_id": value} for value in ('"a\\r\\nb"', '"\\u0000"', "5", "[]", '"' + "x" * MIB + '"')
]
ODD_ENVELOPES += [{"page": str(2**63)}, {"page": '"0"'}, {"total": str(10**12), "page_size": "1"}]


@pytest.mark.parametrize("odd", ODD_ENVELOPES, ids=lambda odd: str(odd)[:40])
@pytest.mark.parametrize("decode", [lambda body: decode_page(body, 0), decode_document])
def test_an_envelope_that_cannot_be_is_refused(decode, odd):
    assert isinstance(refused_from_none(lambda: decode(page(**odd))), ServerError)


@pytest.mark.parametrize("results", ["{}", "null", "5", '"x"', "true"])
@pytest.mark.parametrize("decode", [lambda body: decode_page(body, 0), decode_document])
def test_results_are_an_array(decode, results):
    body = page().replace(b'"results": [', b'"results": ' + results.encode() + b', "rest": [')
    assert isinstance(refused_from_none(lambda: decode(body)), ServerError)


ODD_VALUES = {
    "1e400": "1e400",
    "9" * 400: "9" * 400,
    "-0": "-0",
    "NaN": "null",
    '"\\ud800"': '"\\ufffd"',
    '"\\u0000"': '"\\u0000"',
    '"a\x01\nb"': '"a\\u0001\\u000ab"',
    '"\ud800"': '"\ufffd\ufffd\ufffd"',
}


@pytest.mark.parametrize("value", ODD_VALUES, ids=ascii)
def test_an_odd_value_costs_no_page_and_lands(engage_wire, value):
    result, rows = engage_wire(holding(value))
    assert (result.total_rows, result.failed_pages) == (2, 0)
    assert rows["a"].replace(" ", "") == f'{{"x":{ODD_VALUES[value]},"y":2}}'
    assert result.repaired_values == (ODD_VALUES[value] != value)


def test_nesting_without_end_lands_too(engage_wire):
    result, rows = engage_wire(holding(DEEP))
    assert (result.total_rows, result.failed_pages, result.repaired_values) == (2, 0, 1)
    assert '"y": 2' in rows["a"]


def test_as_deep_as_a_reader_goes_lands_as_it_came(engage_wire):
    deep = "[" * 400 + "]" * 400
    result, rows = engage_wire(holding(deep), transforms=["drop:z"])
    assert (result.total_rows, result.failed_pages, result.repaired_values) == (2, 0, 0)
    assert deep in rows["a"]


@pytest.mark.parametrize("bad", [b"\xff", b"\xed\xa0\x80", b"\xc0\x80"])
@pytest.mark.parametrize("where", ["value", "key", "id"])
def test_invalid_utf_8_lands_replaced(engage_wire, bad, where):
    texts = {"value": "v", "key": "k", "id": "i"} | {where: "BAD"}
    row = '{{"$distinct_id": "{id}", "$properties": {{"{key}": "{value}"}}}}'.format(**texts)
    result, rows = engage_wire(page(row).replace(b"BAD", b"z" + bad))
    assert (result.total_rows, result.failed_pages, result.repaired_values) == (2, 0, 1)
    assert "z\ufffd" in str(rows)


@pytest.fixture
def engage_wire(wire, tmp_path, workspace_of):
    """Fetch from a server that answers with this body; return the result and the rows by id."""

    def fetch(body, **given):
        wire.answer = OK + b"Content-Length: %d\r\n\r\n" % len(body) + body
        wire.base_url = wire.url
        workspace = workspace_of(wire, f"duckdb:///{tmp_path}/r.duckdb", max_retries=0)
        result = workspace.fetch_profiles("users", **given)
        with duckdb.connect(f"{tmp_path}/r.duckdb", read_only=True) as connection:
            rows = connection.execute("SELECT distinct_id, properties::VARCHAR FROM users")
            return result, dict(rows.fetchall())

    return fetch


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**25), 10**25)
    | st.floats()
    | st.text(max_size=5)
    | st.sampled_from(["2026-01-31T12:30:00", "ok", "$last_seen"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["$distinct_id", "$properties", "$last_seen", "x"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)
names = st.sampled_from(["results", "total", "page", "page_size", "session_id", "status", "later"])
bodies = st.dictionaries(names, json_values | st.lists(json_values, max_size=4)) | json_values


@settings(max_examples=150, deadline=None, database=None)
@given(bodies, st.binary(max_size=3), st.integers(0, 200))
def test_json_of_any_shape_is_a_page_or_a_server_error(value, noise, place):
    text = json.dumps(value).encode()
    body = text[:place] + noise + text[place:]
    for decode in (lambda: read_whole(body), lambda: decode_document(body)):
        try:
            decode()
        except MixpanelFetchError as error:
            assert isinstance(error, ServerError)  # noqa: PT017
            assert str(error).isprintable()  # noqa: PT017


def read_whole(body):
    decoded = decode_page(body, 0)
    batch, rejected = decoded.read()
    assert len(batch) + len(rejected) == decoded.rows_received
    assert (decoded.envelope.total or 0) <= 10**12
    list(batch.rows())


@settings(max_examples=25, deadline=None, database=None)
@given(st.sampled_from(['"', "\\", '\\"', "[", "{", "-", "\x01", '"[', "NaN", "\\ud800", ","]))
def test_mending_takes_time_in_proportion_to_the_text(piece):
    # Where the time went with the square of the length, 300 KB took minutes.
    body = b'{"results": ["' + piece.encode() * 100_000
    mended, _ = mend(body)
    mended.decode()


# Sizes


@unhurried
@given(st.text(max_size=12) | st.from_regex(r"[0-9.]{1,40} ?[kKMGTZ]i?B?", fullmatch=True))
@example("9" * 400 + "TB")
@example("0." + "9" * 400 + "TB")
def test_any_text_is_a_size_or_a_value_error(text):
    try:
        size = bytes_of(text)
    except ValueError as error:
        assert str(error).isprintable()  # noqa: PT017
    else:
        assert size >= 0


@given(st.integers(0, 10**15))
def test_a_size_in_words_is_exact(size):
    number, unit = in_words(size).replace(",", "").split()
    assert (int(number) if unit == "bytes" else bytes_of(f"{number}{unit}")) == size
