"""Connections to addresses that were checked before, which end when the time of a request is up.

    pool = httpcore.ConnectionPool(context, network_backend=Connections(deadline, ["192.0.2.7"]))

The pool still sees the host's name, so that TLS is checked against it and `Host` names it.
"""

import ssl
import time
from collections.abc import Iterable
from typing import Any

import httpcore


class Connections(httpcore.NetworkBackend):
    """Opens TCP connections.

    Args:
        deadline: When all must be over, by `time.monotonic`.
        addresses: What to connect to, in this order, whatever host is asked for; None connects to
            the host, which is then a proxy that the environment names.
    """

    def __init__(self, deadline: float, addresses: list[str] | None) -> None:
        self._deadline = deadline
        self._addresses = addresses
        self._network = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """A stream to the first address that answers."""
        failed: Exception = httpcore.ConnectError(f"no address for {host}")
        for address in [host] if self._addresses is None else self._addresses:
            try:
                left = _left(self._deadline, httpcore.ConnectTimeout)
                stream = self._network.connect_tcp(
                    address, port, left, local_address, socket_options
                )
            except httpcore.ConnectError as exc:
                failed = exc
            else:
                return _Stream(stream, self._deadline)
        raise failed

    def sleep(self, seconds: float) -> None:
        """Wait; the pool does so between its own retries, of which there are none."""
        time.sleep(seconds)


class _Stream(httpcore.NetworkStream):
    """A stream whose every operation has only the time that is left in all."""

    def __init__(self, inner: httpcore.NetworkStream, deadline: float) -> None:
        self._inner = inner
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(self._deadline, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _left(self._deadline, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(self._deadline, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left), self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(deadline: float, error: type[Exception]) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise error("the time for the request is up")
    return left
