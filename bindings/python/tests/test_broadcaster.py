"""Publishing by one setting: every event has one end, whatever the driver of the program does."""

import logging
import threading
import time

import pytest
from conftest import Connect, Serve, app, ended, python, until

import pusherc


async def test_a_server_of_the_process_carries_events_and_closes_it_first(serve: Serve, connect: Connect) -> None:
    server = await serve(pusherc.Server([app()], [pusherc.Listen()]))
    client = await connect(server)
    await client.joined("news")
    broadcaster = pusherc.Broadcaster("local:1", server=server)
    broadcaster.publish("news", "said", {"n": 1})
    assert (await client.event("said"))["data"] == '{"n":1}'
    await broadcaster.publish_async(["news", "other"], "waited", "text", exclude="1.1")
    assert (await client.event("waited"))["data"] == "text"
    broadcaster.publish("news", "mine", 1, exclude=client.socket_id)
    assert [frame["event"] for frame in await client.quiet()] == []
    assert broadcaster.stats["accepted"] == 3
    await server.stop(0)
    with pytest.raises(pusherc.StateError):
        broadcaster.publish("news", "late", 1)


async def test_over_http_to_a_server(serve: Serve, connect: Connect) -> None:
    server = await serve(pusherc.Server([app()], [pusherc.Listen()]))
    client = await connect(server)
    await client.joined("news")
    with pusherc.Broadcaster(f"pusher://app-key:app-secret@127.0.0.1:{server.port}/1?scheme=http") as broadcaster:
        await broadcaster.publish_async("news", "said", "hello", timeout=20)
        assert (await client.event("said"))["data"] == "hello"
        with pytest.raises(pusherc.InvalidError):
            broadcaster.publish("bad name!", "e", 1)


def test_a_driver_of_the_program_sends_again_what_failed() -> None:
    seen: list[pusherc.Outgoing] = []
    threads = set()

    def driver(events: list[pusherc.Outgoing]) -> None:
        seen.extend(events)
        threads.add(threading.current_thread().name)
        if len(seen) == 1:
            raise OSError("no route")
        if len(seen) == 2:
            raise pusherc.RetryLater(0.01)

    with pusherc.Broadcaster("host:", driver=driver) as broadcaster:
        broadcaster.publish_wait(["a", "b"], "e", {"n": 1}, exclude="7.8", timeout=20)
        stats = broadcaster.stats
    assert [tuple(event)[:4] for event in seen] == [(("a", "b"), "e", '{"n":1}', "7.8")] * 3
    assert len({event.key for event in seen}) == 1 and threads == {"pusherc-broadcaster"}
    assert (stats["accepted"], stats["refused"], stats["untold"]) == (1, 0, 0)


def test_what_is_refused_is_raised_or_told() -> None:
    failed: list[pusherc.FailedEvent] = []

    def driver(events: list[pusherc.Outgoing]) -> None:
        raise pusherc.LimitError(-20006, "too long for a pigeon")

    broadcaster = pusherc.Broadcaster("host:", driver=driver, on_failed=failed.append)
    with pytest.raises(pusherc.LimitError, match="pigeon"):
        broadcaster.publish_wait("a", "e", 1, timeout=20)
    broadcaster.publish_batch([pusherc.Event("a", "e", 2), pusherc.Event("b", "f", 3)])
    broadcaster.close(20)
    assert [event[:4] for event in failed] == [(("a",), "e", "2", None), (("b",), "f", "3", None)]
    assert isinstance(failed[0].error, pusherc.LimitError) and failed[0].attempts == 1


def test_what_waits_when_it_is_closed_is_told() -> None:
    failed: list[pusherc.FailedEvent] = []
    entered, leave = threading.Event(), threading.Event()

    def driver(events: list[pusherc.Outgoing]) -> None:
        entered.set()
        leave.wait(20)

    broadcaster = pusherc.Broadcaster("host:", driver=driver, on_failed=failed.append)
    broadcaster.publish("a", "e", 1)
    assert entered.wait(20)
    broadcaster.publish("a", "e", 2)
    waits = threading.Thread(target=lambda: pytest.raises(pusherc.CanceledError, broadcaster.publish_wait, "a", "e", 3))
    waits.start()
    while broadcaster.stats["queued"] < 3:
        time.sleep(0.001)
    threading.Timer(0.1, leave.set).start()
    broadcaster.close(0)  # waits for the call that waits, and for what is told
    waits.join()
    assert [event.data for event in failed] == ["1", "2"]
    assert all(isinstance(event.error, pusherc.CanceledError) for event in failed)
    broadcaster.close()


async def test_log_lines_go_to_loggers(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "pusherc"), pusherc.Broadcaster("log:") as broadcaster:
        broadcaster.publish("news", "said", "hello")
        await until(lambda: any("hello" in record.message for record in caplog.records))


def test_settings_that_are_wrong_say_so() -> None:
    for url in ("carrier-pigeon://loft", "local:1", "host:"):
        with pytest.raises(pusherc.InvalidError) as caught:
            pusherc.Broadcaster(url)
        assert len(str(caught.value)) > 10, url
    broadcaster = pusherc.Broadcaster("null:")
    with pytest.warns(ResourceWarning, match="was not closed"):
        del broadcaster


def test_the_environment_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    long = "pusher://key:" + "s" * 2000 + "@localhost/app"
    assert pusherc.broadcast_url({"BROADCAST_URL": long}) == long
    assert pusherc.broadcast_url({"BROADCAST_CONNECTION": "null"}) == "null:"
    with pytest.raises(pusherc.NotFoundError):
        pusherc.broadcast_url({"HOME": "/"})
    monkeypatch.setenv("BROADCAST_URL", "null:")
    with pusherc.Broadcaster() as broadcaster:
        broadcaster.publish_wait("a", "e", 1)


PROGRAM = """
import os, threading, time, pusherc
broadcaster = pusherc.Broadcaster("host:", driver=lambda events: time.sleep(0.001), on_failed=lambda event: None, grace=0.05)
def load():
    while True:
        try:
            broadcaster.publish("a", "e", 1)
        except pusherc.BacklogError:
            time.sleep(0.001)
        except pusherc.StateError:
            break
for _ in range(3):
    threading.Thread(target=load, daemon=True).start()
time.sleep(0.05)
"""


@pytest.mark.parametrize("end", ["", "raise SystemExit(0)", "broadcaster.close(0)"])
def test_leaving_main_under_load(end: str) -> None:
    for _ in range(3):
        ended(python(PROGRAM + end))


def test_a_forked_child_has_none() -> None:
    ended(python("import warnings; warnings.simplefilter('ignore')\n" + PROGRAM + """
pid = os.fork()
if pid == 0:
    for call in (lambda: broadcaster.publish("a", "e", 1), lambda: broadcaster.publish_wait("a", "e", 1), lambda: broadcaster.stats):
        try:
            call()
        except pusherc.StateError:
            continue
        os._exit(1)
    broadcaster.close()
    del broadcaster
    raise SystemExit(0)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
while True:
    try:
        broadcaster.publish("a", "e", 2)
        break
    except pusherc.BacklogError: # the other threads fill the queue
        time.sleep(0.001)
"""))
