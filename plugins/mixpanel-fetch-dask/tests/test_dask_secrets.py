"""Where credentials go, and where nothing of them may be seen."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from distributed import Client

from mixpanel_fetch.errors import ConfigError
from mixpanel_fetch.filters import F
from mixpanel_fetch.simulator import EngageSimulator

SECRET = "s3cr3t-that-must-not-be-seen"
FILTER = "a-name-in-a-filter"


@pytest.fixture
def simulator() -> Any:
    with EngageSimulator(profiles=200, secret=SECRET) as simulator:
        yield simulator


def of_workers(simulator: Any, **others: str) -> dict[str, str]:
    """Variables of the environment of workers that have credentials of their own."""
    return {
        "MP_USERNAME": simulator.config.username,
        "MP_SECRET": simulator.config.secret,
        "MP_PROJECT_ID": str(simulator.config.project_id),
        "MP_API_BASE_URL": simulator.base_url,
        **others,
    }


def test_nothing_of_a_fetch_is_seen_in_the_cluster(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any
) -> None:
    """Neither when it works, nor when its tasks fail and are written to the logs."""
    cluster = make_cluster()
    cluster.worker()
    options = {"scheduler": cluster.address}
    with Client(cluster.address, set_as_default=False) as client:
        query = F("name") != FILTER
        kit.fetch(simulator, options=options, where=query)
        with pytest.raises(ConfigError):
            kit.fetch(simulator, options=options | {"credentials": "workers"}, where=query)
        state = cluster.logs / "state"
        client.dump_cluster_state(str(state), format="yaml", write_from_scheduler=False)
        info = dict(client.scheduler_info())
        known = repr([info, client.get_events(), client.story(), client.profile()])
    assert cluster.address in known
    texts = [path.read_text() for path in cluster.logs.glob("*.log")]
    assert any("Compute Failed" in text for text in texts), "the logs tell of failed tasks"
    texts += [known, *(path.read_text() for path in cluster.logs.glob("state*"))]
    for text in texts:
        for hidden in (SECRET, FILTER, simulator.config.username + ":"):
            assert hidden not in text


def test_credentials_do_not_travel_where_others_can_read_them(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any
) -> None:
    """However the scheduler is called: it listens elsewhere, and may have workers anywhere."""
    cluster = make_cluster(host="0.0.0.0")
    port = cluster.address.rpartition(":")[2]
    for address in (cluster.address, f"tcp://127.0.0.1:{port}"):
        with pytest.raises(ConfigError, match=r"tls://.*credentials=workers") as refused:
            kit.fetch(simulator, options={"scheduler": address})
        assert "\n" not in str(refused.value)
    assert simulator.stats.received == 0


def test_workers_use_credentials_of_their_own(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any
) -> None:
    cluster = make_cluster(**of_workers(simulator))
    cluster.worker()
    options = {"scheduler": cluster.address, "credentials": "workers"}
    result, pages = kit.fetch(simulator, options=options)
    assert result.exit_code == 0
    assert len(pages) == 20


def test_workers_of_another_project_refuse(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any
) -> None:
    cluster = make_cluster(**of_workers(simulator, MP_PROJECT_ID="9"))
    cluster.worker()
    options = {"scheduler": cluster.address, "credentials": "workers"}
    with pytest.raises(ConfigError, match="are for another project, region or API address"):
        kit.fetch(simulator, options=options)


def test_workers_without_credentials_say_so(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any
) -> None:
    cluster = make_cluster()
    cluster.worker()
    options = {"scheduler": cluster.address, "credentials": "workers"}
    with pytest.raises(ConfigError, match=r"Dask worker .* its own credentials: no credentials"):
        kit.fetch(simulator, options=options)


def test_an_account_of_the_workers_is_named(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any, tmp_path: Path
) -> None:
    file = tmp_path / "workers.toml"
    file.touch(mode=0o600)
    file.write_text(
        f'[accounts.crm]\nusername = "demo"\nsecret = "{SECRET}"\nproject_id = "12345"\n'
        f'api_base_url = "{simulator.base_url}"\n'
    )
    cluster = make_cluster(MP_CONFIG=str(file))
    cluster.worker()
    options = {"scheduler": cluster.address, "credentials": "workers", "account": "crm"}
    result, _ = kit.fetch(simulator, options=options)
    assert result.exit_code == 0


def test_credentials_travel_by_tls(
    make_cluster: Callable[..., Any], kit: Any, simulator: Any, tmp_path: Path
) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    ca, own = str(tmp_path / "ca.pem"), str(tmp_path / "own.pem")
    authority.cert_pem.write_to_path(ca)
    certificate.private_key_and_cert_chain_pem.write_to_path(own)
    files = ("--tls-ca-file", ca, "--tls-cert", own, "--tls-key", own)
    cluster = make_cluster(*files, host="0.0.0.0")
    cluster.worker()
    assert cluster.address.startswith("tls://")
    options = {"scheduler": cluster.address, "tls_ca": ca, "tls_cert": own, "tls_key": own}
    result, pages = kit.fetch(simulator, options=options)
    assert result.exit_code == 0
    assert len(pages) == 20
