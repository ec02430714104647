"""What ``mp auth test`` finds out: which setting is wrong, told apart by what Mixpanel answers."""

from __future__ import annotations

import json
import ssl
import threading
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from mixpanel_fetch.config import load_settings
from mixpanel_fetch.diagnosis import examine
from mixpanel_fetch.errors import (
    AuthenticationError,
    ConfigError,
    PaymentRequiredError,
    RateLimitError,
    ServerError,
    TransportError,
)
from mixpanel_fetch.hour import HourlyBudget
from mixpanel_fetch.model import REGIONS
from mixpanel_fetch.shared_files import SharedFiles
from mixpanel_fetch.sharing import quota_name
from mixpanel_fetch.simulator import Fault

USER = {"MP_USERNAME": "demo", "MP_SECRET": "demo-secret", "MP_PROJECT_ID": "12345"}
TWO_LINES = 2 * 80 - len("mp: ")
"""Characters that a message may have, to fill no more than two lines of a terminal."""


def now():
    return datetime.now(timezone.utc)


@pytest.fixture
def regions(engage_simulator, monkeypatch, tmp_path):
    """Serve a simulator for each region, in place of Mixpanel's hosts."""

    def serve(**switches):
        simulators = {
            region: engage_simulator(tls=True, **switches.get(region, {"username": "other"}))
            for region in ("us", "eu", "in")
        }
        bundle = tmp_path / "authorities.pem"
        bundle.write_text("".join(Path(one.ca_bundle).read_text() for one in simulators.values()))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
        for region, simulator in simulators.items():
            monkeypatch.setitem(REGIONS, region, simulator.base_url.partition("//")[2])
        return simulators

    return serve


def asked(simulators):
    return [len(one.stats.requests) for one in simulators.values()]


def tried(environ, **arguments):
    return examine(load_settings(environ=environ, **arguments))


def message_of(kind, environ, **arguments):
    """Return what is said of settings that do not work, which fits two lines."""
    with pytest.raises(kind) as caught:
        tried(environ, **arguments)
    assert type(caught.value) is kind
    said = str(caught.value)
    assert said.isprintable()
    assert len(said) <= TWO_LINES
    return said


# It works


def test_the_cheapest_question_is_asked_once(engage_simulator):
    simulator = engage_simulator(profiles=4321)
    access = tried({**USER, "MP_API_BASE_URL": simulator.base_url})
    assert (access.project_id, access.profiles, access.warnings) == ("12345", 4321, ())
    (request,) = simulator.stats.requests
    assert (request.form["page"], request.form["page_size"]) == ("0", "1")
    assert json.loads(request.form["output_properties"]) == ["$last_seen"]


def test_a_region_that_answers_is_the_only_one_asked(regions):
    simulators = regions(us={}, eu={}, **{"in": {}})
    assert tried(USER).region == "us"
    assert asked(simulators) == [1, 0, 0]


def test_the_project_of_a_project_secret_needs_no_number(engage_simulator):
    simulator = engage_simulator(api_secret="old", profiles=5)
    access = tried({"MP_API_SECRET": "old", "MP_API_BASE_URL": simulator.base_url})
    assert (access.project_id, access.profiles) == (None, 5)


# The region


def test_a_wrong_region_is_told_with_the_right_one(regions):
    simulators = regions(eu={"profiles": 7})
    said = message_of(AuthenticationError, USER)
    assert said == "project 12345 answers in region eu, not in us; set MP_REGION to eu"
    assert asked(simulators) == [1, 1, 1]


@pytest.mark.parametrize("switches", [{"payment_required": True}, {"project_id": 9}])
def test_a_region_that_knows_the_credentials_is_the_right_one_too(regions, switches):
    regions(**{"in": switches})
    said = message_of(AuthenticationError, USER)
    assert "these credentials are known in region in, not in us; set MP_REGION to in" in said


def test_the_region_of_an_account_is_changed_in_the_account(regions, tmp_path):
    regions(eu={})
    path = tmp_path / "mp.toml"
    path.write_text(
        "[accounts.prod]\nusername = 'demo'\nsecret = 'demo-secret'\nproject_id = 12345\n"
    )
    path.chmod(0o600)
    with pytest.raises(AuthenticationError, match=r"set region under \[accounts\.prod\] to eu"):
        examine(load_settings("prod", environ={}, path=path))
    path.write_text("region = 'us'\n" + path.read_text())
    with pytest.raises(AuthenticationError, match="set region in the configuration file to eu"):
        examine(load_settings("prod", environ={}, path=path))


def test_a_region_without_profiles_is_told_with_the_one_that_has_them(regions):
    regions(us={"wrong_region": True}, eu={"profiles": 2500}, **{"in": {"wrong_region": True}})
    said = message_of(ConfigError, USER)
    assert said == ("the project has 2,500 profiles in region eu, none in us; set MP_REGION to eu")


def test_no_profiles_anywhere_is_a_warning(regions):
    regions(us={"profiles": 0})
    (warning,) = tried(USER).warnings
    assert "check MP_REGION, and where the project has data views MP_WORKSPACE_ID" in warning


def test_with_an_address_given_no_other_host_is_asked(regions, engage_simulator):
    simulators = regions(us={}, eu={}, **{"in": {}})
    address = engage_simulator(username="other").base_url
    said = message_of(AuthenticationError, {**USER, "MP_API_BASE_URL": address})
    assert f"refused by {address.partition('//')[2]} (401)" in said
    assert asked(simulators) == [0, 0, 0]


def test_a_region_that_is_out_of_reach_says_nothing(regions, monkeypatch):
    regions()
    monkeypatch.setitem(REGIONS, "in", "127.0.0.1:9")
    assert "refused in regions us and eu (401)" in message_of(AuthenticationError, USER)


# Project, secret, plan


def test_a_project_of_others_is_told_apart(regions):
    simulators = regions(us={"project_id": 9})
    said = message_of(AuthenticationError, USER)
    assert "the credentials are good, but not for project 12345 (403)" in said
    assert "correct MP_PROJECT_ID, or have the account added to the project" in said
    assert asked(simulators) == [1, 0, 0]


def test_a_token_in_place_of_the_projects_number_costs_no_request(regions):
    simulators = regions(us={})
    said = message_of(ConfigError, {**USER, "MP_PROJECT_ID": "3f9a6b0c8d3f9a6b0c8d3f9a6b0c8d00"})
    assert "must be a number, not a token" in said
    assert asked(simulators) == [0, 0, 0]


@pytest.mark.parametrize("status", [400, 401])
def test_a_wrong_secret_is_refused_everywhere(regions, status):
    regions(**{region: {"auth_failure_status": status} for region in ("us", "eu", "in")})
    said = message_of(AuthenticationError, {**USER, "MP_SECRET": "hunter2"})
    assert f"user 'demo' with this secret is refused in every region ({status}); " in said
    assert "correct MP_USERNAME and MP_SECRET, or make a new service account" in said
    assert "hunter2" not in said


def test_a_wrong_secret_of_an_account_is_stored_anew(regions, tmp_path):
    regions()
    path = tmp_path / "mp.toml"
    path.write_text("[accounts.prod]\nusername = 'u'\nsecret = 's'\nproject_id = 12345\n")
    path.chmod(0o600)
    with pytest.raises(AuthenticationError, match="`mp auth add prod --replace`"):
        examine(load_settings("prod", environ={}, path=path))


def test_a_project_secret_that_is_refused_may_be_retired(regions):
    regions(us={}, eu={}, **{"in": {}})
    said = message_of(AuthenticationError, {"MP_API_SECRET": "old"})
    assert "wrong, or retired as all will be on 2027-03-03; make a service account" in said


def test_a_plan_without_the_api_is_told_apart(regions):
    simulators = regions(us={"payment_required": True})
    said = message_of(PaymentRequiredError, USER)
    assert "the project's plan has no Query API (402: " in said
    assert "upgrade the plan" in said
    assert asked(simulators) == [1, 0, 0]


# Quota and server


def test_a_used_up_hour_says_when_to_come_back(regions):
    regions(us={"faults": [Fault(0, "429_hourly", retry_after="600")]})
    said = message_of(RateLimitError, USER)
    assert said == "the project's hourly query quota is used up; try again in 10 min"


def test_a_server_that_fails_is_asked_no_second_time(regions):
    simulators = regions(us={"faults": [Fault(0, "503", times=None)]})
    assert "503" in message_of(ServerError, USER)
    assert asked(simulators) == [1, 0, 0]


def test_what_this_machine_asked_is_taken_from_the_hour():
    files = SharedFiles()
    budget = HourlyBudget(files, quota_name("https://mixpanel.com", "7"))
    assert budget.left() == 60
    budget.take()
    assert budget.left() == 59
    files.off = True
    assert budget.left() is None


# The network


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://127.0.0.1:9", "cannot connect to 127.0.0.1:9 (Connection refused); check the net"),
        ("http://nowhere.invalid", "cannot find the host nowhere.invalid; check the network"),
    ],
)
def test_a_network_that_is_down_is_said_at_once(address, words):
    assert words in message_of(TransportError, {**USER, "MP_API_BASE_URL": address})


class Page(BaseHTTPRequestHandler):
    """Answers anything with the server's own status, body and date."""

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.do_HEAD()
        self.wfile.write(self.server.body)

    def do_HEAD(self):
        self.send_response_only(self.server.status)
        if self.server.date is not None:
            self.send_header("Date", self.server.date)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *_):
        """Keep quiet."""


@pytest.fixture
def server():
    """Serve one answer on loopback, over TLS where a certificate is given."""
    servers = []

    def serve(body=b"", *, status=200, date=None, certificate=None, **headers):
        one = ThreadingHTTPServer(("127.0.0.1", 0), Page)
        one.daemon_threads = True
        one.body, one.status, one.date, one.headers = body, status, date, headers
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            certificate.configure_cert(context)
            one.socket = context.wrap_socket(one.socket, server_side=True)
        thread = threading.Thread(target=one.serve_forever, args=(0.02,))
        thread.start()
        servers.append((one, thread))
        scheme = "http" if certificate is None else "https"
        return f"{scheme}://127.0.0.1:{one.server_port}"

    yield serve
    for one, thread in servers:
        one.shutdown()
        thread.join()
        one.server_close()


EMPTY = b'{"results": [], "total": 1, "page": 0, "page_size": 1, "session_id": "s"}'


def test_a_login_page_in_mixpanels_place_is_called_that(server):
    address = server(b"\n<!DOCTYPE html><html>Welcome to our hotel</html>")
    said = message_of(ServerError, {**USER, "MP_API_BASE_URL": address})
    assert "answers with a web page: something on the way" in said


def test_the_servers_word_on_the_hour_counts(server):
    limits = {"RateLimit": '"project";r=12;t=60, "project-concurrency";r=5'}
    access = tried({**USER, "MP_API_BASE_URL": server(EMPTY, **limits)})
    assert access.queries_left == 12


# The clock


@pytest.mark.parametrize("days", [-3, 3])
def test_a_clock_that_is_off_is_a_warning(server, days):
    theirs = now() + timedelta(days=days)
    address = server(EMPTY, date=format_datetime(theirs, usegmt=True))
    (warning,) = tried({**USER, "MP_API_BASE_URL": address}).warnings
    assert f"the server's {theirs:%Y-%m-%d %H:%M}; set the clock" in warning


@pytest.mark.parametrize("date", [None, "soon", "now"])
def test_a_clock_that_is_right_or_not_told_is_none(server, date):
    if date == "now":
        date = format_datetime(now(), usegmt=True)
    assert tried({**USER, "MP_API_BASE_URL": server(EMPTY, date=date)}).warnings == ()


@pytest.fixture
def out_of_its_time(monkeypatch, tmp_path):
    """Return a certificate that is not valid now, of an authority that is trusted."""

    def issue(days):
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
        start = now() + timedelta(days=days)
        return authority.issue_cert(
            "127.0.0.1", not_before=start, not_after=start + timedelta(days=30)
        )

    return issue


@pytest.mark.parametrize("days", [-400, 400])
def test_a_wrong_clock_is_told_from_the_servers(server, out_of_its_time, days):
    theirs = now() + timedelta(days=days + 10)
    date = format_datetime(theirs, usegmt=True)
    address = server(certificate=out_of_its_time(days), date=date)
    said = message_of(TransportError, {**USER, "MP_API_BASE_URL": address})
    assert "cannot be checked: this machine's clock says" in said
    assert said.endswith(f"the server's {theirs:%Y-%m-%d %H:%M}; set the clock")


def test_a_certificate_that_has_really_expired_is_not_the_clocks_fault(server, out_of_its_time):
    date = format_datetime(now(), usegmt=True)
    address = server(certificate=out_of_its_time(-400), date=date)
    said = message_of(TransportError, {**USER, "MP_API_BASE_URL": address})
    assert "this machine's clock is right; whoever runs the server has to renew it" in said


@pytest.mark.parametrize(
    ("days", "words"),
    [(400, "is not valid yet by this machine's clock"), (-400, "has expired by this machine's")],
)
def test_a_server_that_tells_no_time_leaves_it_at_the_certificate(
    server, out_of_its_time, days, words
):
    address = server(certificate=out_of_its_time(days))
    said = message_of(TransportError, {**USER, "MP_API_BASE_URL": address})
    assert words in said
    assert "set the clock" in said


def test_a_certificate_of_another_name_blames_what_is_on_the_way(server, monkeypatch, tmp_path):
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    address = server(certificate=authority.issue_cert("elsewhere.example"))
    said = message_of(TransportError, {**USER, "MP_API_BASE_URL": address})
    assert "something on the way answers in its place" in said
