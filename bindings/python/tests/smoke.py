"""What an installed wheel has to do with nothing but the standard library: `python smoke.py`, in any interpreter."""

import asyncio
import base64
import json
import os
import sys

import pusherc
from pusherc import signing

APP = pusherc.App("1", "app-key", "app-secret", auth="rules", encryption_master_key=base64.b64encode(bytes(32)).decode())
KEYS = signing.Keys(APP.key, APP.secret, APP.encryption_master_key)


class Client:
    """A WebSocket client that can talk to the server, and no more."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def open(cls, port: int) -> "Client":
        client = cls(*await asyncio.open_connection("127.0.0.1", port))
        client.writer.write(b"GET /app/app-key?protocol=7&user=olga HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: "
                            b"Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
        assert b" 101 " in await client.reader.readuntil(b"\r\n\r\n")
        await client.event("pusher:connection_established")
        return client

    async def event(self, name: str) -> dict[str, object]:
        while True:
            length = (await self.reader.readexactly(2))[1]
            if length == 126:
                length = int.from_bytes(await self.reader.readexactly(2), "big")
            frame: dict[str, object] = json.loads(await self.reader.readexactly(length))
            if frame["event"] == name:
                return frame

    def subscribe(self, channel: str) -> None:
        text = json.dumps({"event": "pusher:subscribe", "data": {"channel": channel}}).encode()
        assert len(text) < 126
        self.writer.write(bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)


async def main() -> None:
    server = pusherc.Server([APP], [pusherc.Listen()], workers=2, grace=0, close_timeout_ms=100)
    server.identify(lambda q: pusherc.Identity(q.query("user") or "", {"name": "Zoë"}, data=[1]))

    @server.channel("room.{n}")
    async def room(q: pusherc.Question) -> bool:
        await asyncio.sleep(0.001)
        return q.params["n"] == "1" and q.data == [1]

    async with server, asyncio.timeout(60):
        client = await Client.open(server.port)
        async with server.presence("presence-room.1") as presence:
            client.subscribe("presence-room.1")
            await client.event("pusher_internal:subscription_succeeded")
            assert await anext(presence) == pusherc.PresenceChange("added", "olga", {"name": "Zoë"})
        client.subscribe("private-room.2")
        await client.event("pusher:subscription_error")
        server.publish("presence-room.1", "e", {"n": 1})
        assert (await client.event("e"))["data"] == '{"n":1}'
        async with pusherc.AsyncPublisher(f"http://app-key:app-secret@127.0.0.1:{server.port}/apps/1") as publisher:
            await publisher.publish("presence-room.1", "f", 2)
        await client.event("f")
        assert await server.reauthorize() == (1, 0)
        client.writer.close()
    assert signing.verify_webhook(KEYS, b"x", signing.webhook(KEYS, b"x"))
    sealed = signing.encrypt(KEYS, "private-encrypted-x", "secret")
    assert signing.decrypt(KEYS, "private-encrypted-x", sealed) == b"secret"
    assert {"tls", "encryption", "webhooks", "explain"} <= pusherc.features, pusherc.features


asyncio.run(main())
print(f"{sys.implementation.name} {'.'.join(map(str, sys.version_info[:3]))}: pusherc {pusherc.__version__}, "
      f"{os.path.dirname(pusherc.__file__)}")
