"""Rules and hooks: every question is answered, whatever its function does."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from conftest import Client, Connect, Serve, app, until

import pusherc

Errors = list[tuple[BaseException, Any]]


@pytest.fixture
def errors(server: pusherc.Server) -> Errors:
    """What functions have raised, as on_error was told."""
    found: Errors = []
    server.on_error(lambda why, question: found.append((why, question)))
    return found


async def test_plain_function_decides(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    asked = []

    @server.channel("tickets.{uuid}")
    def owns(question: pusherc.Question) -> bool:
        asked.append(question)
        return question.params["uuid"] == "7"

    client = await connect(await serve(server), user="olga")
    await client.joined("private-tickets.7")
    assert (await client.refused("private-tickets.8"))["status"] == 403
    first = asked[0]
    assert (first.channel, first.user_id, first.app_id, first.socket_id) == (
        "private-tickets.7", "olga", "1", client.socket_id)
    assert first.params == {"uuid": "7"}, "a question may be kept"


async def test_coroutine_decides(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    @server.channel("tickets.{uuid}")
    async def owns(question: pusherc.Question) -> bool:
        await asyncio.sleep(0.01)
        return question.user_id == "olga"

    await serve(server)
    await (await connect(server, user="olga")).joined("private-tickets.7")
    await (await connect(server, user="max")).refused("private-tickets.7")
    await (await connect(server)).refused("private-tickets.7")


async def test_answers_of_each_type(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors) -> None:
    answers: dict[str, Any] = {
        "true": True, "false": False, "none": None, "dict": {"name": "Zoë"}, "grant": pusherc.Grant(info={"a": 1}),
        "other": pusherc.Grant(user_id="7", info={}), "text": "yes", "number": 1, "badinfo": {"a": object()},
        "longid": pusherc.Grant(user_id="x" * 500),
    }

    @server.channel("room.{which}")
    def room(question: pusherc.Question) -> Any:
        return answers[question.params["which"]]

    client = await connect(await serve(server), user="olga")
    hash = {"olga": {"name": "olga"}}
    assert (await client.joined("presence-room.true"))["presence"]["hash"] == hash
    assert (await client.joined("presence-room.dict"))["presence"]["hash"] == {"olga": {"name": "Zoë"}}
    assert (await client.joined("presence-room.grant"))["presence"]["hash"] == {"olga": {"a": 1}}
    assert (await client.joined("presence-room.other"))["presence"]["ids"] == ["7"]
    for which in ("false", "none"):
        await client.refused(f"presence-room.{which}")
    assert not errors
    for which, kind in (("text", TypeError), ("number", TypeError), ("badinfo", TypeError), ("longid", pusherc.InvalidError)):
        await client.refused(f"presence-room.{which}")
        assert isinstance(errors.pop()[0], kind), which


@pytest.mark.parametrize("is_async", [False, True])
async def test_exception_denies_and_is_told(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors,
                                            is_async: bool) -> None:
    def fail(question: pusherc.Question) -> bool:
        raise RuntimeError("secret detail")

    async def fail_later(question: pusherc.Question) -> bool:
        await asyncio.sleep(0)
        raise RuntimeError("secret detail")

    server.channel("x")(fail_later if is_async else fail)
    client = await connect(await serve(server))
    said = await client.refused("private-x")
    assert said["status"] == 403 and "secret" not in json.dumps(said), "clients are told nothing of it"
    [(why, question)] = errors
    assert str(why) == "secret detail" and question.channel == "private-x"


@pytest.mark.parametrize("is_async", [False, True])
async def test_deny_says_why(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors, is_async: bool) -> None:
    def refuse(question: pusherc.Question) -> bool:
        raise pusherc.Deny("Not your ticket", 402)

    async def refuse_later(question: pusherc.Question) -> bool:
        raise pusherc.Deny("Not your ticket", 402)

    server.channel("x")(refuse_later if is_async else refuse)
    said = await (await connect(await serve(server))).refused("private-x")
    assert said["status"] == 402 and said["error"].startswith("Not your ticket")
    assert not errors


async def test_deny_that_breaks_a_rule_denies(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors) -> None:
    @server.channel("x.{what}")
    def refuse(question: pusherc.Question) -> bool:
        raise pusherc.Deny("no", {"small": 7, "text": "403"}[question.params["what"]])  # type: ignore[arg-type]

    client = await connect(await serve(server))
    assert (await client.refused("private-x.small"))["status"] == 403
    assert (await client.refused("private-x.text"))["status"] == 403
    assert isinstance(errors[-1][0], TypeError)


async def test_error_without_handler_goes_to_the_loop(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    @server.channel("x")
    def fail(question: pusherc.Question) -> bool:
        raise KeyError("x")

    await (await connect(await serve(server))).refused("private-x")
    assert isinstance(told[0]["exception"], KeyError) and "private-x" in told[0]["message"]


async def test_handler_that_fails_does_not_lose_the_answer(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    told: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))

    @server.on_error
    def worse(why: BaseException, question: Any) -> None:
        raise ValueError("in the handler")

    @server.channel("x")
    def fail(question: pusherc.Question) -> bool:
        raise KeyError("x")

    await (await connect(await serve(server))).refused("private-x")
    assert isinstance(told[0]["exception"], ValueError)


async def test_deadline_denies_and_cancels(serve: Serve, connect: Connect) -> None:
    errors: Errors = []
    server = pusherc.Server([app()], [pusherc.Listen()], rule_timeout=0.05,
                            on_error=lambda why, question: errors.append((why, question)))
    ends: list[str] = []

    @server.channel("x.{n}")
    async def slow(question: pusherc.Question) -> bool:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ends.append(question.params["n"])
            raise
        return True

    client = await connect(await serve(server))
    for n in range(3):
        await client.ask(f"private-x.{n}")
    for _ in range(3):
        assert (await client.event("pusher:subscription_error"))["channel"].startswith("private-x.")
    await until(lambda: len(ends) == 3)
    assert all(isinstance(why, TimeoutError) for why, _ in errors) and len(errors) == 3
    assert server.stats["questions"] == 0


async def test_task_that_ignores_cancellation_cannot_answer_late(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([app()], [pusherc.Listen()], rule_timeout=0.05, on_error=lambda why, question: None)
    ended = asyncio.Event()

    @server.channel("x")
    async def stubborn(question: pusherc.Question) -> bool:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            pass
        ended.set()
        return True

    client = await connect(await serve(server))
    await client.refused("private-x")
    await ended.wait()
    assert await client.quiet() == []


@pytest.mark.parametrize("how", ["leaves", "unsubscribes"])
async def test_nothing_waits_any_more_cancels(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors,
                                              how: str) -> None:
    begun, cancelled = asyncio.Event(), asyncio.Event()

    @server.channel("x")
    async def slow(question: pusherc.Question) -> bool:
        begun.set()
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()
        return True

    client = await connect(await serve(server))
    await client.ask("private-x")
    await begun.wait()
    if how == "leaves":
        await client.close()
    else:
        await client.send("pusher:unsubscribe", channel="private-x")
    async with asyncio.timeout(20):
        await cancelled.wait()
    await until(lambda: server.stats["questions"] == 0)
    assert not errors, "not an error of the function"


async def test_cancelled_by_the_program_denies(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors) -> None:
    @server.channel("x")
    async def gives_up(question: pusherc.Question) -> bool:
        task = asyncio.current_task()
        assert task
        task.cancel()
        await asyncio.sleep(60)
        return True

    await (await connect(await serve(server))).refused("private-x")
    assert isinstance(errors[0][0], asyncio.CancelledError)


@pytest.mark.parametrize("is_async", [False, True])
async def test_batch_is_asked_once_for_a_page(server: pusherc.Server, serve: Serve, connect: Connect, is_async: bool) -> None:
    calls: list[int] = []

    def odd(questions: list[pusherc.Question]) -> list[pusherc.Answer | pusherc.Deny]:
        calls.append(len(questions))
        return [int(q.params["n"]) % 2 == 1 or pusherc.Deny("even") for q in questions]

    async def odd_later(questions: list[pusherc.Question]) -> list[pusherc.Answer | pusherc.Deny]:
        await asyncio.sleep(0.001)
        return odd(questions)

    server.channel_batch("orders.{n}", gather=0.05)(odd_later if is_async else odd)
    client = await connect(await serve(server))
    for n in range(100):
        await client.ask(f"private-orders.{n}")
    answers: dict[str, str] = {}
    while len(answers) < 100:
        frame = await client.next()
        if "subscription_" in frame["event"]:
            answers[frame["channel"]] = frame["event"]
    for n in range(100):
        assert answers[f"private-orders.{n}"].endswith("succeeded" if n % 2 else "error")
    assert sum(calls) == 100 and max(calls) <= 64 and len(calls) < 20, calls


@pytest.mark.parametrize("wrong", [lambda qs: [True], lambda qs: None, lambda qs: 1 / 0, lambda qs: ["yes"] * len(qs)])
async def test_batch_with_wrong_answers_denies_all(server: pusherc.Server, serve: Serve, connect: Connect, errors: Errors,
                                                   wrong: Callable[[Any], Any]) -> None:
    server.channel_batch("orders.{n}", gather=0.02)(wrong)
    client = await connect(await serve(server))
    await client.ask("private-orders.1")
    await client.ask("private-orders.2")
    for _ in range(2):
        await client.event("pusher:subscription_error")
    assert len(errors) == 2 and server.stats["questions"] == 0


async def test_batch_goes_on_without_who_has_left(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    asked: list[list[str]] = []

    @server.channel_batch("orders.{n}", gather=2)  # both are in it, on however busy a machine
    async def all_of_them(questions: list[pusherc.Question]) -> list[bool]:
        asked.append([q.params["n"] for q in questions])
        await asyncio.sleep(0.05)
        return [q.params["n"] == "2" for q in questions]

    await serve(server)
    first, second = await connect(server), await connect(server)
    await first.ask("private-orders.1")
    await second.ask("private-orders.2")
    await until(lambda: server.stats["questions"] == 2)
    await first.close()
    assert (await second.event("pusher_internal:subscription_succeeded"))["channel"] == "private-orders.2"
    assert "2" in asked[0]


async def test_identify_accepts_rejects_and_fails(serve: Serve, connect: Connect) -> None:
    errors: Errors = []
    server = pusherc.Server([app()], [pusherc.Listen()], on_error=lambda why, question: errors.append((why, question)))
    seen: list[Any] = []

    @server.identify
    async def who(question: pusherc.IdentifyRequest) -> pusherc.Identity | None:
        seen.append((question.purpose, question.app_id, question.path, question.header("X-Test"), question.bearer,
                     question.query("none"), question.client_ip, question))
        match question.query("user"):
            case "eve":
                raise pusherc.Reject(4009, "Session ended")
            case "bug":
                raise ValueError("a bug")
            case "type":
                return "olga"  # type: ignore[return-value]
            case user:
                return pusherc.Identity(user, data={"row": user}) if user else None

    @server.channel("me")
    def me(question: pusherc.Question) -> bool:
        return bool(question.data == {"row": "olga"})

    await serve(server)
    client = await connect(server, user="olga", headers={"X-Test": "1", "Authorization": "Bearer t"})
    await client.joined("private-me")
    await (await connect(server)).refused("private-me")
    assert seen[0][:7] == ("connect", "1", "/app/app-key", "1", "t", None, "127.0.0.1")
    with pytest.raises(pusherc.StateError):
        seen[0][7].path  # noqa: B018  (it was answered)
    for user, code in (("eve", 4009), ("bug", 4100), ("type", 4100)):
        client = Client((await connect_raw(server, user)))
        assert await client.closed() == code, user
    assert [type(why) for why, _ in errors] == [ValueError, TypeError]


async def connect_raw(server: pusherc.Server, user: str) -> Any:
    import websockets
    return await websockets.connect(f"ws://127.0.0.1:{server.port}/app/app-key?protocol=7&user={user}")


async def test_data_of_identities_is_let_go(serve: Serve, connect: Connect) -> None:
    import gc
    import weakref

    class Row:
        pass

    rows: list[weakref.ref[Row]] = []
    server = pusherc.Server([app()], [pusherc.Listen()])

    @server.identify
    def who(question: pusherc.IdentifyRequest) -> pusherc.Identity:
        row = Row()
        rows.append(weakref.ref(row))
        return pusherc.Identity("olga", data=row)

    await serve(server)
    client = await connect(server)
    assert rows[0]() is not None
    await client.close()
    await until(lambda: server.stats["connections"] == 0)
    await connect(server)  # the next message sweeps
    await connect(server)
    gc.collect()
    assert rows[0]() is None and rows[-1]() is not None


async def test_find_app_puts_what_was_not_there(serve: Serve, connect: Connect) -> None:
    server = pusherc.Server([], [pusherc.Listen()], on_error=lambda why, question: None)
    asked: list[str | None] = []

    @server.find_app
    async def find(question: pusherc.AppRequest) -> pusherc.App | None:
        asked.append(question.key)
        if question.key == "bug":
            raise ValueError
        return pusherc.App("shop", "shop-key", "secret") if question.key == "shop-key" else None

    await serve(server)
    await connect(server, key="shop-key")
    await connect(server, key="shop-key")
    assert asked == ["shop-key"]
    server.publish("news", "e", 1, app="shop")
    for key in ("none", "bug"):
        import websockets
        client = Client(await websockets.connect(f"ws://127.0.0.1:{server.port}/app/{key}?protocol=7"))
        assert await client.closed() == 4001


async def test_pages_of_the_program(serve: Serve) -> None:
    import http.client
    errors: Errors = []
    server = pusherc.Server([app()], [pusherc.Listen()], on_error=lambda why, question: errors.append((why, question)))

    @server.http
    async def page(request: pusherc.HttpRequest) -> pusherc.Response | str:
        if request.path == "/bug":
            raise ValueError
        if request.method == "POST":
            await asyncio.sleep(0)
            return pusherc.Response(f"{request.form('a')} {request.body!r}", 201, [("X-A", "1"), ("X-A", "2")])
        return f"<h1>{request.query('q')}</h1>"

    await serve(server)

    def fetch(method: str, path: str, body: str | None = None) -> tuple[int, list[tuple[str, str]], str]:
        connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=20)
        connection.request(method, path, body, {"Content-Type": "application/x-www-form-urlencoded"})
        answer = connection.getresponse()
        try:
            return answer.status, answer.getheaders(), answer.read().decode()
        finally:
            connection.close()

    status, headers, text = await asyncio.to_thread(fetch, "GET", "/x?q=%C3%BC")
    assert (status, text) == (200, "<h1>ü</h1>") and ("Content-Type", "text/html; charset=utf-8") in headers
    status, headers, text = await asyncio.to_thread(fetch, "POST", "/x", "a=b+c")
    assert (status, text) == (201, "b c b'a=b+c'") and [v for k, v in headers if k == "X-A"] == ["1", "2"]
    assert (await asyncio.to_thread(fetch, "GET", "/bug"))[0] == 500
    assert isinstance(errors[0][0], ValueError)


async def test_views_without_code(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    @server.channel("tickets.{n}", views={"agent": None, "customer": pusherc.Without("note", "/who/email"),
                                          "outsider": pusherc.Without.everything()})
    def view(question: pusherc.Question) -> pusherc.Grant:
        return pusherc.Grant(view=question.user_id)

    await serve(server)
    clients = {user: await connect(server, user=user) for user in ("agent", "customer", "outsider")}
    for client in clients.values():
        await client.joined("private-tickets.7")
    server.publish("private-tickets.7", "replied", {"id": 7, "note": "x", "who": {"email": "e", "name": "n"}})
    got = {user: [json.loads(frame["data"]) for frame in await client.quiet()] for user, client in clients.items()}
    assert got == {"agent": [{"id": 7, "note": "x", "who": {"email": "e", "name": "n"}}],
                   "customer": [{"id": 7, "who": {"name": "n"}}], "outsider": []}


async def test_views_by_a_function(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    def render(event: pusherc.Rendering) -> object:
        if event.view == "bug":
            return object()  # no JSON
        return {"agent": True, "customer": {"for": event.view, "was": event.data}}.get(event.view)

    @server.channel("tickets.{n}", views=render)
    def view(question: pusherc.Question) -> pusherc.Grant:
        return pusherc.Grant(view=question.user_id)

    await serve(server)
    clients = {user: await connect(server, user=user) for user in ("agent", "customer", "outsider")}
    for client in clients.values():
        await client.joined("private-tickets.7")
    server.publish("private-tickets.7", "replied", "text")
    got = {user: [frame["data"] for frame in await client.quiet()] for user, client in clients.items()}
    assert got == {"agent": ["text"], "customer": ['{"for":"customer","was":"text"}'], "outsider": []}


async def test_rules_change_while_it_runs(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    client = await connect(await serve(server), user="olga")
    await client.refused("private-x")

    @server.channel("x")
    def yes(question: pusherc.Question) -> bool:
        return True

    await client.joined("private-x")
    with pytest.raises(pusherc.ExistsError):
        server.channel("x")(yes)
    server.channel("x", replaces=True)(lambda question: False)
    assert await server.reauthorize() == (0, 1)
    await client.event("pusher:subscription_error")
    server.remove_rule("x")
    with pytest.raises(pusherc.NotFoundError):
        server.remove_rule("x")


@pytest.mark.parametrize("wrong", ["private-x", "a.{b", "{a}{a}", ""])
async def test_pattern_that_is_wrong_is_told_at_the_start(server: pusherc.Server, wrong: str) -> None:
    server.channel(wrong)(lambda question: True)
    with pytest.raises(pusherc.InvalidError, match="pattern"):
        await server.start()
    with pytest.raises(pusherc.StateError):
        server.publish("x", "y", 1)


async def test_cached_answer_is_not_asked_again(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    asked: list[pusherc.Question] = []

    @server.channel("x", cache=60)
    def yes(question: pusherc.Question) -> bool:
        asked.append(question)
        return True

    client = await connect(await serve(server), user="olga")
    await client.joined("private-x")
    await client.send("pusher:unsubscribe", channel="private-x")
    await client.joined("private-x")
    assert len(asked) == 1


async def test_reauthorize_revokes_before_it_returns(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    allowed = {"olga", "max"}

    @server.channel("tickets.{n}")
    async def may(question: pusherc.Question) -> bool:
        await asyncio.sleep(0.01)
        return question.user_id in allowed

    await serve(server)
    olga, max = await connect(server, user="olga"), await connect(server, user="max")
    for client in (olga, max):
        await client.joined("private-tickets.7")
    allowed.discard("max")
    told = server.reauthorize(pattern="tickets.{n}")
    server.publish("private-tickets.7", "secret", 1)
    assert await told == pusherc.Reauthorized(kept=1, revoked=1)
    await olga.event("secret")
    assert "secret" not in [frame["event"] for frame in await max.quiet()]
    assert await server.reauthorize(pusherc.Match(user_id="olga"), pusherc.Match(socket_id=max.socket_id)) == (1, 1)
    with pytest.raises(pusherc.InvalidError):
        server.reauthorize(user_id="olga", anonymous=True)


async def test_interrupted_turn_goes_on(server: pusherc.Server, serve: Serve, connect: Connect) -> None:
    """SystemExit in a rule leaves the turn; the questions behind it in the same turn are answered all the same."""
    desk_errors: list[BaseException] = []
    server.on_error(lambda why, question: desk_errors.append(why))

    @server.channel("x.{n}")
    def leave(question: pusherc.Question) -> bool:
        if question.params["n"] == "0":
            raise SystemExit(3)
        return True

    client = await connect(await serve(server))
    desk = server._desk
    assert desk
    asyncio.get_running_loop().remove_reader(desk._fd)  # so that they come in one turn
    for n in range(5):
        await client.ask(f"private-x.{n}")
    await until(lambda: server.stats["questions"] == 5)
    with pytest.raises(SystemExit):
        desk.turn()
    asyncio.get_running_loop().add_reader(desk._fd, desk.turn)
    await client.event("pusher:subscription_error", "private-x.0")
    for n in range(1, 5):
        await client.event("pusher_internal:subscription_succeeded", f"private-x.{n}")
    assert isinstance(desk_errors[0], SystemExit)
