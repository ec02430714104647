"""A plain client of the simulator: one request at a time, nothing retried, nothing hidden."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pytest
import requests

PATH = "/api/query/engage"


class Client:
    """Sends engage queries as the demo service account, or as `authorization` says."""

    def __init__(self, session: requests.Session) -> None:
        self._session = session

    def ask(
        self,
        simulator: Any,
        *,
        authorization: str | None = None,
        project_id: object = 12345,
        path: str = PATH,
        headers: dict[str, str] | None = None,
        **form: object,
    ) -> requests.Response:
        """Send one query, its parameters in a form."""
        query = {} if project_id is None else {"project_id": str(project_id)}
        account = basic("demo:demo-secret") if authorization is None else authorization
        return self._session.post(
            simulator.base_url + path,
            params=query,
            data={name: str(value) for name, value in form.items()},
            headers={"Authorization": account, **(headers or {})},
            timeout=10,
            allow_redirects=False,
            verify=simulator.ca_bundle or True,
        )

    def send(
        self,
        simulator: Any,
        query: str = "",
        *,
        method: str = "POST",
        path: str = PATH,
        timeout: float = 10,
        **body: Any,
    ) -> requests.Response:
        """Send any request as the demo service account, `query` after its project."""
        url = f"{simulator.base_url}{path}?project_id=12345&{query}"
        account = {"Authorization": basic("demo:demo-secret")}
        return self._session.request(method, url, headers=account, timeout=timeout, **body)

    def rows(self, simulator: Any, **form: object) -> list[dict[str, Any]]:
        """Fetch page after page until a short one."""
        first = self.ask(simulator, page=0, **form).json()
        rows = list(first["results"])
        for page in range(1, 1000):
            if len(rows) < page * first["page_size"]:
                return rows
            answer = self.ask(simulator, page=page, session_id=first["session_id"], **form)
            rows += answer.json()["results"]
        raise AssertionError("paging does not end")

    def ids(self, simulator: Any, **form: object) -> list[Any]:
        """Give the ids of all pages."""
        return [row["$distinct_id"] for row in self.rows(simulator, **form)]


def basic(pair: str) -> str:
    """Give a Basic authorization."""
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.fixture
def client() -> Iterator[Client]:
    with requests.Session() as session:
        session.trust_env = False
        yield Client(session)


@pytest.fixture
def people() -> list[dict[str, Any]]:
    return [
        {"$distinct_id": f"p{number}", "$properties": {"number": number, "plan": plan}}
        for number, plan in enumerate(["free", "pro", "free", "pro", "free"])
    ]
