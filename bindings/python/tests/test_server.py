"""The rest of the server's surface: publishing, queries, connections, apps, certificates, sockets."""

import asyncio
import json
import logging
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from conftest import MASTER_KEY, PATIENCE, Connect, Serve, app, until

import pusherc
from pusherc import signing


@pytest.fixture
async def open_server(server: pusherc.Server, serve: Serve) -> AsyncIterator[pusherc.Server]:
    """Each user may have each channel."""
    server.channel("{name...}", kinds="private presence encrypted")(lambda question: True)
    yield await serve(server)


async def test_publishes_text_as_it_is_and_the_rest_as_json(open_server: pusherc.Server, connect: Connect) -> None:
    client = await connect(open_server)
    await client.joined("news")
    for data, sent in [("text", "text"), ({"a": "ü\"\n"}, '{"a":"ü\\"\\n"}'), (7, "7"), (None, "null"), (b"raw", "raw"),
                       ("nul \0", "nul \0"), ("", "")]:
        open_server.publish("news", "e", data)
        assert (await client.event("e"))["data"] == sent


async def test_publishes_to_several_channels_and_not_to_one_client(open_server: pusherc.Server, connect: Connect) -> None:
    first, second = await connect(open_server), await connect(open_server)
    for client in (first, second):
        for name in ("a", "b"):
            await client.joined(name)
    open_server.publish(["a", "b"], "e", 1, exclude=first.socket_id)
    open_server.publish("a", "f", 1, exclude=first.socket_id)
    assert [frame["channel"] for frame in await second.quiet()] == ["a", "b", "a"]
    assert await first.quiet() == []


async def test_publishes_a_batch_in_order(open_server: pusherc.Server, connect: Connect) -> None:
    client = await connect(open_server)
    await client.joined("a")
    open_server.publish_batch([pusherc.Event("a", "e", n, client.socket_id if n == 3 else None) for n in range(10)])
    assert [json.loads(frame["data"]) for frame in await client.quiet()] == [n for n in range(10) if n != 3]
    with pytest.raises(pusherc.InvalidError):
        open_server.publish_batch([pusherc.Event("a", "e", n) for n in range(11)])


async def test_publishes_from_any_thread_while_it_stops(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    """A thread that publishes never meets freed memory: it gets StateError."""
    await serve(server)
    ends: list[BaseException] = []

    def publish() -> None:
        try:
            while True:
                server.publish("a", "e", {"n": 1})
                server.channels()
        except BaseException as why:
            ends.append(why)

    threads = [threading.Thread(target=publish) for _ in range(4)]
    for thread in threads:
        thread.start()
    await asyncio.sleep(0.1)
    await server.stop()
    for thread in threads:
        thread.join(PATIENCE)
    assert [type(why) for why in ends] == [pusherc.StateError] * 4


async def test_what_is_wrong_has_a_class_of_its_own(open_server: pusherc.Server) -> None:
    wrongs: list[tuple[Callable[[], object], type[pusherc.Error], str]] = [
            (lambda: open_server.publish("bad name", "e", 1), pusherc.InvalidError, "EINVAL"),
            (lambda: open_server.publish("a", "e", 1, app="none"), pusherc.NotFoundError, "ENOENT"),
            (lambda: open_server.publish("a", "e", "x" * 20000), pusherc.LimitError, "ELIMIT"),
            (lambda: open_server.publish("a", "e", 1, exclude="x"), pusherc.InvalidError, "EINVAL"),
            (lambda: open_server.put_app(pusherc.App("2", "app-key", "x")), pusherc.ExistsError, "EEXIST"),
            (lambda: open_server.members("news"), pusherc.InvalidError, "EINVAL")]
    for wrong, kind, name in wrongs:
        with pytest.raises(kind) as found:
            wrong()
        assert found.value.name == name and isinstance(found.value, pusherc.Error)
    assert isinstance(pusherc.InvalidError(-20001), ValueError)
    assert str(pusherc.BacklogError(-20014)) == "an internal queue is full; try later"


def test_every_code_has_a_class() -> None:
    from pusherc._ffi import ffi
    from pusherc.errors import _CLASSES, Error, error
    codes = {code for code in ffi.typeof("pusherc_error").elements if code}
    assert set(_CLASSES) == codes and len(set(_CLASSES.values())) == len(codes)
    assert type(error(-1)) is Error and error(-1).name == "UNKNOWN"
    import pickle
    again = pickle.loads(pickle.dumps(error(-20004, "x")))
    assert (type(again), again.code, str(again)) == (pusherc.NotFoundError, -20004, "x")


async def test_settings_that_are_wrong_are_told_by_name() -> None:
    with pytest.raises(TypeError, match="no setting 'max_conections'"):
        pusherc.Server(max_conections=1)  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="no setting"):
        app(nonsense=1)
    with pytest.raises(OverflowError, match="max_connections"):
        app(max_connections=-1)
    with pytest.raises(TypeError, match="max_connections"):
        app(max_connections="many")
    with pytest.raises(ValueError, match="slow_policy: 'wait'"):
        app(slow_policy="wait")
    with pytest.raises(ValueError, match="auth"):
        pusherc.App("1", "k", "s", auth="rule")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind of channel"):
        pusherc.Server().channel("x", kinds="pubic")
    with pytest.raises(ValueError, match="cache"):
        pusherc.Server().channel("x", cache=-1)
    with pytest.raises(pusherc.InvalidError, match="max_channel_name_bytes"):
        await pusherc.Server([app(max_channel_name_bytes=500)]).start()
    with pytest.raises(pusherc.InvalidError, match="activity_timeout_ms"):
        await pusherc.Server([app(activity_timeout_ms=1)]).start()


async def test_settings_take_effect(serve: Serve, connect: Connect) -> None:
    server = await serve(pusherc.Server(
        [app(max_channels_per_connection=1, activity_timeout_ms=77000, allowed_origins=["*"])], [pusherc.Listen()],
        http_error_format="json", path_prefix="", max_connections=None, webhook_delay_ms=0))
    client = await connect(server)
    assert json.loads(client.seen[0]["data"])["activity_timeout"] == 77
    await client.joined("a")
    await client.refused("b")


async def test_queries(open_server: pusherc.Server, connect: Connect) -> None:
    olga, max = await connect(open_server, user="olga"), await connect(open_server, user="max")
    for client in (olga, max):
        await client.joined("presence-room.1")
    await olga.joined("cache-news")
    info = open_server.channel_info("presence-room.1")
    assert (info.kind, info.cache, info.subscription_count, info.user_count) == ("presence", False, 2, 2)
    assert {channel.name for channel in open_server.channels()} == {"presence-room.1", "cache-news"}
    assert [channel.cache for channel in open_server.channels("cache-")] == [True]
    assert open_server.members("presence-room.1") == [("olga", '{"name":"olga"}'), ("max", '{"name":"max"}')]
    assert open_server.cached("cache-news") is None
    open_server.publish("cache-news", "e", {"a": 1})
    cached = open_server.cached("cache-news")
    assert cached and (cached.name, cached.data) == ("e", '{"a":1}') and 0 < cached.ttl <= 1800
    [connection] = open_server.connections("olga")
    assert (connection.socket_id, connection.user_id, connection.client_ip) == (olga.socket_id, "olga", "127.0.0.1")
    assert len(open_server.connections()) == 2
    assert open_server.stats["connections"] == 2 and open_server.stats["publishes_total"] == 1
    assert "pusherc_connected" in open_server.metrics()
    assert open_server.explain("private-x", "olga")["outcome"] == "ask rule"
    assert open_server.port == open_server.ports[0] > 0
    assert "tls" in pusherc.features and pusherc.__version__


async def test_takes_connections_and_channels_away(open_server: pusherc.Server, connect: Connect) -> None:
    olga, other, max = (await connect(open_server, user="olga"), await connect(open_server, user="olga"),
                        await connect(open_server, user="max"))
    await olga.joined("private-x")
    await max.joined("private-x")
    open_server.unsubscribe("private-x", user_id="olga", reason="Gone")
    assert "Gone" in json.dumps(await olga.event("pusher:subscription_error"))
    open_server.unsubscribe("private-x", socket_id=max.socket_id)
    await max.event("pusher:subscription_error")
    open_server.disconnect(olga.socket_id, 4100, "Bye")
    assert await olga.closed() == 4100 and olga.ws.close_reason == "Bye"
    open_server.disconnect_user("olga")
    assert await other.closed() == 4009
    assert await max.quiet() == []
    with pytest.raises(pusherc.InvalidError):
        open_server.disconnect("1.1", 999)


async def test_signed_in_users_get_their_events(open_server: pusherc.Server, connect: Connect) -> None:
    client = await connect(open_server)
    data = '{"id":"7"}'
    auth = signing.user(signing.Keys("app-key", "app-secret"), client.socket_id, data)
    await client.send("pusher:signin", auth=auth, user_data=data)
    await client.event("pusher:signin_success")
    await client.joined("#server-to-user-7")
    open_server.send_to_user("7", "hi", {"a": 1})
    assert (await client.event("hi"))["data"] == '{"a":1}'


async def test_encrypts_what_is_published(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([app(encryption_master_key=MASTER_KEY)], [pusherc.Listen()])
    server.channel("x")(lambda question: True)
    client = await connect(await serve(server))
    keys = signing.Keys("app-key", "app-secret", MASTER_KEY)
    await client.joined("private-encrypted-x")
    server.publish("private-encrypted-x", "e", {"pin": 1})
    server.publish("private-encrypted-x", "e", signing.encrypt(keys, "private-encrypted-x", {"pin": 2}), encrypted=True)
    for n in (1, 2):
        data = (await client.event("e"))["data"]
        assert "pin" not in data and json.loads(signing.decrypt(keys, "private-encrypted-x", data)) == {"pin": n}


async def test_apps_come_and_go(open_server: pusherc.Server, connect: Connect) -> None:
    open_server.put_app(pusherc.App("2", "key-2", "s"), pusherc.App("3", "key-3", "s"))
    client = await connect(open_server, key="key-2")
    await client.joined("a")
    open_server.publish("a", "e", 1, app="2")
    await client.event("e")
    open_server.remove_app("2")
    assert await client.closed() == 4001
    with pytest.raises(pusherc.NotFoundError):
        open_server.remove_app("2")
    several = pusherc.Server([app(), pusherc.App("2", "k2", "s")])
    with pytest.raises(pusherc.StateError):
        several.publish("a", "e", 1)
    with pytest.raises(ValueError, match="name the app"):
        several._app_of(None)


async def test_takes_over_a_socket(serve: Serve) -> None:
    server = await serve(pusherc.Server([app()]))  # without a listener
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with socket.create_connection(listener.getsockname()) as client:
            accepted, _ = listener.accept()
            server.adopt(accepted, b"GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                         b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ")
            assert accepted.fileno() == -1, "detached"
            client.settimeout(PATIENCE)
            client.sendall(b"dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
            got = b""
            while b"connection_established" not in got:
                got += await asyncio.to_thread(client.recv, 4096)
    with open("/dev/null") as file, pytest.raises(pusherc.InvalidError):
        server.adopt(file.fileno())


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, str]]:
    """Two certificates with their keys."""
    folder, made = tmp_path_factory.mktemp("tls"), []
    for n in range(2):
        cert, key = str(folder / f"cert{n}.pem"), str(folder / f"key{n}.pem")
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
                        "-keyout", key, "-out", cert, "-days", "2", "-subj", f"/CN=test{n}",
                        "-addext", "subjectAltName=IP:127.0.0.1"], check=True, capture_output=True)
        made.append((cert, key))
    return made


async def test_tls_and_another_certificate(serve: Serve, certificates: list[tuple[str, str]]) -> None:
    import ssl

    import websockets
    server = await serve(pusherc.Server([app()], [pusherc.Listen(), pusherc.Listen(tls=pusherc.TLS(*certificates[0]))]))
    plain, secure = server.ports
    assert plain and secure

    async def established(trusted: str) -> None:
        context = ssl.create_default_context(cafile=trusted)
        async with websockets.connect(f"wss://127.0.0.1:{secure}/app/app-key?protocol=7", ssl=context) as ws:
            assert "established" in str(await ws.recv())

    await established(certificates[0][0])
    server.reload_tls(pusherc.TLS(*certificates[1]), listener=1)
    async with asyncio.timeout(PATIENCE):  # each worker uses it when it has read its mail
        while True:
            try:
                await established(certificates[1][0])
                break
            except ssl.SSLCertVerificationError:
                await asyncio.sleep(0.01)
    with pytest.raises(pusherc.TLSError, match="none.pem"):
        server.reload_tls(pusherc.TLS("none.pem", "none.pem"), listener=1)


async def test_unix_socket(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "s.sock"
    server = await serve(pusherc.Server([app()], [pusherc.Listen(unix=str(path), unix_mode=0o600)]))
    assert path.is_socket() and path.stat().st_mode & 0o777 == 0o600 and server.port == 0
    await server.stop()
    assert not path.exists()


async def test_port_that_is_taken_is_told(open_server: pusherc.Server) -> None:
    second = pusherc.Server([app()], [pusherc.Listen(open_server.port)])
    with pytest.raises(pusherc.TransportError, match=f"address.*in use.*{open_server.port}"):
        await second.start()
    await second.stop()


async def test_webhooks_are_sent_and_verified(serve: Serve, connect: Connect) -> None:
    got: asyncio.Queue[tuple[dict[str, str], bytes]] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:])}
        got.put_nowait((fields, await reader.readexactly(int(fields["content-length"]))))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    receiver = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = receiver.sockets[0].getsockname()[1]
    hook = pusherc.Webhook(f"http://127.0.0.1:{port}/", events=["channel_occupied"], prefix="a", headers={"X-Mine": "1"})
    server = pusherc.Server([app(webhooks=[hook])], [pusherc.Listen()], webhook_batch_ms=0)
    client = await connect(await serve(server))
    await client.joined("b")
    await client.joined("a")
    async with asyncio.timeout(PATIENCE):
        fields, body = await got.get()
    assert json.loads(body)["events"] == [{"name": "channel_occupied", "channel": "a"}] and fields["x-mine"] == "1"
    keys = signing.Keys("app-key", "app-secret")
    assert signing.verify_webhook(keys, body, fields["x-pusher-signature"])
    assert not signing.verify_webhook(keys, body + b" ", fields["x-pusher-signature"])
    receiver.close()
    with pytest.raises(ValueError, match="no event"):
        app(webhooks=[pusherc.Webhook("http://x", events=["none"])])  # type: ignore[list-item]


async def test_log_lines_go_to_logging(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, "pusherc"):
        server = await serve(pusherc.Server([app()], [pusherc.Listen()], log_level="debug"))
        import websockets
        ws = await websockets.connect(f"ws://127.0.0.1:{server.port}/app/unknown?protocol=7")
        await ws.wait_closed()
        await until(lambda: any("unknown" in record.getMessage() for record in caplog.records))
        await server.stop()
    assert {record.name.split(".")[0] for record in caplog.records if record.name.startswith("pusherc")} == {"pusherc"}


async def test_overload_refuses_and_counts(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([app()], [pusherc.Listen()], max_messages=4)
    server.channel("x.{n}")(lambda question: True)
    client = await connect(await serve(server))
    desk = server._desk
    assert desk
    loop = asyncio.get_running_loop()
    loop.remove_reader(desk._fd)
    for n in range(20):
        await client.ask(f"private-x.{n}")
    await until(lambda: server.stats["inbox_refused_total"] == 16)
    loop.add_reader(desk._fd, desk.turn)
    ends: list[str] = []
    while len(ends) < 20:
        frame = await client.next()
        if "subscription_" in frame["event"]:
            ends.append(frame["event"])
    assert sum(end.endswith("succeeded") for end in ends) == 4
