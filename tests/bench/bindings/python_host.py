"""What the benchmarks measure of the Python package: the host of host.c, with rules in Python.

    python_host.py PORT WAY [BLOCK_MS]     PORT 0: the system picks one

WAY: none (there is no rule), function, coroutine (an async function that waits for nothing), or batch; with "uvloop-"
before it, in uvloop's loop. BLOCK_MS: how long each decision waits: a function blocks its thread, a coroutine sleeps. As
in host.c, there is one worker, the app is app-id, app-key, app-secret, the parameter `token` of a client is its user, and
the rule covers private-bench.{n}.
"""
import asyncio
import signal
import sys
import time

import pusherc


def add_rule(server: pusherc.Server, way: str, block: float) -> None:
    if way == "function":
        @server.channel("bench.{n}")
        def decide(question: pusherc.Question) -> bool:
            if block:
                time.sleep(block)
            return question.user_id is not None
    elif way == "coroutine":
        @server.channel("bench.{n}")
        async def decide_later(question: pusherc.Question) -> bool:
            if block:
                await asyncio.sleep(block)
            return question.user_id is not None
    elif way == "batch":
        @server.channel_batch("bench.{n}")
        def decide_all(questions: list[pusherc.Question]) -> list[bool]:
            if block:
                time.sleep(block)
            return [question.user_id is not None for question in questions]


async def main(port: int, way: str, block: float) -> None:
    app = pusherc.App("app-id", "app-key", "app-secret", auth="either")
    server = pusherc.Server([app], [pusherc.Listen(port, backlog=4096)], workers=1, grace=0)

    @server.identify
    def who(question: pusherc.IdentifyRequest) -> pusherc.Identity:
        return pusherc.Identity(question.query("token") or "")

    add_rule(server, way, block)
    ended = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    async with server:
        print(f"listening on http://127.0.0.1:{server.port}", flush=True)
        await ended.wait()


if __name__ == "__main__":
    way = sys.argv[2]
    work = main(int(sys.argv[1]), way.removeprefix("uvloop-"), float(sys.argv[3]) / 1000 if len(sys.argv) > 3 else 0.0)
    if way.startswith("uvloop-"):
        import uvloop

        uvloop.run(work)
    else:
        asyncio.run(work)
