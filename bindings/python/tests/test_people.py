"""What the server knows of users and of the past, and what may be published from outside."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from conftest import PATIENCE, Connect, Serve, app, until

import pusherc
from pusherc._ffi import lib
from pusherc.feeds import Online

ONE = ThreadPoolExecutor(1)
SHAPING = "sensors event=read conflate key=/id window_ms=60000"


@pytest.fixture
def server() -> pusherc.Server:
    """Its users are told, its channels `private-orders.{id}` have a history, and `sensors` is shaped."""
    made = pusherc.Server([app(user_events=True, offline_delay_ms=0, shaping=SHAPING, history=[
        pusherc.History("private-orders.{id}", max_events=3), pusherc.History("news", max_bytes=65536, max_age=60)])],
        [pusherc.Listen()], grace=0, close_timeout_ms=200)
    made.channel("{name...}")(lambda question: True)

    @made.identify
    def who(question: pusherc.IdentifyRequest) -> pusherc.Identity | None:
        user = question.query("user")
        return pusherc.Identity(user) if user else None

    return made


@pytest.fixture
async def publisher(server: pusherc.Server) -> AsyncIterator[pusherc.AsyncPublisher]:
    """Publishes over HTTP to the server, which has started."""
    async with pusherc.AsyncPublisher(f"http://app-key:app-secret@127.0.0.1:{server.port}/apps/1") as made:
        yield made


@pytest.fixture
async def started(server: pusherc.Server, serve: Serve) -> pusherc.Server:
    return await serve(server)


# -- users --


async def test_users_are_listed_and_looked_up(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    await serve(server)
    assert server.users() == [] and server.user("olga") is None
    olga = await connect(server, user="olga")
    await olga.joined("presence-room")
    await connect(server, user="max")
    await connect(server)  # anonymous
    assert {user.user_id for user in server.users()} == {"olga", "max"}
    found = server.user("olga")
    assert found and (found.online, found.connections, found.channels, found.away) == (True, 1, 1, 0) and found.sequence > 0
    await olga.close()
    await until(lambda: [user.user_id for user in server.users()] == ["max"])
    gone = server.user("olga")
    assert gone and not gone.online and gone.connections == 0 and gone.sequence > found.sequence
    assert {user.user_id: user.online for user in server.users(away_too=True)} == {"olga": False, "max": True}
    with pytest.raises(pusherc.NotFoundError):
        server.users(app="other")


async def test_notices_say_who_is_online(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    await serve(server)
    async with server.events("online", "offline") as events, asyncio.timeout(PATIENCE):
        olga, again = await connect(server, user="olga"), await connect(server, user="olga")
        await olga.close()
        await again.close()
        found = [await anext(events), await anext(events)]
    told = [notice for notice in found if isinstance(notice, pusherc.Notice)]
    assert [(notice.kind, notice.app_id, notice.user_id) for notice in told] == [("online", "1", "olga"), ("offline", "1", "olga")]
    assert 0 < told[0].sequence < told[1].sequence and told[0].away == 0 <= told[1].away < PATIENCE
    async with server.events("offline") as events, asyncio.timeout(PATIENCE):
        await (await connect(server, user="max")).close()
        notice = await anext(events)
    assert isinstance(notice, pusherc.Notice) and (notice.kind, notice.user_id) == ("offline", "max")


async def test_online_has_users_first_and_then_changes(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    await serve(server)
    olga = await connect(server, user="olga")
    await until(lambda: server.users())
    async with server.online() as online, asyncio.timeout(PATIENCE):
        assert online.users == {"olga"}
        await connect(server, user="max")
        assert await anext(online) == pusherc.OnlineChange("online", "max")
        assert online.users == {"olga", "max"}
        await olga.close()
        assert await anext(online) == pusherc.OnlineChange("offline", "olga")
        assert online.users == {"max"}
    await server.stop(0)
    with pytest.raises(StopAsyncIteration):
        await anext(online)


@pytest.mark.parametrize("limit", [1, 1000])
async def test_online_has_neither_gap_nor_double(server: pusherc.Server, serve: Serve, connect: Connect, limit: int) -> None:
    """Users come and go while it is opened, and faster than it is read."""
    await serve(server)
    names = [f"user{n}" for n in range(12)]
    stay = [await connect(server, user=name) for name in names[:4]]
    coming = asyncio.gather(*(connect(server, user=name) for name in names[4:]))
    async with server.online(limit=limit) as online, asyncio.timeout(PATIENCE):
        there = set(online.users)
        clients = await coming
        for client in clients[:4]:
            await client.close()
        while there != set(names[:4]) | set(names[8:]) or {user.user_id for user in server.users()} != there:
            change = await anext(online)
            assert (change.kind == "online") == (change.user_id not in there), change
            there ^= {change.user_id}
            assert there == online.users
    assert len(stay) == 4


def test_online_takes_changes_of_two_workers_in_any_order() -> None:
    online = Online(lambda reader: None, "1", 10, lambda: ({"a": None}, 5))
    online.begin()

    def tell(there: int, user: str, sequence: int, app_id: str = "1") -> None:
        online.push(lib.PUSHERC_MESSAGE_USER, [0, there, 0, 0, 0, 0, sequence], ["", app_id, "", user, "", ""])

    tell(1, "a", 5)  # contained
    tell(0, "a", 6, "another app")
    tell(0, "b", 9)  # later than the next one
    tell(1, "b", 8)
    tell(0, "a", 10)
    assert [online._next(), online._next()] == [(False, "a", None), None]
    assert online.users == set()


# -- the past --


async def test_history_keeps_what_was_published(started: pusherc.Server, publisher: pusherc.AsyncPublisher) -> None:
    assert started.history("private-orders.7") == ([], True, started.history("private-orders.7").position)
    for n in range(4):
        started.publish("private-orders.7", "paid", {"n": n})
    past = started.history("private-orders.7")
    assert [(event.name, event.data) for event in past.events] == [("paid", f'{{"n":{n}}}') for n in (1, 2, 3)]
    assert past.complete and past.position == past.events[-1].id and all(event.age >= 0 for event in past.events)
    assert [event.data for event in started.history("private-orders.7", past.events[1].id).events] == ['{"n":3}']
    assert started.history("private-orders.7", past.position).events == []
    assert not started.history("private-orders.7", "0-0").complete
    page = await publisher.history("private-orders.7", limit=1)
    assert [event["event_id"] for event in page["events"]] == [past.events[0].id]
    assert (await publisher.history("private-orders.7", past.events[1].id))["event_id"] == past.position
    with pusherc.Publisher(f"http://app-key:app-secret@127.0.0.1:{started.port}/apps/1") as other:
        kept = await asyncio.get_running_loop().run_in_executor(ONE, other.history, "private-orders.7")
        await asyncio.get_running_loop().run_in_executor(ONE, other.close)  # a connection belongs to its thread
        assert len(kept["events"]) == 3
    with pytest.raises(pusherc.NotFoundError):
        started.history("other")


def test_history_that_is_wrong_is_told() -> None:
    with pytest.raises(TypeError):
        pusherc.History("a", max_ages=1)  # type: ignore[call-arg]
    with pytest.raises(OverflowError):
        app(history=[pusherc.History("a", max_age=-1)])


async def test_a_pattern_that_is_wrong_is_told(serve: Serve) -> None:
    with pytest.raises(pusherc.InvalidError, match="history"):
        await serve(pusherc.Server([app(history=[pusherc.History("a{b")])]))


async def test_shaping_makes_fewer_events(started: pusherc.Server, connect: Connect) -> None:
    client = await connect(started)
    await client.joined("sensors")
    for n in range(3):
        started.publish("sensors", "read", {"id": 1, "n": n})
    started.publish("sensors", "end", 1)
    while not {"read", "end"} <= {frame["event"] for frame in client.seen}:
        await client.next()
    await client.quiet()
    assert [frame["event"] for frame in client.seen].count("read") == 1, "one in a window, whichever"
    with pytest.raises(pusherc.InvalidError, match="shaping"):
        started.put_app(app(shaping="sensors conflat"))


# -- events from outside --


async def test_on_publish_refuses_and_changes(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    seen: list[tuple[pusherc.Incoming, int]] = []

    @server.on_publish
    def vet(event: pusherc.Incoming) -> bool:
        seen.append((event, threading.get_ident()))
        if event.name == "secret":
            raise pusherc.Deny("not today")
        if event.name == "rename":
            event.name, event.data = "renamed", {"was": event.data}
            event.channels.append("copy")
        return event.name != "no"

    await serve(server)
    async with pusherc.AsyncPublisher(f"http://app-key:app-secret@127.0.0.1:{server.port}/apps/1") as publisher:
        client = await connect(server)
        for channel in ("a", "copy"):
            await client.joined(channel)
        await publisher.publish("a", "yes", "as it is", exclude="1.2")
        await publisher.publish("a", "rename", "x")
        for name, reason in (("no", "403"), ("secret", "not today")):
            with pytest.raises(pusherc.HttpError, match=reason) as refused:
                await publisher.publish_batch([pusherc.BatchEvent("a", "first", 1), pusherc.BatchEvent("a", name, 1)])
            assert refused.value.status == 403
        server.publish("a", "own", 1)  # is not asked about
        await client.event("own")
    assert [(frame["event"], frame["channel"], frame["data"]) for frame in client.seen[-4:]] == [
        ("yes", "a", "as it is"), ("renamed", "a", '{"was":"x"}'), ("renamed", "copy", '{"was":"x"}'), ("own", "a", "1")]
    assert seen[0][0] == pusherc.Incoming("1", "yes", "as it is", ["a"], "1.2")
    assert threading.get_ident() not in {thread for _, thread in seen}
    metrics = server.metrics()
    for name, count in (("refused", 2), ("changed", 1)):
        assert re.search(rf'^pusherc_events_{name}_total{{app_id="1".*}} {count}$', metrics, re.M), metrics


async def test_on_publish_that_fails_refuses_and_is_reported(serve: Serve, connect: Connect) -> None:
    reported: list[tuple[BaseException, object]] = []
    server = pusherc.Server([app(max_event_payload_bytes=10)], [pusherc.Listen()], grace=0,
                            on_error=lambda why, event: reported.append((why, event)))

    def vet(event: pusherc.Incoming) -> Any:
        if event.name == "raises":
            raise KeyError(event.name)
        if event.name == "long":
            event.data = "x" * 100
        elif event.name == "bad":
            event.channels.append("no name!")
        elif event.name == "fewer":
            event.channels.clear()
        return "yes" if event.name == "text" else True

    server.on_publish(vet)
    await serve(server)
    client = await connect(server)
    await client.joined("a")
    async with pusherc.AsyncPublisher(f"http://app-key:app-secret@127.0.0.1:{server.port}/apps/1") as publisher:
        for name in ("raises", "long", "bad", "fewer", "text"):
            with pytest.raises(pusherc.HttpError) as refused:
                await publisher.publish("a", name, 1)
            assert refused.value.status == 403
        await publisher.publish("a", "good", 1)
    await client.event("good")
    assert [frame["event"] for frame in client.seen[2:]] == ["good"], client.seen
    await until(lambda: len(reported) == 5)
    assert [type(why) for why, _ in reported] == [KeyError, pusherc.LimitError, pusherc.InvalidError, ValueError, TypeError]
    assert all(isinstance(event, pusherc.Incoming) for _, event in reported)


async def test_on_publish_is_a_plain_function_and_set_before_the_start(started: pusherc.Server) -> None:
    async def later(event: pusherc.Incoming) -> bool:
        return True

    with pytest.raises(TypeError, match="coroutine"):
        pusherc.Server().on_publish(later)  # type: ignore[arg-type]
    with pytest.raises(pusherc.StateError):
        started.on_publish(lambda event: True)
