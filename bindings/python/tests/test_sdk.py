"""The real clients: Pusher's SDK for Python, and stock pusher-js."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from typing import Any

import pusher
import pytest
from conftest import MASTER_KEY, PATIENCE, TOP, Connect, Serve, app

import pusherc


@pytest.fixture
async def open_server(serve: Serve) -> AsyncIterator[pusherc.Server]:
    server = pusherc.Server([app(auth="either", encryption_master_key=MASTER_KEY)], [pusherc.Listen()], grace=0, close_timeout_ms=200)

    @server.identify
    def who(question: pusherc.IdentifyRequest) -> pusherc.Identity | None:
        user = question.query("user")
        return pusherc.Identity(user, {"name": user}) if user else None

    @server.channel("{name...}")
    def allow(question: pusherc.Question) -> bool:
        return "secret" not in question.channel or question.user_id == "olga"

    yield await serve(server)


async def test_the_python_sdk(open_server: pusherc.Server, connect: Connect) -> None:
    sdk = pusher.Pusher("1", "app-key", "app-secret", ssl=False, host="127.0.0.1", port=open_server.port,
                        encryption_master_key_base64=MASTER_KEY)
    client = await connect(open_server)
    member = await asyncio.to_thread(sdk.authenticate, "presence-x", client.socket_id, {"user_id": "7"})
    await client.joined("presence-x", **member)
    await asyncio.to_thread(sdk.trigger, "presence-x", "e", {"a": 1})
    assert json.loads((await client.event("e"))["data"]) == {"a": 1}
    await asyncio.to_thread(sdk.trigger_batch, [{"channel": "presence-x", "name": "b", "data": {"n": n}} for n in range(3)])
    assert [json.loads(frame["data"])["n"] for frame in await client.quiet()] == [0, 1, 2]
    channels = await asyncio.to_thread(sdk.channels_info, "presence-", ["user_count"])
    assert channels == {"channels": {"presence-x": {"user_count": 1}}}
    assert await asyncio.to_thread(sdk.users_info, "presence-x") == {"users": [{"id": "7"}]}
    user = await asyncio.to_thread(sdk.authenticate_user, client.socket_id, {"id": "7"})
    await client.send("pusher:signin", **user)
    await client.event("pusher:signin_success")
    await asyncio.to_thread(sdk.terminate_user_connections, "7")
    assert await client.closed() == 4009


class PusherJs:
    def __init__(self, port: int, user: str) -> None:
        library = str(TOP / "tests/node_modules/pusher-js")
        script = str(TOP / "bindings/python/tests/pusher_js.js")
        self.process = subprocess.Popen([str(TOP / "tools/node"), script, library, str(port), user], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    async def hears(self, name: str) -> Any:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self.process.stdout
                event = json.loads(await asyncio.to_thread(self.process.stdout.readline))
                if event["name"] == name:
                    return event.get("data")

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.communicate(timeout=PATIENCE)


async def test_stock_pusher_js(open_server: pusherc.Server) -> None:
    client = PusherJs(open_server.port, "olga")
    try:
        socket_id = await client.hears("connected")
        client.tell("private-secret")
        await client.hears("pusher:subscription_succeeded")
        open_server.publish("private-secret", "told", {"a": "ü"})
        assert await client.hears("told") == {"a": "ü"}
        client.tell("presence-room")
        assert (await client.hears("pusher:subscription_succeeded"))["members"] == {"olga": {"name": "olga"}}
        assert open_server.members("presence-room")[0].user_id == "olga"
        open_server.publish("private-secret", "hidden", 1, exclude=socket_id)
        await asyncio.sleep(0)
        open_server.publish("private-secret", "shown", 2)
        assert await client.hears("shown") == 2
    finally:
        await asyncio.to_thread(client.end)
