"""Publishing over HTTP with the standard library, against the library's own server."""

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from conftest import Connect, Serve, app

import pusherc

PATH = "app-key:app-secret@"


@pytest.fixture
async def open_server(server: pusherc.Server, serve: Serve) -> AsyncIterator[pusherc.Server]:
    server.channel("{name...}")(lambda question: True)
    yield await serve(server)


class Both:
    """Calls either kind of publisher; a method of the sync one runs in a thread."""

    def __init__(self, made: "pusherc.Publisher | pusherc.AsyncPublisher") -> None:
        self.made = made

    async def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        function = getattr(self.made, method)
        if isinstance(self.made, pusherc.AsyncPublisher):
            return await function(*arguments, **named)
        return await asyncio.get_running_loop().run_in_executor(ONE, lambda: function(*arguments, **named))


from concurrent.futures import ThreadPoolExecutor  # noqa: E402

ONE = ThreadPoolExecutor(1)  # a connection belongs to its thread


@pytest.fixture(params=["sync", "async"])
async def publisher(request: pytest.FixtureRequest, open_server: pusherc.Server) -> AsyncIterator[Both]:
    url = f"http://{PATH}127.0.0.1:{open_server.port}/apps/1"
    call = Both(pusherc.Publisher(url) if request.param == "sync" else pusherc.AsyncPublisher(url))
    yield call
    await call("close")


async def test_publishes(publisher: Both, open_server: pusherc.Server, connect: Connect) -> None:
    first, second = await connect(open_server, user="olga"), await connect(open_server)
    for client in (first, second):
        await client.joined("private-x")
    await publisher("publish", "private-x", "e", {"a": "ü"})
    await publisher("publish", ["private-x", "other"], "e", "text", exclude=first.socket_id)
    await publisher("publish_batch", [pusherc.BatchEvent("private-x", "b", n) for n in range(3)])
    assert [frame["data"] for frame in await second.quiet()] == ['{"a":"ü"}', "text", "0", "1", "2"]
    assert [frame["data"] for frame in await first.quiet()] == ['{"a":"ü"}', "0", "1", "2"]
    assert open_server.stats["connections"] == 2 and open_server.stats["http_requests_total"] == 5, "one connection is kept"


async def test_asks(publisher: Both, open_server: pusherc.Server, connect: Connect) -> None:
    client = await connect(open_server, user="olga")
    await client.joined("presence-room=1;a")
    assert await publisher("channels", "presence-", ["user_count"]) == {"presence-room=1;a": {"user_count": 1}}
    assert (await publisher("channel_info", "presence-room=1;a", ["subscription_count"]))["subscription_count"] == 1
    assert await publisher("members", "presence-room=1;a") == ["olga"]
    await publisher("send_to_user", "7", "e", 1)
    await publisher("disconnect_user", "7")


async def test_refusals_are_told(open_server: pusherc.Server, publisher: Both) -> None:
    with pytest.raises(pusherc.HttpError, match="400") as found:
        await publisher("publish", "bad name", "e", 1)
    assert found.value.status == 400
    wrong = f"http://app-key:wrong@127.0.0.1:{open_server.port}/apps/1"
    for call in (Both(pusherc.Publisher(wrong)), Both(pusherc.AsyncPublisher(wrong))):
        with pytest.raises(pusherc.HttpError, match="401"):
            await call("publish", "a", "e", 1)
        await call("close")


async def test_a_kept_connection_that_was_closed_is_made_anew(publisher: Both, open_server: pusherc.Server,
                                                             serve: Serve) -> None:
    """The server goes and comes back at the same port; the next request does not fail."""
    await publisher("publish", "a", "e", 1)
    port = open_server.port
    await open_server.stop()
    await serve(pusherc.Server([app()], [pusherc.Listen(port)]))
    await publisher("publish", "a", "e", 2)


@pytest.mark.parametrize("kind", [pusherc.Publisher, pusherc.AsyncPublisher])
async def test_unix_socket_and_prefix(kind: Any, serve: Serve, tmp_path: Path) -> None:
    from urllib.parse import quote
    path = str(tmp_path / "Socket.sock")
    server = await serve(pusherc.Server([app()], [pusherc.Listen(unix=path)], path_prefix="/ws"))
    call = Both(kind(f"http+unix://{PATH}{quote(path, safe='')}/ws/apps/1"))
    await call("publish", "a", "e", 1)
    await call("close")
    assert server.stats["publishes_total"] == 1


async def test_timeout_and_urls() -> None:
    for url in ("ftp://k:s@h/apps/1", "http://h/apps/1", "http://k:s@h/", "http://k:s@h"):
        with pytest.raises(ValueError, match="URL must be"):
            pusherc.Publisher(url)
    accepted: list[asyncio.StreamWriter] = []
    silent = await asyncio.start_server(lambda reader, writer: accepted.append(writer), "127.0.0.1", 0)
    url = f"http://{PATH}127.0.0.1:{silent.sockets[0].getsockname()[1]}/apps/1"
    for call in (Both(pusherc.Publisher(url, timeout=0.05)), Both(pusherc.AsyncPublisher(url, timeout=0.05))):
        with pytest.raises(TimeoutError):
            await call("publish", "a", "e", 1)
        await call("close")
    for writer in accepted:
        writer.close()
    silent.close()


async def test_concurrent_requests_have_connections_of_their_own(open_server: pusherc.Server) -> None:
    url = f"http://{PATH}127.0.0.1:{open_server.port}/apps/1"
    async with pusherc.AsyncPublisher(url, max_idle=2) as publisher:
        await asyncio.gather(*(publisher.publish("a", "e", n) for n in range(20)))
        assert len(publisher._idle) == 2
    assert open_server.stats["publishes_total"] == 20


def test_needs_nothing_but_the_standard_library() -> None:
    program = ("import sys, pusherc.publisher, pusherc\n"
               "print(sorted({name.partition('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'__main__'}))")
    out = subprocess.run([sys.executable, "-S", "-c", f"import sys; sys.path[:] = {json.dumps(sys.path)}\n{program}"],
                         capture_output=True, text=True, check=True).stdout
    assert set(eval(out)) <= {"pusherc", "_cffi_backend", "_pusherc_editable_loader", "mesonpy"}, out
