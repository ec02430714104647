"""A Dask cluster that is there already: where it is, and how it is spoken to."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from mixpanel_fetch.errors import ConfigError, TransportError

if TYPE_CHECKING:
    from distributed import Client, Security

_CLIENT = "mixpanel-fetch"
_NO_SCHEDULER = (
    "no Dask scheduler: give -o scheduler=tls://HOST:8786, or set DASK_SCHEDULER_ADDRESS"
)
_NO_TLS = (
    "a Dask scheduler with TLS knows its clients by their certificates: give tls_ca, tls_cert and"
    " tls_key as options, or in Dask's configuration (distributed.comm.tls)"
)


@dataclass(frozen=True)
class Cluster:
    """The address of a scheduler, and files in PEM format to trust and to be trusted by it.

    What is None comes from Dask's configuration (``scheduler-address``,
    ``distributed.comm.tls``).
    """

    scheduler: str | None = None
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None

    @property
    def address(self) -> str:
        """The scheduler's address. Raises ConfigError where none is known."""
        import dask

        address = self.scheduler or dask.config.get("scheduler-address", None)
        if not address:
            raise ConfigError(_NO_SCHEDULER)
        return str(address)

    @contextmanager
    def connected(self) -> Iterator[Client]:
        """Yield a client, and close it. Raises as :meth:`connect`."""
        client = self.connect()
        try:
            yield client
        finally:
            client.close()

    def connect(self) -> Client:
        """Return a client of the cluster, to be closed. Blocks its thread.

        Raises ConfigError for an address or files that cannot be used, or a process patched by
        gevent; TransportError where nobody answers.
        """
        from distributed import Client
        from gevent.monkey import is_module_patched

        if is_module_patched("threading"):
            raise ConfigError("Dask needs threads, and gevent has patched those of this process")
        address = self.address
        security = self._security(address)
        try:
            return Client(address, security=security, set_as_default=False, name=_CLIENT)
        except (OSError, RuntimeError) as error:  # a time-out is an OSError, too
            words = f"no Dask scheduler answers at {address}: {_said(error)}"
            raise TransportError(words, transient=False) from None

    def _security(self, address: str) -> Security | None:
        """Return what the options say, over Dask's configuration; None if they say nothing.

        Raises ConfigError for what a client could not begin with: a half-made one lingers.
        """
        import dask
        from distributed import Security
        from distributed.comm.addressing import get_address_host

        files = {
            "tls_ca_file": self.tls_ca,
            "tls_client_cert": self.tls_cert,
            "tls_client_key": self.tls_key,
        }
        given = {name: file for name, file in files.items() if file is not None}
        security = Security(**given) if given else None  # of given ones, encryption is required
        try:
            get_address_host(address)
            context = (security or Security()).get_connection_args("client")["ssl_context"]
        except ValueError as error:
            raise ConfigError(f"cannot use the Dask scheduler {address}: {_said(error)}") from None
        except OSError as error:
            raise ConfigError(f"a TLS file for the Dask scheduler: {_said(error)}") from None
        loaded = dask.config.get("distributed.client.security-loader", None)
        if address.startswith("tls://") and context is None and not (loaded and security is None):
            raise ConfigError(_NO_TLS)
        if security is not None and not address.startswith("tls://"):
            raise ConfigError(f"TLS files go with a scheduler at tls://, not {address}")
        return security


def require_privacy(client: Client) -> None:
    """Raise ConfigError where others could read what goes to the workers."""
    if not is_private(client):
        raise ConfigError(
            f"the way to the Dask workers ({_listening(client)}) is not encrypted, and credentials"
            " must not travel on it: use a cluster with TLS (tls://), or -o credentials=workers,"
            " which takes those of the workers' own environment"
        )


def is_private(client: Client) -> bool:
    """Whether what goes to the workers goes by TLS, or stays on this machine.

    That goes by the address where the scheduler listens, not by the one it was called by: a
    scheduler called over loopback may have workers anywhere.
    """
    address = _listening(client)
    return address.startswith(("tls://", "inproc://")) or _is_loopback(address)


def _listening(client: Client) -> str:
    return str(client.scheduler_info()["address"])


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(urlsplit(address).hostname or "").is_loopback
    except ValueError:
        return False


def _said(error: BaseException) -> str:
    words = " ".join(str(error).split())
    return words[:200] or type(error).__name__
