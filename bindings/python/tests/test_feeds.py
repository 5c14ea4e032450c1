"""What happens, as iterators: complete, in order, bounded."""

import asyncio
import time
from collections.abc import Sequence

import pytest
from conftest import PATIENCE, Connect, Serve, app, until

import pusherc
from pusherc._ffi import lib
from pusherc.feeds import Presence, notice_of


@pytest.fixture
def open_server(server: pusherc.Server) -> pusherc.Server:
    server.channel("{name...}")(lambda question: True)
    return server


async def test_events_tell_what_happens(open_server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server = await serve(open_server)
    async with server.events() as events, asyncio.timeout(PATIENCE):
        client = await connect(server, user="olga")
        await client.joined("presence-x")
        other = await connect(server)
        await other.joined("private-x")
        await client.joined("private-x")
        await client.send("client-typing", channel="private-x")  # no such protocol message: ignored
        await client.ws.send('{"event":"client-typing","channel":"private-x","data":{"a":1}}')
        await other.event("client-typing")
        await client.close()
        seen: list[pusherc.Notice] = []
        while not {"close", "vacated"} <= {notice.kind for notice in seen}:  # a member is missed for 100 ms
            notice = await anext(events)
            assert isinstance(notice, pusherc.Notice)
            seen.append(notice)
    kinds = [notice.kind for notice in seen if notice.kind != "subscription_count"]
    assert sorted(kinds) == sorted(["open", "occupied", "member_added", "open", "occupied", "client_event",
                                    "member_removed", "vacated", "close"])
    assert kinds[:6] == ["open", "occupied", "member_added", "open", "occupied", "client_event"]
    by_kind = {notice.kind: notice for notice in seen}
    assert (by_kind["open"].socket_id, by_kind["open"].data) == (other.socket_id, "127.0.0.1")
    added = by_kind["member_added"]
    assert (added.channel, added.user_id, added.app_id) == ("presence-x", "olga", "1") and added.sequence > 0
    typed = by_kind["client_event"]
    assert (typed.name, typed.data, typed.socket_id) == ("client-typing", '{"a":1}', client.socket_id)


async def test_only_the_kinds_that_were_named(open_server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server = await serve(open_server)
    async with server.events("occupied", "signin") as events, asyncio.timeout(PATIENCE):
        await (await connect(server)).joined("a")
        await (await connect(server)).joined("b")
        found = [await anext(events), await anext(events)]
    assert [(notice.kind, notice.channel) for notice in found if isinstance(notice, pusherc.Notice)] == [
        ("occupied", "a"), ("occupied", "b")]
    with pytest.raises(ValueError, match="no kind"):
        server.events("occupy")  # type: ignore[arg-type]


async def test_nothing_is_put_while_nobody_listens(open_server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server = await serve(open_server)
    desk = server._desk
    assert desk and desk.notice
    told: list[int] = []
    inner = desk.notice

    def tell(kind: int, numbers: Sequence[int], texts: Sequence[str]) -> None:
        told.append(kind)
        inner(kind, numbers, texts)

    desk.notice = tell
    await (await connect(server)).joined("a")
    events = server.events("occupied")
    await (await connect(server)).joined("b")
    await anext(events)
    count = len(told)
    assert set(told) == {lib.PUSHERC_MESSAGE_CHANNEL} and count
    del events  # collected: it listens no more, from the next notice on
    await (await connect(server)).joined("c")
    await until(lambda: server._wanted == frozenset())
    count = len(told)
    await (await connect(server)).joined("d")
    await (await connect(server)).joined("e")
    assert len(told) == count


async def test_slow_reader_is_told_what_it_missed(open_server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server = await serve(open_server)
    client = await connect(server)
    async with server.events("occupied", limit=3) as events, asyncio.timeout(PATIENCE):
        for n in range(10):
            await client.joined(f"c{n}")
        await until(lambda: events.dropped == 7)
        assert [getattr(await anext(events), "channel", "") for _ in range(3)] == ["c0", "c1", "c2"]
        assert await anext(events) == pusherc.Dropped(7)
        for n in range(10, 15):
            await client.joined(f"c{n}")
        await until(lambda: events.dropped == 9)
        assert getattr(await anext(events), "channel", "") == "c10"
        await client.joined("c15")
        found = [await anext(events) for _ in range(4)]
        assert [getattr(item, "channel", item) for item in found] == ["c11", "c12", pusherc.Dropped(2), "c15"]


async def test_denials_say_exactly_why(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server.channel("x.{n}")(lambda question: False)
    await serve(server)
    async with server.denials() as denials, asyncio.timeout(PATIENCE):
        client = await connect(server, user="olga")
        await client.refused("private-x.1")
        await client.refused("private-y")
        first, second = await anext(denials), await anext(denials)
    assert isinstance(first, pusherc.Denial) and isinstance(second, pusherc.Denial)
    assert (first.reason, first.status, first.pattern, first.user_id, first.socket_id) == (
        "BY_RULE", 403, "x.{n}", "olga", client.socket_id)
    assert second.reason == "NO_RULE"


async def test_iterators_end_with_the_server(open_server: pusherc.Server, serve: Serve) -> None:
    server = await serve(open_server)
    events, presence = server.events(), server.presence("presence-x")
    reading = [asyncio.create_task(anext(events)), asyncio.create_task(anext(presence))]
    await asyncio.sleep(0)
    await server.stop()
    ends = await asyncio.gather(*reading, return_exceptions=True)
    assert [type(end) for end in ends] == [StopAsyncIteration] * 2
    with pytest.raises(pusherc.StateError):
        server.events()


async def test_presence_has_members_first_and_then_changes(open_server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server = await serve(open_server)
    olga = await connect(server, user="olga")
    await olga.joined("presence-office.1")
    async with server.presence("presence-office.1") as office, asyncio.timeout(PATIENCE):
        assert office.members == {"olga": {"name": "olga"}}
        max = await connect(server, user="max")
        await max.joined("presence-office.1")
        await max.joined("presence-office.2")  # another channel
        assert await anext(office) == pusherc.PresenceChange("added", "max", {"name": "max"})
        assert set(office.members) == {"olga", "max"}
        await olga.close()
        assert await anext(office) == pusherc.PresenceChange("removed", "olga", {"name": "olga"})
        assert set(office.members) == {"max"}


@pytest.mark.parametrize("limit", [3, 1000])
async def test_presence_has_neither_gap_nor_double(open_server: pusherc.Server, serve: Serve, connect: Connect,
                                                   limit: int) -> None:
    """Members come and go on two workers while a reader begins and falls behind: each change fits to the one before."""
    open_server._workers = 2
    server = await serve(open_server)
    clients = {f"u{n}": await connect(server, user=f"u{n}") for n in range(8)}

    async def churn(user: str) -> None:
        client = clients[user]
        for _ in range(12):
            await client.joined("presence-x")
            await client.send("pusher:unsubscribe", channel="presence-x")
        await client.joined("presence-x")

    churning = [asyncio.create_task(churn(user)) for user in clients]
    await asyncio.sleep(0.02)
    async with server.presence("presence-x", limit=limit) as presence:
        there = set(presence.members)

        async def read() -> None:
            async for change in presence:
                assert (change.user_id in there) == (change.kind == "removed"), change
                (there.add if change.kind == "added" else there.discard)(change.user_id)
                assert there == set(presence.members)
                await asyncio.sleep(0.003)  # slower than they come

        reading = asyncio.create_task(read())
        await asyncio.gather(*churning)
        await until(lambda: there == set(clients) or reading.done())
        presence.close()
        await reading


def test_presence_takes_changes_of_two_workers_in_any_order() -> None:
    now: dict[str, dict[str, object]] = {"a": {}}
    presence = Presence(lambda reader: None, "1", "presence-x", 10, lambda: (dict(now), 5))
    presence.begin()

    def tell(what: int, user: str, sequence: int) -> None:
        presence.push(lib.PUSHERC_MESSAGE_CHANNEL, [0, what, 0, 0, 0, 0, sequence], ["", "1", "presence-x", user, "", ""])

    tell(lib.PUSHERC_MEMBER_ADDED, "a", 5)  # contained
    tell(lib.PUSHERC_MEMBER_REMOVED, "b", 9)  # later than the next one
    tell(lib.PUSHERC_MEMBER_ADDED, "b", 8)
    tell(lib.PUSHERC_MEMBER_REMOVED, "a", 10)
    found = [presence._next(), presence._next()]
    assert found == [(False, "a", {}), None]
    assert presence.members == {}


async def test_receipts_and_the_ends_of_states(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([app(client_events=True, receipts="presence-chat.{id} event=message id=/id shown=client-read",
                                 ephemeral="presence-chat.{id} event=client-typing ttl_ms=100")], [pusherc.Listen()], grace=0)
    server.channel("{name...}")(lambda question: True)

    @server.identify
    def who(question: pusherc.IdentifyRequest) -> pusherc.Identity | None:
        return pusherc.Identity(question.query("user") or "", {})

    await serve(server)
    olga, max_ = await connect(server, user="olga"), await connect(server, user="max")
    for client in olga, max_:
        await client.joined("presence-chat.7")
    async with server.events("receipt_written", "receipt_shown", "ephemeral_end") as events, asyncio.timeout(PATIENCE):
        before = time.time()
        server.publish("presence-chat.7", "message", {"id": 42}, exclude=max_.socket_id)
        await olga.event("message")
        written = await anext(events)
        await olga.ws.send('{"event":"client-read","channel":"presence-chat.7","data":{"id":42}}')
        await max_.ws.send('{"event":"client-typing","channel":"presence-chat.7","data":{"a":1}}')
        seen = [await anext(events) for _ in range(2)]
    shown, ended = sorted((one for one in seen if isinstance(one, pusherc.Notice)), key=lambda one: one.kind == "ephemeral_end")
    for receipt, kind in (written, "receipt_written"), (shown, "receipt_shown"):
        assert isinstance(receipt, pusherc.Notice)
        assert (receipt.kind, receipt.app_id, receipt.channel, receipt.name, receipt.data) == (
            kind, "1", "presence-chat.7", "message", "42")
        assert (receipt.user_id, receipt.socket_id) == ("olga", olga.socket_id)
        assert before - 1 < receipt.at < time.time() + 1
    assert (ended.channel, ended.user_id, ended.name, ended.data, ended.reason) == (
        "presence-chat.7", "max", "client-typing", '{"a":1}', "time")


async def test_a_change_says_whose_it_is(open_server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    server = await serve(open_server)
    async with server.events("occupied") as events, server.presence("presence-a") as there, asyncio.timeout(PATIENCE):
        await (await connect(server, user="olga")).joined("presence-a")
        occupied = await anext(events)
        assert isinstance(occupied, pusherc.Notice) and occupied.scope == "process"
        assert (await anext(there)).user_id == "olga"
        # As the server of a cluster that tells its changes would put them.
        numbers, texts = (0, lib.PUSHERC_MEMBER_REMOVED, 0, 0, 0, 0, 1 << 40), ("", "1", "presence-a", "olga", "cluster", "")
        assert notice_of(lib.PUSHERC_MESSAGE_CHANNEL, numbers, texts).scope == "cluster"
        there.push(lib.PUSHERC_MESSAGE_CHANNEL, numbers, texts)
        assert there._next() is None and set(there.members) == {"olga"}
