"""Makes one Python process take the simulator for mixpanel.com, and keeps it off every other place.

Loaded by the interpreter itself from PYTHONPATH, before the tool. The port on 127.0.0.1 is in
BENCHMARK_PORT. Any other name or address raises; nothing is looked up and nothing is sent.
"""

import os
import socket
from collections.abc import Callable
from typing import Any, NoReturn

_HOSTS = {"mixpanel.com", "127.0.0.1"}
_PLACE = ("127.0.0.1", int(os.environ["BENCHMARK_PORT"]))


class RefusedAddressError(OSError):
    """The tool asked for something that is not the simulator."""


def _getaddrinfo(host: object, *_: object, **__: object) -> list[Any]:
    if host not in _HOSTS:
        raise RefusedAddressError(f"refused: {host!r}")
    return [(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "", _PLACE)]


def _refuse(*_: object, **__: object) -> NoReturn:
    raise RefusedAddressError("refused")


def _guarded(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
    def call(self: socket.socket, address: Any) -> Any:
        if self.family != socket.AF_INET or tuple(address) != _PLACE:
            raise RefusedAddressError(f"refused: {address!r}")
        return method(self, address)

    return call


for _name in ("connect", "connect_ex"):
    setattr(socket.socket, _name, _guarded(getattr(socket.socket, _name)))
for _name in ("sendto", "sendmsg"):
    setattr(socket.socket, _name, _refuse)
for _name in ("gethostbyname", "gethostbyname_ex", "gethostbyaddr", "getnameinfo"):
    setattr(socket, _name, _refuse)
# The last one: whoever finds it in its place knows that all of the above holds.
socket.getaddrinfo = _getaddrinfo
