"""What went wrong on the wire, in one line: the host and the cause, never a URL."""

from __future__ import annotations

import ssl
from urllib.parse import urlsplit

import requests
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    LocationValueError,
    NameResolutionError,
    ProxySchemeUnknown,
    ReadTimeoutError,
)

from mixpanel_fetch.errors import ConfigError, TransportError

_LONGEST_HOST = 255  # characters
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
    if isinstance(error, (requests.exceptions.InvalidProxyURL, ProxySchemeUnknown)):
        return ConfigError("the proxy that HTTP_PROXY or HTTPS_PROXY names is no address of one")
    if isinstance(error, _NO_ADDRESS):
        return ConfigError(f"cannot ask {host or 'an empty host'}: not an http(s) address")
    certificate = next((c for c in chain if isinstance(c, ssl.SSLCertVerificationError)), None)
    if certificate is not None:
        return TransportError(
            f"the TLS certificate of {host} is not trusted ({certificate.verify_message});"
            " set REQUESTS_CA_BUNDLE to the CA bundle that signed it",
            transient=False,
        )
    if any(isinstance(c, OSError) and "CA certificate bundle" in str(c) for c in chain):
        return ConfigError("the CA bundle named by REQUESTS_CA_BUNDLE or the settings is missing")
    if any(isinstance(c, NameResolutionError) for c in chain):
        return TransportError(f"cannot find the host {host}; check the network and the region")
    if any(isinstance(c, requests.exceptions.ProxyError) for c in chain):
        return TransportError(f"the proxy on the way to {host} refused or failed")
    # NewConnectionError, a refusal, is a kind of ConnectTimeoutError; the last branch words it.
    if any(type(c) in {ConnectTimeoutError, requests.ConnectTimeout} for c in chain):
        return TransportError(f"{host} did not accept a connection in time")
    if any(isinstance(c, (ReadTimeoutError, requests.ReadTimeout, TimeoutError)) for c in chain):
        return TransportError(f"{host} did not answer in time")
    if isinstance(error, DecodeError):
        return TransportError(f"no whole answer from {host}: {error}")
    reason = next((c.strerror for c in chain if isinstance(c, OSError) and c.strerror), None)
    return TransportError(f"no whole answer from {host}: {reason or type(chain[-1]).__name__}")


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
