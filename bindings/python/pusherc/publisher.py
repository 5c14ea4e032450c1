"""Publishing over HTTP from processes that have no server: with the standard library only.

    publisher = pusherc.Publisher("http://app-key:app-secret@127.0.0.1:6001/apps/app-id")
    publisher.publish("news", "changed", {"id": 7})

The host may be a unix socket, escaped: "http+unix://app-key:app-secret@%2Frun%2Fpusherc.sock/apps/app-id". Connections are
kept. A request that finds its kept connection closed is sent once more; as the server may have read it before, events carry
an idempotency key.
"""

import asyncio
import hashlib
import hmac
import http.client
import json
import secrets
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self
from urllib.parse import quote, unquote, urlencode, urlsplit

MAX_ANSWER = 64 << 20


class HttpError(Exception):
    """The server has refused a request. `status`: as of HTTP; `text`: why."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


class BatchEvent(NamedTuple):
    """One event of `publish_batch`."""

    channel: str
    name: str
    data: object
    exclude: str | None = None


class _Request(NamedTuple):
    method: str
    target: str
    body: bytes


class _Closed(Exception):
    """The server closed a kept connection before it answered."""


class _Maker:
    """What both kinds of publishers share: the address, and requests with their signatures."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        parts = urlsplit(url)
        app_id = parts.path.removeprefix("/apps/").strip("/")
        if parts.scheme not in ("http", "https", "http+unix") or not parts.username or not parts.password or not app_id:
            raise ValueError("the URL must be http[s]://key:secret@host[:port]/apps/app-id")
        self._prefix, _, app_id = parts.path.rpartition("/apps/")
        self._app = f"{self._prefix}/apps/{app_id.strip('/')}"
        self._key, self._secret = unquote(parts.username), unquote(parts.password).encode()
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._unix = unquote(parts.hostname or "") if parts.scheme == "http+unix" else None
        if self._unix is not None:  # urlsplit makes host names small, paths are not
            self._unix = unquote(parts.netloc.rpartition("@")[2])
        self._host = parts.hostname or "127.0.0.1"
        self._port = parts.port if self._unix is None and parts.port else 443 if self._tls else 80
        self._timeout = timeout
        name = "localhost" if self._unix else f"[{self._host}]" if ":" in self._host else self._host
        default = self._port == (443 if self._tls else 80)
        self._name = name if self._unix or default else f"{name}:{self._port}"

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._app!r})"

    def _request(self, method: str, path: str, params: Mapping[str, str] | None = None, body: Any = None) -> _Request:
        data = b"" if body is None else json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
        query = {"auth_key": self._key, "auth_timestamp": str(int(time.time())), "auth_version": "1.0", **(params or {})}
        if data:
            query["body_md5"] = hashlib.md5(data, usedforsecurity=False).hexdigest()
        path = self._app + path
        # A proxy in front may serve below a prefix; what is signed is the path without it.
        text = f"{method}\n{path.removeprefix(self._prefix)}\n" + "&".join(f"{k}={query[k]}" for k in sorted(query))
        query["auth_signature"] = hmac.new(self._secret, text.encode(), "sha256").hexdigest()
        return _Request(method, f"{path}?{urlencode(query)}", data)

    def _event(self, channel: str | Sequence[str], name: str, data: object, exclude: str | None) -> _Request:
        body: dict[str, Any] = {"idempotency_key": secrets.token_hex(16), "name": name, "data": _text(data)}
        if isinstance(channel, str):
            body["channel"] = channel
        else:
            body["channels"] = list(channel)
        if exclude is not None:
            body["socket_id"] = exclude
        return self._request("POST", "/events", body=body)

    def _batch(self, events: Iterable[BatchEvent]) -> _Request:
        batch = [{"channel": event.channel, "name": event.name, "data": _text(event.data),
                  **({"socket_id": event.exclude} if event.exclude is not None else {})} for event in events]
        return self._request("POST", "/batch_events", body={"idempotency_key": secrets.token_hex(16), "batch": batch})

    def _channels(self, prefix: str, info: Iterable[str]) -> _Request:
        params = {"filter_by_prefix": prefix} if prefix else {}
        wanted = ",".join(info)
        return self._request("GET", "/channels", params | ({"info": wanted} if wanted else {}))

    def _channel(self, name: str, info: Iterable[str]) -> _Request:
        wanted = ",".join(info)
        return self._request("GET", f"/channels/{quote(name, safe='')}", {"info": wanted} if wanted else None)

    def _members(self, channel: str) -> _Request:
        return self._request("GET", f"/channels/{quote(channel, safe='')}/users")

    def _history(self, channel: str, after: str, limit: int) -> _Request:
        params = {"after": after} if after else {}
        return self._request("GET", f"/channels/{quote(channel, safe='')}/history", params | ({"limit": str(limit)} if limit else {}))

    def _user(self, user_id: str) -> _Request:
        return self._request("POST", f"/users/{quote(user_id, safe='')}/terminate_connections", body={})

    @staticmethod
    def _read(status: int, body: bytes) -> Any:
        if status >= 400:
            raise HttpError(status, body.decode("utf-8", "replace").strip())
        return json.loads(body) if body.strip() else {}


def _text(data: object) -> str:
    if isinstance(data, str):
        return data
    if isinstance(data, (bytes, bytearray)):
        return bytes(data).decode()
    return json.dumps(data, separators=(",", ":"), ensure_ascii=False)


class _Unix(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


class Publisher(_Maker):
    """Publishes from any thread, each on a connection of its own."""

    def __init__(self, url: str, *, timeout: float = 10.0) -> None:
        super().__init__(url, timeout=timeout)
        self._local = threading.local()

    def publish(self, channel: str | Sequence[str], event: str, data: object, *, exclude: str | None = None) -> None:
        """Send an event to the subscribers of a channel, or of up to 100: as Server.publish()."""
        self._send(self._event(channel, event, data, exclude))

    def publish_batch(self, events: Iterable[BatchEvent]) -> None:
        """Send up to 10 events."""
        self._send(self._batch(events))

    def send_to_user(self, user_id: str, event: str, data: object) -> None:
        """Send an event to all connections that are signed in as the user."""
        self.publish(f"#server-to-user-{user_id}", event, data)

    def channels(self, prefix: str = "", info: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """The occupied channels. `info`: "user_count" (presence channels), "subscription_count"."""
        found: dict[str, dict[str, Any]] = self._send(self._channels(prefix, info))["channels"]
        return found

    def channel_info(self, name: str, info: Iterable[str] = ()) -> dict[str, Any]:
        """One channel."""
        found: dict[str, Any] = self._send(self._channel(name, info))
        return found

    def members(self, channel: str) -> list[str]:
        """The user ids of a presence channel."""
        return [str(user["id"]) for user in self._send(self._members(channel))["users"]]

    def history(self, channel: str, after: str = "", limit: int = 0) -> dict[str, Any]:
        """The events that a channel keeps, as docs/history.md shows them. `limit`: at most so many; 0 = all."""
        found: dict[str, Any] = self._send(self._history(channel, after, limit))
        return found

    def disconnect_user(self, user_id: str) -> None:
        """Close all connections that are signed in as the user."""
        self._send(self._user(user_id))

    def close(self) -> None:
        """Close this thread's connection."""
        connection = getattr(self._local, "connection", None)
        if connection:
            connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _connect(self) -> http.client.HTTPConnection:
        if self._unix is not None:
            return _Unix(self._unix, self._timeout)
        if self._tls is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(self._host, self._port, timeout=self._timeout)

    def _send(self, request: _Request) -> Any:
        connection: http.client.HTTPConnection | None = getattr(self._local, "connection", None)
        if connection is not None and connection.sock is not None:
            try:
                return self._read(*self._try(connection, request))
            except (http.client.RemoteDisconnected, ConnectionError):
                connection.close()
        self._local.connection = connection = self._connect()
        return self._read(*self._try(connection, request))

    def _try(self, connection: http.client.HTTPConnection, request: _Request) -> tuple[int, bytes]:
        try:
            connection.request(request.method, request.target, request.body or None,
                               {"Content-Type": "application/json", "Host": self._name})
            answer = connection.getresponse()
            return answer.status, answer.read(MAX_ANSWER)
        except BaseException:
            connection.close()  # what is left in it belongs to this request
            raise


class AsyncPublisher(_Maker):
    """As Publisher, for asyncio. Keeps a connection for each request that is under way at the same time."""

    def __init__(self, url: str, *, timeout: float = 10.0, max_idle: int = 16) -> None:
        super().__init__(url, timeout=timeout)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._max_idle = max_idle

    async def publish(self, channel: str | Sequence[str], event: str, data: object, *, exclude: str | None = None) -> None:
        """Send an event to the subscribers of a channel, or of up to 100: as Server.publish()."""
        await self._send(self._event(channel, event, data, exclude))

    async def publish_batch(self, events: Iterable[BatchEvent]) -> None:
        """Send up to 10 events."""
        await self._send(self._batch(events))

    async def send_to_user(self, user_id: str, event: str, data: object) -> None:
        """Send an event to all connections that are signed in as the user."""
        await self.publish(f"#server-to-user-{user_id}", event, data)

    async def channels(self, prefix: str = "", info: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """The occupied channels. `info`: "user_count" (presence channels), "subscription_count"."""
        found: dict[str, dict[str, Any]] = (await self._send(self._channels(prefix, info)))["channels"]
        return found

    async def channel_info(self, name: str, info: Iterable[str] = ()) -> dict[str, Any]:
        """One channel."""
        found: dict[str, Any] = await self._send(self._channel(name, info))
        return found

    async def members(self, channel: str) -> list[str]:
        """The user ids of a presence channel."""
        return [str(user["id"]) for user in (await self._send(self._members(channel)))["users"]]

    async def history(self, channel: str, after: str = "", limit: int = 0) -> dict[str, Any]:
        """The events that a channel keeps, as docs/history.md shows them. `limit`: at most so many; 0 = all."""
        found: dict[str, Any] = await self._send(self._history(channel, after, limit))
        return found

    async def disconnect_user(self, user_id: str) -> None:
        """Close all connections that are signed in as the user."""
        await self._send(self._user(user_id))

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop()[1].close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.close()

    async def _send(self, request: _Request) -> Any:
        async with asyncio.timeout(self._timeout):
            while self._idle:
                reader, writer = self._idle.pop()
                try:
                    return self._read(*await self._try(reader, writer, request))
                except (_Closed, ConnectionError):
                    continue
            if self._unix is not None:
                reader, writer = await asyncio.open_unix_connection(self._unix)
            else:
                reader, writer = await asyncio.open_connection(self._host, self._port, ssl=self._tls)
            return self._read(*await self._try(reader, writer, request))

    async def _try(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: _Request) -> tuple[int, bytes]:
        try:
            writer.write(f"{request.method} {request.target} HTTP/1.1\r\nHost: {self._name}\r\n"
                         f"Content-Type: application/json\r\nContent-Length: {len(request.body)}\r\n\r\n".encode()
                         + request.body)
            await writer.drain()
            status, fields = await _head(reader)
            body = await _body(reader, fields)
        except asyncio.IncompleteReadError as end:
            writer.close()
            raise _Closed("the server closed the connection before it answered") from end
        except BaseException:
            writer.close()
            raise
        if fields.get("connection", "").lower() == "close" or len(self._idle) >= self._max_idle:
            writer.close()
        else:
            self._idle.append((reader, writer))
        return status, body


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
    return int(lines[0].split(" ", 2)[1]), fields


async def _body(reader: asyncio.StreamReader, fields: Mapping[str, str]) -> bytes:
    if fields.get("transfer-encoding", "").lower() == "chunked":
        parts: list[bytes] = []
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            parts.append((await reader.readexactly(size + 2))[:-2])
        await reader.readuntil(b"\r\n")
        return b"".join(parts)
    return await reader.readexactly(min(int(fields.get("content-length", "0")), MAX_ANSWER))
