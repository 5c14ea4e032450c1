"""Beside an ASGI application on one port: uvicorn accepts, and hands over the connections that are for the server.

    @contextlib.asynccontextmanager
    async def lifespan(app):
        async with server:
            yield

    uvicorn.run(app, http=pusherc.uvicorn.protocol(server))

The class looks at the first bytes of each request. Those for the server's paths (`/app/`, `/apps/`, and the auth endpoints)
go to the server with a duplicate of their socket; the application serves the rest. Not behind uvicorn's own TLS: the server
speaks plain HTTP on a socket that it was given.
"""

import asyncio
import os
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.http.auto import AutoHTTPProtocol
from uvicorn.protocols.http.h11_impl import H11Protocol as _H11Protocol

from pusherc.errors import Error
from pusherc.server import Server, running

if TYPE_CHECKING:
    _Base = asyncio.Protocol
else:
    _Base = object

LONGEST_METHOD = 16


class HandOver(_Base):
    """What is put before one of uvicorn's protocols."""

    pusherc_server: Server | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._pusherc_transport = cast(asyncio.Transport, transport)
        self._pusherc_head = b""  # the beginning of a request, too short to decide
        self._pusherc_gone = False
        super().connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._pusherc_gone:
            return
        if self._pusherc_head or self._pusherc_begins():
            data = self._pusherc_head + data
            server = self.pusherc_server or running()
            whose = None if server is None else _is_for(server.paths, data)
            if whose is None and server is not None and len(data) <= LONGEST_METHOD + server.longest_path:
                self._pusherc_head = data
                return
            self._pusherc_head = b""
            if whose and server is not None and self._pusherc_hand_over(server, data):
                return
        super().data_received(data)

    def eof_received(self) -> bool | None:
        if self._pusherc_head:
            head, self._pusherc_head = self._pusherc_head, b""
            super().data_received(head)
        return super().eof_received()

    def _pusherc_begins(self) -> bool:
        """A new request begins here: the first one, or one after another that was answered."""
        state = cast(Any, self)
        cycle = state.cycle
        if cycle is None:
            begun = getattr(self, "_pusherc_begun", False)
            self._pusherc_begun = True
            return not begun
        return bool(cycle.response_complete and not cycle.more_body and not getattr(state, "pipeline", None))

    def _pusherc_hand_over(self, server: Server, data: bytes) -> bool:
        transport = self._pusherc_transport
        sock = transport.get_extra_info("socket")
        if sock is None or transport.get_extra_info("sslcontext") is not None:
            return False
        copy = os.dup(sock.fileno())
        try:
            server.adopt(copy, data)
        except Error:
            os.close(copy)
            return False
        # Closes uvicorn's descriptor; the connection goes on with the other one.
        self._pusherc_gone = True
        transport.abort()
        return True


class Protocol(HandOver, AutoHTTPProtocol):  # type: ignore[misc, valid-type]
    """For `uvicorn.Config(http=pusherc.uvicorn.Protocol)`: hands connections to the one server that runs in the process."""


class H11Protocol(HandOver, _H11Protocol):  # type: ignore[misc]
    """The same, with h11 even where httptools is installed."""


def _is_for(paths: tuple[bytes, ...], data: bytes) -> bool | None:
    """Is the request that begins so for the server? None: it is too short to tell."""
    method, space, target = data[:LONGEST_METHOD + 1].partition(b" ")
    if not space:
        return None if len(data) <= LONGEST_METHOD else False
    target = data[len(method) + 1:]
    undecided = False
    for path in paths:
        if target.startswith(path):
            after = target[len(path):len(path) + 1]
            if path.endswith(b"/") or after in (b" ", b"?"):
                return True
            if not after:
                undecided = True
        elif path.startswith(target):
            undecided = True
    return None if undecided else False


def protocol(server: Server) -> type[Protocol]:
    """A class for `uvicorn.Config(http=...)` that hands connections to this server."""
    return cast(type[Protocol], type("Protocol", (Protocol,), {"pusherc_server": server}))
