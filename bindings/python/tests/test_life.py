"""How a program ends: under load, by signals, in forked children."""

import asyncio
import gc
import os
import pathlib
import re
import signal
import subprocess
import sys
from typing import IO

import pytest
from conftest import Connect, Serve, app, ended

import pusherc

HOST = str(pathlib.Path(__file__).with_name("host.py"))
RUNS = int(os.environ.get("PUSHERC_EXITS", "20"))


def host(way: str) -> "subprocess.Popen[str]":
    return subprocess.Popen([sys.executable, "-X", "faulthandler", "-W", "default::ResourceWarning", HOST, way], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE, text=True)


async def line(stream: IO[str] | None) -> str:
    assert stream
    return (await asyncio.to_thread(stream.readline)).strip()


@pytest.mark.parametrize("way", ["leave", "leave_by_exit", "leave_by_close", "leave_in_context"])
async def test_leaves_main_under_load(way: str, connect: Connect) -> None:
    """Threads publish and clients ask while the program ends, each time at another moment. No run crashes."""
    for n in range(RUNS // 4):
        process = host(way)
        port = int(await line(process.stdout))
        client = await connect(port)
        await client.joined("private-x.0")
        await client.joined("private-view.0")
        asking = asyncio.create_task(ask_always(client.ws))
        await asyncio.sleep(0.005 * n)
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
        _, err = await asyncio.to_thread(ended, process)
        asking.cancel()
        # Not freed is told, in this mode of the interpreter; nothing else is.
        err = re.sub(r".*ResourceWarning.*\n(  .*\n)*", "", err)
        assert "Error" not in err and "Fatal" not in err, err


async def ask_always(ws: object) -> None:
    import json

    import websockets
    assert isinstance(ws, websockets.ClientConnection)
    try:
        for n in range(100000):
            await ws.send(json.dumps({"event": "pusher:subscribe", "data": {"channel": f"private-x.{n}"}}))
            await asyncio.sleep(0)
    except websockets.ConnectionClosed:
        pass


async def test_a_forked_child_does_its_parent_no_harm(connect: Connect) -> None:
    process = host("fork")
    assert process.stdin
    client = await connect(int(await line(process.stdout)))
    for n, way in enumerate(["nothing", "free", "drop", "stop", "exit"]):
        process.stdin.write(way + "\n")
        process.stdin.flush()
        assert await line(process.stdout) == f"{way} 0", process.stderr and process.stderr.read()
        await client.joined(f"private-x.{n}")
        await connect(client.ws.remote_address[1])
    process.stdin.write("\n")
    process.stdin.close()
    process.stdin = None
    await asyncio.to_thread(ended, process)


@pytest.mark.parametrize(("way", "number", "last"), [
    ("interrupted", signal.SIGINT, ["cleaned up", "interrupted"]), ("scripted", signal.SIGINT, ["ended"]),
    ("scripted", signal.SIGTERM, ["ended"])])
async def test_signals_end_it_well(way: str, number: signal.Signals, last: list[str], connect: Connect) -> None:
    process = host(way)
    client = await connect(int(await line(process.stdout)))
    process.send_signal(number)
    out, err = await asyncio.to_thread(ended, process)
    assert out.split("\n")[:-1] == last and not err
    assert await client.closed() == 4200


async def test_work_beside_a_script_ends_it_when_it_fails() -> None:
    out, _ = await asyncio.to_thread(ended, host("beside"))
    assert out.split("\n")[1:] == ["of the work", ""]


async def test_stops_with_grace_and_a_second_stop_shortens_it(serve: Serve, connect: Connect) -> None:
    server = await serve(pusherc.Server([app()], [pusherc.Listen()]))
    clients = [await connect(server) for _ in range(5)]
    stopping = asyncio.create_task(server.stop(60))
    await asyncio.sleep(0.05)
    assert not stopping.done()
    async with asyncio.timeout(20):
        await server.stop(0)
        await stopping
    for client in clients:
        assert await client.closed() == 4200
    await server.stop()
    await server.wait()
    with pytest.raises(pusherc.StateError):
        await server.start()


async def test_stop_ends_what_waits(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([app()], [pusherc.Listen()], grace=0, close_timeout_ms=100)
    ends: list[str] = []

    @server.channel("x.{n}")
    async def slow(question: pusherc.Question) -> bool:
        try:
            await asyncio.sleep(60)
        finally:
            ends.append("cancelled")
        return True

    @server.channel_batch("batch.{n}", gather=50)
    async def gathers(questions: list[pusherc.Question]) -> list[bool]:
        ends.append("asked")
        return [True] * len(questions)

    client = await connect(await serve(server))
    await client.ask("private-x.1")
    await client.ask("private-batch.1")
    from conftest import until
    await until(lambda: server.stats["questions"] == 2)
    told = server.reauthorize()
    async with asyncio.timeout(20):
        await server.stop()
        await asyncio.sleep(0)
        assert ends == ["cancelled"]
        await asyncio.wait([told])
    for _ in range(3):
        await asyncio.sleep(0)


async def test_cancelled_stop_still_frees(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([app()], [pusherc.Listen()], grace=60)
    await connect(await serve(server))
    stopping = asyncio.create_task(server.stop())
    await asyncio.sleep(0.01)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    async with asyncio.timeout(20):
        await server.stop(0)
    with pytest.raises(pusherc.StateError):
        server.publish("a", "e", 1)


def test_a_server_that_was_not_stopped_is_told() -> None:
    server = pusherc.Server([app()], [pusherc.Listen()])

    async def main() -> None:
        await server.start()

    asyncio.run(main())
    with pytest.warns(ResourceWarning, match="was not stopped"):
        del server
        gc.collect()
