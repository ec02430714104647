"""What went wrong on the wire, in one line: the host and the cause, never a URL."""

from __future__ import annotations

import re
import ssl
from datetime import datetime, timezone
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    LocationValueError,
    NameResolutionError,
    NewConnectionError,
    ProxySchemeUnknown,
    ReadTimeoutError,
)

from mixpanel_fetch.errors import ConfigError, TransportError

_LONGEST_HOST = 255  # characters
_NOT_YET_VALID, _EXPIRED, _OTHER_NAMES = 9, 10, {62, 64}  # OpenSSL's X509_V_ERR_...
_TUNNEL = re.compile(r"Tunnel connection failed: ([^'\"]{1,60})")
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.InvalidSchema,
    requests.exceptions.MissingSchema,
    LocationValueError,
)


def explained(error: Exception, url: str) -> TransportError | ConfigError:
    """Return one line that names the host and the cause; no URL, which may carry user names."""
    host = _host_of(url)
    chain = _causes(error)
    if "SOCKS" in str(error) and isinstance(error, requests.exceptions.InvalidSchema):
        return ConfigError("the environment names a SOCKS proxy, which needs PySocks: install it")
    no_proxy = isinstance(error, (requests.exceptions.InvalidProxyURL, ProxySchemeUnknown))
    if no_proxy or "SOCKS version" in str(error):
        return ConfigError("the proxy that HTTP_PROXY or HTTPS_PROXY names is no address of one")
    if isinstance(error, _NO_ADDRESS):
        return ConfigError(f"cannot ask {host or 'an empty host'}: not an http(s) address")
    certificate = next((c for c in chain if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return _not_trusted(certificate, host)
    if any(isinstance(c, OSError) and "CA certificate bundle" in str(c) for c in chain):
        return ConfigError("the CA bundle named by REQUESTS_CA_BUNDLE or the settings is missing")
    reason = next((c.strerror for c in chain if isinstance(c, OSError) and c.strerror), None)
    if any(isinstance(c, requests.exceptions.ProxyError) for c in chain):
        return _no_proxy(chain, reason, url)
    if any(isinstance(c, NameResolutionError) for c in chain):
        return TransportError(f"cannot find the host {host}; check the network and the region")
    if any(isinstance(c, NewConnectionError) for c in chain):
        return TransportError(
            f"cannot connect to {host} ({reason}); check the network, a firewall, MP_API_BASE_URL"
        )
    if any(type(c) in {ConnectTimeoutError, requests.ConnectTimeout} for c in chain):
        return TransportError(f"{host} did not accept a connection in time")
    if any(isinstance(c, (ReadTimeoutError, requests.ReadTimeout, TimeoutError)) for c in chain):
        return TransportError(f"{host} did not answer in time")
    if isinstance(error, DecodeError):
        return TransportError(f"no whole answer from {host}: {error}")
    return TransportError(f"no whole answer from {host}: {reason or type(chain[-1]).__name__}")


def _not_trusted(error: ssl.SSLCertVerificationError, host: str) -> TransportError:
    said = f"the TLS certificate of {host}"
    if error.verify_code in {_NOT_YET_VALID, _EXPIRED}:
        clock = f"by this machine's clock ({datetime.now(timezone.utc):%Y-%m-%d %H:%M} UTC)"
        words = (
            f"{said} is not valid yet {clock}; set the clock"
            if error.verify_code == _NOT_YET_VALID
            else f"{said} has expired {clock}; set the clock if it is wrong"
        )
        return TransportError(words, transient=False, expired=True)
    if error.verify_code in _OTHER_NAMES:
        return TransportError(
            f"{said} is another host's: something on the way answers in its place; check the"
            " network, the proxy and MP_API_BASE_URL",
            transient=False,
        )
    return TransportError(
        f"{said} is not trusted ({error.verify_message}); set REQUESTS_CA_BUNDLE to the CA bundle"
        " that signed it",
        transient=False,
    )


def _no_proxy(chain: list[BaseException], reason: str | None, url: str) -> TransportError:
    scheme = urlsplit(url).scheme
    proxies = requests.utils.get_environ_proxies(url)
    name = next((name for name in (scheme, "all") if name in proxies), scheme)
    address = proxies.get(name, "")
    proxy = _host_of(address if "://" in address else f"//{address}")
    refusal = next((_TUNNEL.search(str(c)) for c in chain if _TUNNEL.search(str(c))), None)
    if refusal is not None:
        return TransportError(
            f"the proxy {proxy} does not let us through to {_host_of(url)} ({refusal[1]}); check"
            f" {name.upper()}_PROXY",
            transient=not refusal[1].startswith("4"),
        )
    return TransportError(
        f"cannot reach the proxy {proxy} ({reason or type(chain[-1]).__name__}); correct or unset"
        f" {name.upper()}_PROXY"
    )


def _host_of(url: str) -> str:
    try:
        host = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:  # a bracket that is not closed
        return ""
    return "".join(one if one.isprintable() else "?" for one in host)[:_LONGEST_HOST]


def _causes(error: BaseException) -> list[BaseException]:
    """Return the errors behind ``error``, itself first: urllib3 hides them in several places."""
    chain: list[BaseException] = []
    queue: list[object] = [error]
    while queue and len(chain) < 20:
        current = queue.pop(0)
        if not isinstance(current, BaseException) or current in chain:
            continue
        chain.append(current)
        queue += [current.__cause__, current.__context__, getattr(current, "reason", None)]
        queue += current.args
    return chain
