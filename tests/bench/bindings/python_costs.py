"""What publishing costs a Python program, by each way that there is and beside C, and what importing the packages costs.

    python_costs.py PUBLISH [--rounds N] [--count N]

PUBLISH: the program of publish.c. Every event has 100 bytes of data. In each round each way runs once, in a process of
its own: a publish in the server's process COUNT times, with and without a subscriber, one over HTTP COUNT/100 times, to
a server in another process, which has a subscriber. CPU time is that of both processes.
"""
import argparse
import asyncio
import os
import pathlib
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import pusher

import pusherc

DATA = "x" * 100
HTTP_SHARE = 100


def new_server() -> pusherc.Server:
    app = pusherc.App("1", "app-key", "app-secret")
    return pusherc.Server([app], [pusherc.Listen()], workers=1, grace=0)


def cost(publish: Callable[[], object], count: int) -> float:
    """The CPU time of one, in microseconds, 50 in a millisecond at most, as in publish.c."""
    before = time.process_time()
    for i in range(count):
        if i % 50 == 0:
            time.sleep(0.001)
        publish()
    return (time.process_time() - before) * 1e6 / count


def by_server(count: int, port: int) -> None:
    async def main() -> None:
        async with new_server() as server:
            print(server.port, flush=True)
            sys.stdin.readline()
            print(cost(lambda: server.publish("bench", "event", DATA), count), flush=True)
            sys.stdin.read()

    asyncio.run(main())


def by_publisher(count: int, port: int) -> None:
    publisher = pusherc.Publisher(f"http://app-key:app-secret@127.0.0.1:{port}/apps/1")
    print(cost(lambda: publisher.publish("bench", "event", DATA), count))


def by_async_publisher(count: int, port: int) -> None:
    async def main() -> None:
        async with pusherc.AsyncPublisher(f"http://app-key:app-secret@127.0.0.1:{port}/apps/1") as publisher:
            before = time.process_time()
            for _ in range(count):
                await publisher.publish("bench", "event", DATA)
            print((time.process_time() - before) * 1e6 / count)

    asyncio.run(main())


def by_sdk(count: int, port: int) -> None:
    sdk: Any = pusher.Pusher("1", "app-key", "app-secret", ssl=False, host="127.0.0.1", port=port)
    print(cost(lambda: sdk.trigger("bench", "event", DATA), count))


OVER_HTTP = {"Publisher": by_publisher, "AsyncPublisher": by_async_publisher, "SDK pusher": by_sdk}
WAYS = {"Server.publish": by_server, **OVER_HTTP}


def serve() -> None:
    async def main() -> None:
        ended = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
        async with new_server() as server:
            print(server.port, flush=True)
            await ended.wait()

    asyncio.run(main())


def subscribe(port: int) -> None:
    """A subscriber of `bench`, which reads until the server has gone."""
    client = socket.create_connection(("127.0.0.1", port))
    text = b'{"event":"pusher:subscribe","data":{"channel":"bench"}}'
    client.sendall(b"GET /app/app-key?protocol=7 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                   b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
                   + bytes([0x81, 0x80 | len(text), 0, 0, 0, 0]) + text)
    seen = b""
    while b"subscription_succeeded" not in seen:
        got = client.recv(4096)
        assert got, seen
        seen += got

    def read() -> None:
        with client:
            while client.recv(1 << 16):
                pass

    threading.Thread(target=read, daemon=True).start()


def in_process(command: list[str], subscribed: bool) -> float:
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin and process.stdout
        port = int(process.stdout.readline())
        if subscribed:
            subscribe(port)
        process.stdin.write("go\n")
        process.stdin.flush()
        return float(process.stdout.readline())


def cpu(pid: int) -> float:
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def publish_costs(program: str, rounds: int, count: int) -> None:
    server = subprocess.Popen([sys.executable, __file__, "--serve"], stdout=subprocess.PIPE, text=True)
    try:
        assert server.stdout
        port = server.stdout.readline().strip()
        subscribe(int(port))

        def command(name: str, times: int) -> list[str]:
            return [program, str(times)] if name == "C" else [sys.executable, __file__, "--one", name, str(times), port]

        def over_http(name: str) -> float:
            times, before = count // HTTP_SHARE, cpu(server.pid)
            own = subprocess.run(command(name, times), check=True, stdout=subprocess.PIPE, text=True).stdout
            return float(own) + (cpu(server.pid) - before) * 1e6 / times

        ways: dict[str, Callable[[], float]] = {}
        for name in ("C", "Server.publish"):
            ways[f"{name}, a subscriber"] = partial(in_process, command(name, count), True)
            ways[f"{name}, no subscriber"] = partial(in_process, command(name, count), False)
        for name in OVER_HTTP:
            ways[f"{name}, a subscriber"] = partial(over_http, name)
        costs: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(rounds):
            for name in ways if number % 2 else reversed(ways):
                costs[name].append(ways[name]())
    finally:
        server.terminate()
        server.wait()
    print("| way | CPU us per publish | of rounds | ratio to C | publishes per CPU second |\n|---|---|---|---|---|")
    for name, found in costs.items():
        beside = costs["C, " + name.partition(", ")[2]]
        ratio = statistics.median(one / c for one, c in zip(found, beside, strict=True))
        middle = statistics.median(found)
        print(f"| {name} | {middle:.2f} | {min(found):.2f} to {max(found):.2f} | {ratio:.2f} | {1e6 / middle:,.0f} |")


def import_costs(rounds: int) -> None:
    costs: dict[str, list[float]] = {f"import {name}": [] for name in ("sys", "asyncio", "pusherc", "pusher", "fastapi")}
    for _ in range(rounds + 1):  # the first one warms up
        for code, found in costs.items():
            pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code], os.environ)
            _, status, used = os.wait4(pid, 0)
            assert status == 0, code
            found.append((used.ru_utime + used.ru_stime) * 1e3)
    print("| program | CPU ms | of rounds |\n|---|---|---|")
    for code, found in costs.items():
        print(f"| {code} | {statistics.median(found[1:]):.0f} | {min(found[1:]):.0f} to {max(found[1:]):.0f} |")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        WAYS[sys.argv[2]](int(sys.argv[3]), int(sys.argv[4]))
    elif sys.argv[1:] == ["--serve"]:
        serve()
    else:
        parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("publish")
        parser.add_argument("--rounds", type=int, default=7)
        parser.add_argument("--count", type=int, default=100000)
        given = parser.parse_args()
        publish_costs(given.publish, given.rounds, given.count)
        import_costs(given.rounds)
