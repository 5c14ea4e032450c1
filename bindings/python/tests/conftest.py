"""What the tests share: a server that ends with its test, and clients."""

import asyncio
import json
import os
import pathlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import websockets
from websockets.asyncio.client import ClientConnection

import pusherc

TOP = pathlib.Path(__file__).resolve().parents[3]
PATIENCE = 60.0  # a failure waits so long
MASTER_KEY = "MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTI="


def app(**settings: Any) -> pusherc.App:
    return pusherc.App("1", "app-key", "app-secret", **{"auth": "rules", **settings})


class Client:
    """A client of the protocol."""

    def __init__(self, ws: ClientConnection) -> None:
        self.ws = ws
        self.socket_id = ""
        self.seen: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, port: int, *, user: str = "", key: str = "app-key", headers: dict[str, str] | None = None) -> "Client":
        url = f"ws://127.0.0.1:{port}/app/{key}?protocol=7" + (f"&user={user}" if user else "")
        client = cls(await websockets.connect(url, additional_headers=headers, compression=None, close_timeout=1))
        established = await client.event("pusher:connection_established")
        client.socket_id = json.loads(established["data"])["socket_id"]
        return client

    async def next(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            frame: dict[str, Any] = json.loads(await self.ws.recv())
        self.seen.append(frame)
        return frame

    async def event(self, name: str, channel: str | None = None) -> dict[str, Any]:
        """The next event of that name; those before it are passed over."""
        while True:
            frame = await self.next()
            if frame["event"] == name and channel in (None, frame.get("channel")):
                return frame

    async def send(self, event: str, **data: Any) -> None:
        await self.ws.send(json.dumps({"event": event, "data": data}))

    async def ask(self, channel: str, **data: Any) -> None:
        await self.send("pusher:subscribe", channel=channel, **data)

    async def subscribe(self, channel: str, **data: Any) -> dict[str, Any]:
        """The answer to a subscription: succeeded, or its error."""
        await self.ask(channel, **data)
        while True:
            frame = await self.next()
            if frame.get("channel") == channel and frame["event"].partition(":")[2] in (
                    "subscription_succeeded", "subscription_error"):
                return frame

    async def joined(self, channel: str, **data: Any) -> dict[str, Any]:
        """What a successful subscription says."""
        frame = await self.subscribe(channel, **data)
        assert frame["event"] == "pusher_internal:subscription_succeeded", frame
        found: dict[str, Any] = json.loads(frame["data"] or "{}")
        return found

    async def refused(self, channel: str, **data: Any) -> dict[str, Any]:
        frame = await self.subscribe(channel, **data)
        assert frame["event"] == "pusher:subscription_error", frame
        said = frame["data"]
        found: dict[str, Any] = json.loads(said) if isinstance(said, str) else said
        return found

    async def quiet(self) -> list[dict[str, Any]]:
        """What came before the answer to a ping."""
        before = len(self.seen)
        await self.send("pusher:ping")
        await self.event("pusher:pong")
        return self.seen[before:-1]

    async def closed(self) -> int:
        async with asyncio.timeout(PATIENCE):
            await self.ws.wait_closed()
        return self.ws.close_code or 0

    async def close(self) -> None:
        await self.ws.close()


Serve = Callable[..., Awaitable[pusherc.Server]]
Connect = Callable[..., Awaitable[Client]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    """serve(server): starts it; it ends with the test."""
    servers: list[pusherc.Server] = []

    async def start(server: pusherc.Server) -> pusherc.Server:
        await server.start()
        servers.append(server)
        return server

    yield start
    for server in servers:
        await server.stop(0)


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """connect(server, user=...): a client that ends with the test."""
    clients: list[Client] = []

    async def open(server: pusherc.Server | int, **options: Any) -> Client:
        clients.append(await Client.open(server if isinstance(server, int) else server.port, **options))
        return clients[-1]

    yield open
    for client in clients:
        await client.close()


@pytest.fixture
def server() -> pusherc.Server:
    """A server whose clients say in the query who they are. Its rules come from the test."""
    made = pusherc.Server([app(client_events=True)], [pusherc.Listen()], grace=0, close_timeout_ms=200)

    @made.identify
    def who(question: pusherc.IdentifyRequest) -> pusherc.Identity | None:
        user = question.query("user")
        return pusherc.Identity(user, {"name": user}) if user else None

    return made


async def until(condition: Callable[[], Any], what: str = "") -> Any:
    """Wait for something to become true."""
    async with asyncio.timeout(PATIENCE):
        while not (found := condition()):
            await asyncio.sleep(0.005)
    return found


def python(program: str, *arguments: str, **options: Any) -> "subprocess.Popen[str]":
    """A program of its own; it does not outlive the test by much."""
    return subprocess.Popen([sys.executable, "-X", "dev", "-c", program, *arguments], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, stdin=subprocess.PIPE, text=True,
                            env={**os.environ, "PYTHONWARNINGS": "error"}, **options)


def ended(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """What it has printed; its status is 0."""
    try:
        out, err = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGABRT)  # says where it is
        out, err = process.communicate()
    assert process.returncode == 0, f"status {process.returncode}\n{out}\n{err}"
    return out, err
