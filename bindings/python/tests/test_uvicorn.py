"""A FastAPI application and the server on one port."""

import asyncio
import contextlib
import http.client
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn
from conftest import PATIENCE, Client, app
from fastapi import FastAPI, WebSocket

import pusherc
import pusherc.uvicorn

# What the package was tried with; another version is tried by changing this, after reading its changes.
TRIED = ["0.54.0"]

LOOPS = ["asyncio", "uvloop"]
PROTOCOLS = ["httptools", "h11"]


def test_the_version_is_one_that_was_tried() -> None:
    assert uvicorn.__version__ in TRIED


def application(server: pusherc.Server) -> FastAPI:
    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with server:
            yield

    application = FastAPI(lifespan=lifespan)

    @application.get("/")
    async def page() -> dict[str, str]:
        return {"page": "home"}

    @application.post("/tell")
    async def tell(data: dict[str, Any]) -> dict[str, bool]:
        server.publish("private-x", "told", data)
        return {"told": True}

    @application.websocket("/own")
    async def own(ws: WebSocket) -> None:
        await ws.accept()
        await ws.send_text("mine")
        await ws.close()

    return application


async def run(protocol: str, exact: bool = True) -> None:
    server = pusherc.Server([app()], grace=0, close_timeout_ms=200)
    server.channel("x")(lambda question: True)
    server.identify(lambda question: pusherc.Identity("olga"))
    made: Any = pusherc.uvicorn.protocol(server) if exact else pusherc.uvicorn.Protocol
    if protocol == "h11":
        made = pusherc.uvicorn.H11Protocol
    config = uvicorn.Config(application(server), port=0, http=made, loop="none", log_level="warning", ws="websockets-sansio")
    host = uvicorn.Server(config)
    serving = asyncio.create_task(host.serve())
    async with asyncio.timeout(60):
        while not host.started:
            await asyncio.sleep(0.005)
        port = host.servers[0].sockets[0].getsockname()[1]
        try:
            await check(server, port)
        finally:
            host.should_exit = True
            await serving


async def check(server: pusherc.Server, port: int) -> None:
    client = await Client.open(port)
    await client.joined("private-x")

    def requests() -> list[tuple[int, str]]:
        """On one connection: pages of the application, and then what is for the server."""
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
        found = []
        form = {"Content-Type": "application/x-www-form-urlencoded"}
        for method, path, body, headers in [
                ("GET", "/", None, {}), ("POST", "/tell", json.dumps({"a": 1}), {"Content-Type": "application/json"}),
                ("GET", "/apps", None, {}), ("GET", "/application", None, {}),
                ("POST", "/broadcasting/auth", f"socket_id={client.socket_id}&channel_name=private-x", form)]:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            found.append((answer.status, answer.read().decode()))
        connection.close()
        return found

    found = await asyncio.to_thread(requests)
    assert found[0] == (200, '{"page":"home"}') and found[1] == (200, '{"told":true}'), found
    assert [status for status, _ in found[2:4]] == [404, 404] and "Not Found" in found[2][1], "the application's 404"
    assert found[4][0] == 200 and json.loads(found[4][1])["auth"].startswith("app-key:"), found[4]
    assert json.loads((await client.event("told"))["data"]) == {"a": 1}
    publisher = pusherc.Publisher(f"http://app-key:app-secret@127.0.0.1:{port}/apps/1")
    await asyncio.to_thread(publisher.publish, "private-x", "e", 1)
    await client.event("e")
    import websockets
    async with websockets.connect(f"ws://127.0.0.1:{port}/own") as ws:
        assert await ws.recv() == "mine"
    await byte_by_byte(port)
    await client.close()


async def byte_by_byte(port: int) -> None:
    """A head in packets of a byte each is handed over all the same, and that of a page is not."""
    for head, said in [(b"GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", b"established"),
                       (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"home"), (b"GET /ap HTTP/1.0\r\n\r\n", b"404"),
                       (b"NOTAMETHODATALLBUTLONG / HTTP/1.1\r\n\r\n", b"400")]:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        whole = head.startswith(b"NOT")  # refused before the end
        for n in [0] if whole else range(len(head)):
            writer.write(head if whole else head[n:n + 1])
            await writer.drain()
            await asyncio.sleep(0.0005)
        got = b""
        while said not in got:
            more = await reader.read(4096)
            assert more, got
            got += more
        writer.close()


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_one_port_for_pages_websockets_and_the_http_api(loop: str, protocol: str) -> None:
    if loop == "uvloop":
        import uvloop
        uvloop.run(run(protocol))
    else:
        asyncio.run(run(protocol))


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")
def test_the_class_finds_the_one_server_that_runs() -> None:
    asyncio.run(run("httptools", exact=False))
