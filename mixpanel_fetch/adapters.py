"""Adapters for requests whose connections open gevent's sockets, and plain ones beside them."""

from __future__ import annotations

import ssl as standard_ssl
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, ClassVar

import gevent.queue
import gevent.socket
import gevent.ssl
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import (
    ConnectTimeoutError,
    LocationParseError,
    NameResolutionError,
    NewConnectionError,
)

from mixpanel_fetch.body import StrictResponse

_POOL_SIZE = 64  # connections kept per host: above any sensible number of workers
before_sending: ContextVar[Callable[[], None] | None] = ContextVar("before_sending", default=None)
"""Called when a connection is open and all that is left is to send the request. It may raise."""


def _open_gevent_socket(connection: HTTPConnection) -> Any:
    """Connect cooperatively; map errors as urllib3's own ``_new_conn`` does."""
    host, port = connection._dns_host, connection.port
    timeout = connection.timeout if isinstance(connection.timeout, (int, float)) else None
    try:
        host.encode("idna")  # here: where gevent looks a host up, it prints what goes wrong
    except UnicodeError:
        raise LocationParseError(host) from None
    try:
        sock = gevent.socket.create_connection(
            (host, port), timeout=timeout, source_address=connection.source_address
        )
    except gevent.socket.gaierror as error:
        raise NameResolutionError(connection.host, connection, error) from error
    except TimeoutError as error:
        raise ConnectTimeoutError(connection, f"no connection within {timeout} s") from error
    except OSError as error:
        raise NewConnectionError(connection, str(error)) from error
    for option in connection.socket_options or ():
        sock.setsockopt(*option)
    return sock


class _HTTPConnection(HTTPConnection):
    response_class = StrictResponse

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        """Send what was put together, as http.client does."""
        if self.sock is None:
            self.connect()
        call = before_sending.get()
        if call is not None:
            call()
        super().endheaders(*args, **kwargs)


class _HTTPSConnection(_HTTPConnection, HTTPSConnection):
    """The same, over TLS."""


class _GeventHTTPConnection(_HTTPConnection):
    def _new_conn(self) -> Any:
        return _open_gevent_socket(self)


class _GeventHTTPSConnection(_HTTPSConnection):
    def _new_conn(self) -> Any:
        return _open_gevent_socket(self)

    def connect(self) -> None:
        # In an unpatched process gevent.ssl.create_default_context() hands out the standard
        # context, whose sockets block the hub. A context that requests preset is standard too:
        # it trusts what certifi lists, and so does this one.
        context = gevent.ssl.SSLContext(standard_ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = standard_ssl.TLSVersion.TLSv1_2
        if self.cert_reqs in {"CERT_NONE", standard_ssl.CERT_NONE}:
            context.check_hostname = False  # before verify_mode, or ssl refuses the pair
        if not (self.ca_certs or self.ca_cert_dir):
            self.ca_certs = DEFAULT_CA_BUNDLE_PATH
        self.ssl_context = context
        super().connect()


class _HTTPPool(HTTPConnectionPool):
    ConnectionCls = _HTTPConnection


class _HTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection


class _GeventHTTPPool(HTTPConnectionPool):
    ConnectionCls = _GeventHTTPConnection
    QueueCls = gevent.queue.LifoQueue  # type: ignore[assignment]


class _GeventHTTPSPool(HTTPSConnectionPool):
    ConnectionCls = _GeventHTTPSConnection
    QueueCls = gevent.queue.LifoQueue  # type: ignore[assignment]


class BlockingAdapter(HTTPAdapter):
    """Connections that block their thread, and read bodies strictly.

    Never retries by itself: urllib3 would sleep with ``time.sleep`` and stall the hub.
    """

    pools: ClassVar[Mapping[str, type[HTTPConnectionPool]]] = {
        "http": _HTTPPool,
        "https": _HTTPSPool,
    }

    def __init__(self) -> None:
        super().__init__(pool_maxsize=_POOL_SIZE, max_retries=0)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pool manager, with pools of ours."""
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = self.pools

    def close(self) -> None:
        """Close every connection."""
        # urllib3 leaves pools to the garbage collector, which comes after their hub is gone.
        for manager in (self.poolmanager, *self.proxy_manager.values()):
            for key in manager.pools.keys():  # noqa: SIM118  (the container is not iterable)
                manager.pools[key].close()
        super().close()

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pool manager of a proxy, with pools of ours where they can be."""
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = self.pools
        return manager


class CooperativeAdapter(BlockingAdapter):
    """Connections that wait with gevent; for the thread whose hub they were opened in."""

    pools: ClassVar = {"http": _GeventHTTPPool, "https": _GeventHTTPSPool}
