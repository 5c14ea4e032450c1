"""A program that the tests run beside them. `host.py WAY`: how it ends, or what it does, is in the table at the end.

The first line that it prints is the port of its server, whose rule private-x.{n} allows everything.
"""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Awaitable, Callable

import pusherc

server = pusherc.Server([pusherc.App("1", "app-key", "app-secret", auth="rules")], [pusherc.Listen()], grace=0,
                        close_timeout_ms=200)


@server.channel("x.{n}")
async def allow(question: pusherc.Question) -> bool:
    await asyncio.sleep(0)
    return True


@server.channel("view.{n}", views=lambda event: True)
def view(question: pusherc.Question) -> pusherc.Grant:
    return pusherc.Grant(view="a")


def publish_always() -> None:
    """Threads that publish until the server is gone."""
    def publish() -> None:
        try:
            while True:
                server.publish("private-x.0", "e", {"n": 1})
                server.publish("private-view.0", "e", {"n": 1})
        except pusherc.StateError:
            pass
        except pusherc.BacklogError:
            publish()

    for _ in range(2):
        threading.Thread(target=publish, daemon=True).start()


async def begin() -> None:
    await server.start()
    print(server.port, flush=True)


async def under_load() -> None:
    await begin()
    publish_always()
    await asyncio.to_thread(sys.stdin.readline)  # as long as the test wants


async def leave() -> None:
    """main() ends without freeing anything."""
    await under_load()


async def leave_by_exit() -> None:
    await under_load()
    sys.exit(0)


async def leave_by_close() -> None:
    await under_load()
    await server.stop()


async def leave_in_context() -> None:
    async with server:
        print(server.port, flush=True)
        publish_always()
        await asyncio.to_thread(sys.stdin.readline)


async def fork() -> None:
    """For each line a child, which drops its copy of the server in one of several ways."""
    await begin()
    while line := (await asyncio.to_thread(sys.stdin.readline)).strip():
        child = os.fork()
        if child == 0:
            try:
                in_child(line)
            except BaseException as why:
                print(f"{type(why).__name__}: {why}", file=sys.stderr, flush=True)
                os._exit(1)
        _, status = os.waitpid(child, 0)
        print(line, os.waitstatus_to_exitcode(status), flush=True)
    await server.stop()


def in_child(way: str) -> None:
    global server
    calls: list[Callable[[], object]] = [
        lambda: server.publish("a", "e", 1), lambda: server.send_to_user("7", "e", 1), lambda: server.stats,
        server.channels, lambda: server.disconnect("1.1"), lambda: server.port, server.metrics,
        lambda: server.publish_batch([pusherc.Event("a", "e", 1)])]
    for call in calls:
        try:
            call()
        except pusherc.StateError:
            continue
        os._exit(2)
    if way == "free":
        pusherc.server._free_all()
    elif way == "drop":
        del server._gate
    elif way == "stop":
        try:
            server.stop().send(None)
        except StopIteration:
            pass
    elif way == "exit":
        import atexit
        atexit._run_exitfuncs()
    os._exit(0)


async def interrupted() -> None:
    async with server:
        print(server.port, flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            print("cleaned up", flush=True)


def scripted() -> None:
    server.run(started=lambda: print(server.port, flush=True))
    print("ended", flush=True)


def beside() -> None:
    async def work() -> None:
        print(server.port, flush=True)
        await asyncio.sleep(0.05)
        raise ValueError("of the work")

    try:
        server.run(started=work)
    except ValueError as why:
        print(why, flush=True)


WAYS: dict[str, Callable[[], Awaitable[None]] | Callable[[], None]] = {
    "leave": leave, "leave_by_exit": leave_by_exit, "leave_by_close": leave_by_close, "leave_in_context": leave_in_context,
    "fork": fork, "interrupted": interrupted, "scripted": scripted, "beside": beside,
}

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # tests that a shell runs in the background ignore it
    made = WAYS[sys.argv[1]]()
    if made is not None:
        try:
            asyncio.run(made)  # type: ignore[arg-type]
        except KeyboardInterrupt:
            print("interrupted", flush=True)
