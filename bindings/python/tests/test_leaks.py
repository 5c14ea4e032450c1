"""Memory stays: what one authorization or publish costs is gone afterwards. PUSHERC_LONG=1 makes a million of each."""

import asyncio
import gc
import json
import os
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest
from conftest import Connect, Serve, app

import pusherc
from pusherc import signing

COUNT = 1_000_000 if os.environ.get("PUSHERC_LONG") else 10_000
# What is counted object by object, which takes several times as long.
TRACED = min(COUNT, 50_000)
MIB = 1 << 20


def resident() -> int:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


async def leaves_nothing(work: Callable[[int], Awaitable[None]], what: str) -> None:
    """After a tenth, the memory of the process stays; and so do the objects of Python."""
    await work(COUNT // 10)
    gc.collect()
    before = resident()
    await work(COUNT)
    gc.collect()
    rss = resident() - before
    tracemalloc.start()
    try:
        await work(TRACED // 10)
        gc.collect()
        before = tracemalloc.get_traced_memory()[0]
        await work(TRACED)
        gc.collect()
        traced = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    print(f"{what}: {COUNT} cost {rss} resident bytes, {TRACED} cost {traced} bytes of Python")
    assert traced < 256 << 10, f"{what}: {traced} bytes of Python more"
    assert rss < 8 * MIB, f"{what}: {rss} bytes more resident"


def frame(text: str) -> bytes:
    """A text frame of a client, at most 125 bytes; its mask is zero."""
    return bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text.encode()


class Asker:
    """A client that asks for a hundred channels at a time, and takes no more than it must of this process."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._subscribe, self._unsubscribe = (
            b"".join(frame(json.dumps({"event": f"pusher:{event}subscribe", "data": {"channel": f"private-x.{n}"}})) for n in range(100))
            for event in ("", "un"))

    @classmethod
    async def open(cls, port: int) -> "Asker":
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        await reader.readuntil(b"connection_established")
        return cls(reader, writer)

    async def ask(self) -> None:
        """Subscribe to all, wait for the answers, and give them back."""
        self._writer.write(self._subscribe)
        for _ in range(100):
            await self._reader.readuntil(b"subscription_succeeded")
        self._writer.write(self._unsubscribe)

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()


@pytest.mark.parametrize("kind", ["function", "coroutine", "batch"])
async def test_authorizations_leave_nothing(kind: str, serve: Serve) -> None:
    server = pusherc.Server([app(max_client_messages_per_s=None)], [pusherc.Listen()])
    asked = 0

    def allow(question: pusherc.Question) -> dict[str, object] | bool:
        nonlocal asked
        asked += 1
        return {"params": question.params} if asked % 2 else True

    async def allow_later(question: pusherc.Question) -> dict[str, object] | bool:
        await asyncio.sleep(0)
        return allow(question)

    if kind == "batch":
        server.channel_batch("x.{n}")(lambda questions: [allow(question) for question in questions])
    else:
        server.channel("x.{n}")(allow if kind == "function" else allow_later)
    client = await Asker.open((await serve(server)).port)

    async def ask(count: int) -> None:
        end = asked + count
        while asked < end:
            await client.ask()

    try:
        await leaves_nothing(ask, f"authorizations by {kind}")
    finally:
        await client.close()


async def test_publishes_leave_nothing(serve: Serve, connect: Connect) -> None:
    server = await serve(pusherc.Server([app()], [pusherc.Listen()]))
    client = await connect(server)
    await client.joined("news")

    def publish(count: int) -> None:
        for n in range(count // 2):
            server.publish("nobody", "e", {"n": n})
            try:
                server.publish("nobody", "e", "text", app="none")
            except pusherc.NotFoundError:
                pass

    async def hear(count: int) -> None:
        for n in range(count // 100):
            server.publish(["news", "nobody"], "e", {"n": n}, exclude="1.1")
            await client.ws.recv()
            server.channels(), server.stats, server.connections()

    async def both(count: int) -> None:
        await asyncio.to_thread(publish, count)  # the client's loop answers pings meanwhile
        await hear(count)

    await leaves_nothing(both, "publishes")


async def test_questions_to_the_server_leave_nothing(serve: Serve, connect: Connect) -> None:
    """Users, the past of a channel, what a rule says, and why a signature is refused."""
    server = await serve(pusherc.Server([app(user_events=True, history=[pusherc.History("news", max_events=5)])], [pusherc.Listen()]))
    client = await connect(server)
    await client.joined("news")
    keys = signing.Keys("app-key", "app-secret")
    auth = signing.channel(keys, "1.2", "private-a")

    def ask(count: int) -> None:
        for n in range(count // 5):
            server.users(away_too=True)
            server.user("olga")
            server.history("news")
            server.explain("news")
            if "explain" in pusherc.features:
                assert signing.explain_channel(keys, auth, "1.2", "private-b")
            if n % 100 == 0:
                server.publish("news", "e", {"n": n})

    await leaves_nothing(lambda count: asyncio.to_thread(ask, count), "questions to the server")
