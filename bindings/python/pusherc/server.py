"""The server."""

import asyncio
import atexit
import inspect
import json
import os
import signal
import socket
import threading
import warnings
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, NamedTuple, Self, TypeVar, Unpack

from pusherc import _callbacks, _settings
from pusherc._callbacks import CachedEvent, ChannelInfo, Connection, Member, Past, User, Vetting
from pusherc._desk import Desk, FindApp, Http, Identify
from pusherc._ffi import ffi, lib
from pusherc._memory import NULL, Memory, milliseconds, payload, zero_terminated
from pusherc._rules import RuleSet
from pusherc._settings import ServerSettings
from pusherc.config import TLS, App, Listen
from pusherc.errors import StateError, check, error
from pusherc.feeds import (MESSAGES, Denial, Feed, Notice, NoticeKind, Online, Presence, _Reader, denial_of,
                           notice_of)
from pusherc.questions import AppRequest, HttpRequest, Identity, IdentifyRequest, Incoming, Response

LogLevel = Literal["error", "warn", "info", "debug", "trace"]


class Reauthorized(NamedTuple):
    """How many grants stand, and how many are lost."""

    kept: int
    revoked: int


class Event(NamedTuple):
    """One event of `publish_batch`."""

    channel: str | Sequence[str]
    name: str
    data: object
    exclude: str | None = None


@dataclass(frozen=True, slots=True)
class Match:
    """Grants of a user, of a pattern, of a connection, of anonymous clients; what is named has to fit together."""

    user_id: str | None = None
    pattern: str | None = None
    socket_id: str | None = None
    anonymous: bool = False


_servers: "weakref.WeakSet[Server]" = weakref.WeakSet()
NOTICES = frozenset(MESSAGES.values()) | {lib.PUSHERC_MESSAGE_DENIED}
ALWAYS = (lib.PUSHERC_MESSAGE_ABANDONED, lib.PUSHERC_MESSAGE_LOG, lib.PUSHERC_MESSAGE_REAUTHORIZED,
          lib.PUSHERC_MESSAGE_STOPPED)


def _bits(messages: Iterable[int]) -> int:
    return sum(1 << message for message in set(messages))


class _Inside:
    """The C server for the time of a call; it is not freed meanwhile."""

    __slots__ = ("_gate",)

    def __init__(self, gate: Any) -> None:
        self._gate = gate

    def __enter__(self) -> Any:
        server = lib.gate_enter(self._gate)
        if not server:
            raise error(lib.PUSHERC_ESTATE, "the server has stopped, or belongs to the parent of this process")
        return server

    def __exit__(self, *_: object) -> None:
        lib.gate_leave(self._gate)


class Server(RuleSet):
    """A server for the Pusher Channels protocol inside this process.

    Its threads do the I/O. Rules and hooks are functions of this program, and run in the asyncio loop in which the server
    was started: plain functions at once, coroutines as tasks. `publish` and the queries may be called from any thread.

        server = pusherc.Server(apps=[pusherc.App("app-id", "app-key", "app-secret")], listen=[pusherc.Listen(6001)])

        async with server:
            server.publish("news", "changed", {"id": 7})

    `workers`: threads of the library, 0 = one for each processor. `rule_timeout`: seconds that a coroutine may take to
    answer. `grace`: seconds over which clients are closed when the server stops. `on_error(exception, question)` gets what
    functions raise; without it the loop's exception handler does. Log lines go to the loggers "pusherc.*". Further settings
    are those of docs/configuration.md.
    """

    def __init__(self, apps: Iterable[App] = (), listen: Iterable[Listen] = (), *, workers: int = 1,
                 rule_timeout: float = 5.0, grace: float = 1.0, log_level: LogLevel = "info",
                 on_error: Callable[[BaseException, Any], None] | None = None, max_messages: int = 0,
                 **settings: Unpack[ServerSettings]) -> None:
        super().__init__()
        self._apps = {app.id: app for app in apps}
        self._listen = tuple(listen)
        self._workers = workers
        self._rule_timeout = rule_timeout
        self._grace = grace
        self._log_level = log_level
        self._error_handler = on_error
        self._max_messages = max_messages
        self._settings = settings
        self._memory = Memory()
        self._memory.settings(self._memory.new("pusherc_server_options"), _settings.SERVER, settings, "Server")
        # The app of calls that name none.
        self._app = zero_terminated(next(iter(self._apps)), "id") if len(self._apps) == 1 else None
        self._hooks: dict[str, Callable[[Any], Any]] = {}
        self._vetting: Any = None
        self._gate: Any = None
        self._inbox: Any = None
        self._desk: Desk | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = 0
        self._stopped: asyncio.Future[None] | None = None
        self._stopping: asyncio.Task[None] | None = None
        self._forked = False
        self._freed = False
        self._readers: weakref.WeakSet[_Reader[Any]] = weakref.WeakSet()
        # They publish by this server, and end before it: see broadcaster.py.
        self._broadcasters: weakref.WeakSet[Any] = weakref.WeakSet()
        self._wanted: frozenset[int] = frozenset()
        self._tickets: dict[int, asyncio.Future[Reauthorized]] = {}
        self._last_ticket = 0

    # -- functions of the program --

    def identify(self, function: Callable[[IdentifyRequest], Identity | None | Awaitable[Identity | None]], /) -> Any:
        """Decorator: who is this? Asked for each connection, and by the auth endpoints. None = anonymous; raise Reject."""
        return self._hook("identify", function)

    def find_app(self, function: Callable[[AppRequest], App | None | Awaitable[App | None]], /) -> Any:
        """Decorator: which app has this id or key? Asked once for an app that was not put."""
        return self._hook("find_app", function)

    def http(self, function: Callable[[HttpRequest], Response | str | bytes | Awaitable[Response | str | bytes]], /) -> Any:
        """Decorator: requests for paths that are not the library's."""
        return self._hook("http", function)

    def on_publish(self, function: Callable[[Incoming], bool], /) -> Callable[[Incoming], bool]:
        """Decorator: may an event of the HTTP API be published? True = yes, as the function has changed it. False or
        `raise Deny(reason)` = the publisher gets 403, and nothing of its request is published.

        A plain function: its answer cannot wait. It runs on a thread of the library, which waits for the interpreter's
        lock, beside what the loop runs. What this process publishes itself, and client events, do not come here.
        """
        if inspect.iscoroutinefunction(function):
            raise TypeError("on_publish answers at once: it cannot be a coroutine function")
        self._hook("on_publish", function)
        return function

    def on_error(self, function: Callable[[BaseException, Any], None], /) -> Callable[[BaseException, Any], None]:
        """Decorator: gets what functions raise, and the question that was refused because of it."""
        self._error_handler = function
        return function

    def _hook(self, name: str, function: Callable[[Any], Any]) -> Callable[[Any], Any]:
        if self._gate is not None:
            raise StateError(lib.PUSHERC_ESTATE, f"{name} is set before the server is started")
        self._hooks[name] = function
        return function

    # -- life --

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        await self.stop()

    async def start(self) -> None:
        """Listen. Functions of the program run in the loop that calls this."""
        if self._gate is not None:
            raise StateError(lib.PUSHERC_ESTATE, "the server was started before; make another one")
        loop = asyncio.get_running_loop()
        memory = Memory()
        info = ffi.new("pusherc_errinfo *")
        inbox_options = self._memory.new("pusherc_inbox_options")
        inbox_options.max_messages = self._max_messages
        inbox = ffi.new("pusherc_inbox **")
        check(lib.pusherc_inbox_new(inbox, inbox_options))
        self._inbox = ffi.gc(inbox[0], lib.pusherc_inbox_free)
        desk = Desk(self._inbox, self._rule_timeout, self._report)
        server = ffi.new("pusherc_server **")
        check(lib.pusherc_server_new(server, self._options(desk), info), info)
        gate = lib.gate_new(server[0])
        if not gate:
            lib.pusherc_server_free(server[0])
            raise MemoryError
        self._gate = ffi.gc(gate, lib.gate_free)
        _servers.add(self)
        self._desk, self._loop, self._thread = desk, loop, threading.get_ident()
        self._stopped = loop.create_future()
        desk.notice, desk.stopped, desk.reauthorized = self._notice, self._has_stopped, self._has_reauthorized
        try:
            check(lib.pusherc_server_mute(server[0], _bits(NOTICES)))
            for app in self._apps.values():
                check(lib.pusherc_server_put_app(server[0], app._options(memory), info), info)
            self._add_rules(server[0], desk)
            for listen in self._listen:
                check(lib.pusherc_server_listen(server[0], listen._options(memory), info), info)
            check(lib.pusherc_server_start(server[0], info), info)
        except BaseException:
            self._free()
            raise
        desk.open(loop)

    def _options(self, desk: Desk) -> Any:
        options = self._memory.new("pusherc_server_options")
        self._memory.settings(options, _settings.SERVER, self._settings, "Server")
        wait_ms = milliseconds(self._rule_timeout, "rule_timeout")
        for name in ("auth_timeout_ms", "identify_timeout_ms"):
            if name not in self._settings:  # later than the coroutine's end
                setattr(options, name, max(10000, wait_ms + 1000))
        options.worker_count = self._workers or lib.PUSHERC_WORKERS_PER_CPU
        options.log_level = getattr(lib, f"PUSHERC_LOG_{self._log_level.upper()}")
        options.inbox = self._inbox
        messages = [*ALWAYS, *NOTICES]
        if function := self._hooks.get("identify"):
            desk.identify = Identify(function, desk.shelve)
            messages.append(lib.PUSHERC_MESSAGE_IDENTIFY)
        if function := self._hooks.get("find_app"):
            desk.find_app = FindApp(function)
            messages.append(lib.PUSHERC_MESSAGE_FIND_APP)
        if function := self._hooks.get("http"):
            desk.http = Http(function)
            messages.append(lib.PUSHERC_MESSAGE_HTTP)
        if function := self._hooks.get("on_publish"):
            self._vetting = ffi.new_handle(Vetting(function, self._report_from_thread))
            hooks = self._memory.new("pusherc_hooks")
            hooks.on_publish = lib.pusherc_python_publish
            hooks.user_data = self._vetting
            options.hooks = hooks
        options.inbox_messages = _bits(messages)
        return options

    async def stop(self, grace: float | None = None) -> None:
        """Close the clients within `grace` seconds, end all work, and free what the server has. Several times is harmless.

        A second call with less grace shortens the first.
        """
        if self._gate is None or self._forked or self._freed:
            return
        if not self._stopping or not self._stopping.done():
            with _Inside(self._gate) as server:
                lib.pusherc_server_stop(server, milliseconds(self._grace if grace is None else grace, "grace"), NULL, NULL)
        if not self._stopping:
            self._stopping = asyncio.ensure_future(self._end())
        await asyncio.shield(self._stopping)

    async def _end(self) -> None:
        assert self._stopped and self._loop
        try:
            await self._stopped
        finally:
            # Closing and freeing wait for the library's threads.
            try:
                for broadcaster in list(self._broadcasters):
                    await self._loop.run_in_executor(None, broadcaster.close, 0)
                lib.gate_close(self._gate)
                await self._loop.run_in_executor(None, lib.gate_free_server, self._gate)
            finally:
                self._free()

    def _free(self) -> None:
        """What the server has, whatever its state."""
        self._freed = True
        lib.gate_free_server(self._gate)
        if self._desk:
            self._desk.close()
        for reader in list(self._readers):
            reader.end()
        for ticket in self._tickets.values():
            if not ticket.done():
                ticket.cancel()
        self._tickets.clear()
        _servers.discard(self)
        if self._stopped and not self._stopped.done():
            self._stopped.set_result(None)

    def __del__(self) -> None:
        if getattr(self, "_gate", None) is not None and not self._freed and not self._forked:
            warnings.warn(f"{self!r} was not stopped", ResourceWarning, source=self, stacklevel=2)

    async def wait(self) -> None:
        """Wait until the server has stopped."""
        if self._stopped is None:
            raise StateError(lib.PUSHERC_ESTATE, "the server was not started")
        await asyncio.shield(self._stopped)

    def run(self, *, signals: Sequence[int] = (signal.SIGINT, signal.SIGTERM),
            started: Callable[[], object] | None = None) -> None:
        """Serve until one of `signals` comes: for scripts that have no loop of their own. Main thread.

        `started` is called when clients can connect. A coroutine function runs beside the server.
        """
        asyncio.run(self._run(signals, started))

    async def _run(self, signals: Sequence[int], started: Callable[[], object] | None) -> None:
        loop = asyncio.get_running_loop()
        ended = asyncio.Event()
        for number in signals:
            loop.add_signal_handler(number, ended.set)
        async with self:
            beside: set[asyncio.Future[Any]] = {asyncio.ensure_future(ended.wait()), asyncio.ensure_future(self.wait())}
            made: Any = started() if started else None
            if inspect.isawaitable(made):
                work: asyncio.Future[Any] = asyncio.ensure_future(made)
                beside.add(work)
                work.add_done_callback(lambda done: ended.set() if done.cancelled() or done.exception() else None)
                await asyncio.wait(beside - {work}, return_when=asyncio.FIRST_COMPLETED)
                if work.done():
                    work.result()
            else:
                await asyncio.wait(beside, return_when=asyncio.FIRST_COMPLETED)
            for task in beside:
                task.cancel()

    @property
    def port(self) -> int:
        """The port of the first listener."""
        return self.ports[0] if self.ports else 0

    @property
    def ports(self) -> list[int]:
        """The port of each listener, 0 for a unix socket."""
        with self._inside() as server:
            return [lib.pusherc_server_port(server, i) for i in range(len(self._listen))]

    @property
    def paths(self) -> tuple[bytes, ...]:
        """Where the server's own paths begin: those that end with "/" go on, the others are whole."""
        prefix = self._settings.get("path_prefix", "")
        ends = [self._settings.get("auth_path", "/broadcasting/auth"),
                self._settings.get("user_auth_path", "/broadcasting/user-auth")]
        paths = [path for several in ends for path in several.split(",") if path]
        return tuple((prefix + path).encode() for path in ["/app/", "/apps/", *paths])

    @property
    def longest_path(self) -> int:
        """The length of the longest one of `paths`."""
        return max(map(len, self.paths))

    def _inside(self) -> _Inside:
        if self._gate is None:
            raise StateError(lib.PUSHERC_ESTATE, "the server was not started")
        return _Inside(self._gate)

    def _app_of(self, app: str | None) -> bytes:
        if app is not None:
            return zero_terminated(app, "app")
        if self._app is None:
            raise ValueError("name the app: the server has none, or several")
        return self._app

    def _report(self, why: BaseException, question: Any) -> None:
        context = {"message": f"pusherc: refused {question!r}", "exception": why}
        assert self._loop
        if self._error_handler is None:
            if not isinstance(why, asyncio.CancelledError):  # the program itself has cancelled it
                self._loop.call_exception_handler(context)
            return
        try:
            self._error_handler(why, question)
        except Exception as worse:
            self._loop.call_exception_handler(context | {"message": "pusherc: on_error has failed", "exception": worse})

    def _report_from_thread(self, why: BaseException, about: Any) -> None:
        assert self._loop
        try:
            self._loop.call_soon_threadsafe(self._report, why, about)
        except RuntimeError:  # the loop has ended before the server
            pass

    # -- publishing: from any thread --

    def publish(self, channel: str | Sequence[str], event: str, data: object, *, app: str | None = None,
                exclude: str | None = None, encrypted: bool = False) -> None:
        """Send an event to the subscribers of a channel, or of up to 100.

        A str or bytes is sent as it is, anything else as JSON. `exclude`: the socket id of a connection that does not get
        it. `encrypted`: the data is that of signing.encrypt(). Raises BacklogError if a worker is far behind.
        """
        if self._gate is None:
            raise StateError(lib.PUSHERC_ESTATE, "the server was not started")
        body = data.encode() if type(data) is str else payload(data)
        if type(channel) is str and not encrypted:
            target, name = channel.encode(), event.encode()
            code = lib.gate_publish(self._gate, self._app if app is None and self._app else self._app_of(app), target,
                                    len(target), name, len(name), body, len(body), exclude.encode() if exclude else NULL)
        else:
            memory = Memory()
            events = memory.new("pusherc_event", 1)
            self._fill_event(events[0], Event(channel, event, body, exclude), memory)
            events[0].encrypted = encrypted
            with self._inside() as server:
                code = lib.pusherc_publish(server, self._app_of(app), events)
        if code:
            raise error(code)

    def publish_batch(self, events: Iterable[Event], *, app: str | None = None) -> None:
        """Send up to 10 events in order. All are checked before the first is sent."""
        given = list(events)
        memory = Memory()
        structs = memory.new("pusherc_event", len(given))
        for struct, event in zip(structs, given, strict=True):
            self._fill_event(struct, event, memory)
        with self._inside() as server:
            check(lib.pusherc_publish_batch(server, self._app_of(app), structs, len(given)))

    def send_to_user(self, user_id: str, event: str, data: object, *, app: str | None = None) -> None:
        """Send an event to all connections that are signed in as the user."""
        if self._gate is None:
            raise StateError(lib.PUSHERC_ESTATE, "the server was not started")
        user, name, body = user_id.encode(), event.encode(), payload(data)
        check(lib.gate_send_to_user(self._gate, self._app_of(app), user, len(user), name, len(name), body, len(body)))

    def _fill_event(self, struct: Any, event: Event, memory: Memory) -> None:
        channels = [event.channel] if isinstance(event.channel, str) else list(event.channel)
        memory.fill(struct.name, event.name.encode())
        struct.channels = memory.slices([channel.encode() for channel in channels])
        struct.channel_count = len(channels)
        memory.fill(struct.data, payload(event.data))
        setattr(struct, "except", self._socket(event.exclude, memory))

    def _slice(self, value: str | None, memory: Memory) -> Any:
        slice = memory.array("pusherc_slice", 1)
        if value:
            memory.fill(slice[0], value.encode())
        return slice[0]

    def _socket(self, socket_id: str | None, memory: Memory) -> Any:
        id = memory.array("pusherc_socket_id", 1)
        if socket_id is not None:
            check(lib.pusherc_socket_id_parse(self._slice(socket_id, memory), id))
        return id[0]

    # -- connections and grants: from any thread --

    def disconnect(self, socket_id: str, code: int = 4009, reason: str = "", *, app: str | None = None) -> None:
        """Close a connection. After 4100 to 4299 the client connects again."""
        memory = Memory()
        with self._inside() as server:
            check(lib.pusherc_server_disconnect(server, self._app_of(app), self._socket(socket_id, memory), code,
                                                zero_terminated(reason, "reason")))

    def disconnect_user(self, user_id: str, code: int = 4009, reason: str = "", *, app: str | None = None) -> None:
        """Close all connections of a user."""
        memory = Memory()
        with self._inside() as server:
            check(lib.pusherc_server_disconnect_user(server, self._app_of(app), self._slice(user_id, memory), code,
                                                     zero_terminated(reason, "reason")))

    def unsubscribe(self, channel: str, *, user_id: str | None = None, socket_id: str | None = None,
                    reason: str | None = None, app: str | None = None) -> None:
        """Take a channel away from a user, or from a connection, without asking a rule."""
        memory = Memory()
        with self._inside() as server:
            check(lib.pusherc_server_unsubscribe(
                server, self._app_of(app), self._socket(socket_id, memory), self._slice(user_id, memory),
                self._slice(channel, memory), NULL if reason is None else zero_terminated(reason, "reason")))

    def reauthorize(self, *matches: Match, user_id: str | None = None, pattern: str | None = None,
                    socket_id: str | None = None, anonymous: bool = False,
                    app: str | None = None) -> "asyncio.Future[Reauthorized]":
        """Ask the rules again, because facts have changed: for all grants that match, without arguments for all.

        When this has returned, nothing that is published reaches a client that loses its grant. Awaiting the result is
        waiting until all rules have answered.
        """
        loop = asyncio.get_running_loop()
        given = list(matches)
        if not given or user_id is not None or pattern is not None or socket_id is not None or anonymous:
            given.append(Match(user_id, pattern, socket_id, anonymous))
        memory = Memory()
        structs = memory.new("pusherc_grant_match", len(given))
        for i, match in enumerate(given):
            memory.fill(structs[i].user_id, (match.user_id or "").encode())
            memory.fill(structs[i].channel_pattern, (match.pattern or "").encode())
            structs[i].socket_id = self._socket(match.socket_id, memory)
            structs[i].anonymous = match.anonymous
            if i + 1 < len(given):
                structs[i].next = structs + i + 1
        future: asyncio.Future[Reauthorized] = loop.create_future()
        self._last_ticket += 1
        ticket = self._last_ticket
        self._tickets[ticket] = future
        try:
            with self._inside() as server:
                check(lib.pusherc_reauthorize(server, self._app_of(app), structs, NULL, ffi.cast("void *", ticket)))
        except BaseException:
            del self._tickets[ticket]
            raise
        return future

    def _has_reauthorized(self, ticket: int, kept: int, revoked: int) -> None:
        future = self._tickets.pop(ticket, None)
        if future is None:
            return
        if future.get_loop() is self._loop:
            if not future.done():
                future.set_result(Reauthorized(kept, revoked))
        else:
            future.get_loop().call_soon_threadsafe(
                lambda: None if future.done() else future.set_result(Reauthorized(kept, revoked)))

    # -- queries: from any thread --

    def _query(self, function: Any, *arguments: Any) -> list[Any]:
        found: list[Any] = []
        handle = ffi.new_handle(found)
        with self._inside() as server:
            check(function(server, *arguments, handle))
        return found

    def channels(self, prefix: str = "", *, app: str | None = None) -> list[ChannelInfo]:
        """The occupied channels whose names begin with `prefix`."""
        memory = Memory()
        return self._query(lib.pusherc_list_channels, self._app_of(app), self._slice(prefix, memory),
                           lib.pusherc_python_channels)

    def channel_info(self, name: str, *, app: str | None = None) -> ChannelInfo:
        """One channel, occupied or not."""
        memory = Memory()
        info = memory.new("pusherc_channel_info")
        slice = self._slice(name, memory)
        with self._inside() as server:
            check(lib.pusherc_get_channel(server, self._app_of(app), slice, info))
        return _callbacks.channel_info(info)

    def members(self, channel: str, *, app: str | None = None) -> list[Member]:
        """The users of a presence channel, in the order in which they came."""
        return self._members(self._app_of(app), channel)[0]

    def _members(self, app: bytes, channel: str) -> tuple[list[Member], int]:
        memory = Memory()
        sequence, *members = self._query(lib.pusherc_list_members, app, self._slice(channel, memory),
                                         lib.pusherc_python_members)
        return members, sequence

    def users(self, *, away_too: bool = False, app: str | None = None) -> list[User]:
        """The users who are online, in an app with `user_events`. `away_too`: also who was seen last."""
        return self._users(self._app_of(app), away_too)[0]

    def _users(self, app: bytes, away_too: bool) -> tuple[list[User], int]:
        sequence, *users = self._query(lib.pusherc_list_users, app, away_too, lib.pusherc_python_users)
        return users, sequence

    def user(self, user_id: str, *, app: str | None = None) -> User | None:
        """One user, online or not. None = unknown, or not seen since `max_users_seen` others were."""
        memory = Memory()
        info = memory.new("pusherc_user_info")
        with self._inside() as server:
            code = lib.pusherc_get_user(server, self._app_of(app), self._slice(user_id, memory), info)
        if code == lib.PUSHERC_ENOENT:
            return None
        check(code)
        return _callbacks.user_info(info)

    def history(self, channel: str, after: str = "", *, app: str | None = None) -> Past:
        """The events that a channel of an app's `history` keeps; those `after` an event's id, or a position."""
        memory = Memory()
        found = self._query(lib.pusherc_history, self._app_of(app), self._slice(channel, memory),
                            self._slice(after, memory), lib.pusherc_python_history)
        past: Past = found[0]
        return past

    def cached(self, channel: str, *, app: str | None = None) -> CachedEvent | None:
        """The event that a cache channel keeps for new subscribers."""
        memory = Memory()
        found = self._query(lib.pusherc_get_cached_event, self._app_of(app), self._slice(channel, memory),
                            lib.pusherc_python_cached)
        return found[0] if found else None

    def connections(self, user_id: str = "", *, app: str | None = None) -> list[Connection]:
        """The connections of a user, or of the app."""
        memory = Memory()
        return self._query(lib.pusherc_list_connections, self._app_of(app), self._slice(user_id, memory),
                           lib.pusherc_python_connections)

    def explain(self, channel: str, user_id: str = "", *, app: str | None = None) -> dict[str, Any]:
        """How the server would decide about a channel, without asking a rule: see docs/authorization.md."""
        memory = Memory()
        found = self._query(lib.pusherc_explain, self._app_of(app), self._slice(channel, memory),
                            self._slice(user_id, memory), lib.pusherc_python_explained)
        explained: dict[str, Any] = json.loads(found[0])
        return explained

    @property
    def stats(self) -> dict[str, int]:
        """The counters of metrics.h."""
        out = Memory().new("pusherc_stats")
        with self._inside() as server:
            check(lib.pusherc_server_stats(server, out))
        return {name: getattr(out, name) for name, _ in ffi.typeof("pusherc_stats").fields if name != "struct_size"}

    def metrics(self) -> str:
        """The page for Prometheus: text/plain; version=0.0.4."""
        return b"".join(self._query(lib.pusherc_server_metrics, lib.pusherc_python_metrics)).decode()

    # -- what happens: in the server's loop --

    def events(self, *kinds: NoticeKind, limit: int = 1000) -> Feed[Notice]:
        """What happens, from now on: all, or these kinds. `limit`: how many may wait."""
        for kind in kinds:
            if kind not in MESSAGES:
                raise ValueError(f"there is no kind of notice {kind!r}")
        wanted = frozenset(kinds or MESSAGES)

        def make(message: int, numbers: Any, texts: Any) -> Notice | None:
            notice = notice_of(message, numbers, texts)
            return notice if notice.kind in wanted else None

        return self._read(Feed(frozenset(MESSAGES[kind] for kind in wanted), self._forget, limit, make))

    def denials(self, limit: int = 1000) -> Feed[Denial]:
        """What is refused, from now on, and why."""
        return self._read(Feed(frozenset([lib.PUSHERC_MESSAGE_DENIED]), self._forget, limit,
                               lambda _, numbers, texts: denial_of(numbers, texts)))

    def presence(self, channel: str, *, app: str | None = None, limit: int = 1000) -> Presence:
        """The members of a presence channel, and each change from now on; neither a gap nor a change twice."""
        id = self._app_of(app)

        def fetch() -> tuple[dict[str, dict[str, Any]], int]:
            members, sequence = self._members(id, channel)
            return {member.user_id: json.loads(member.info) for member in members}, sequence

        presence = self._read(Presence(self._forget, id.decode(), channel, limit, fetch))
        try:
            presence.begin()
        except BaseException:
            presence.close()
            raise
        return presence

    def online(self, *, app: str | None = None, limit: int = 1000) -> Online:
        """The users who are online, and each change from now on; neither a gap nor a change twice. See users()."""
        id = self._app_of(app)

        def fetch() -> tuple[dict[str, None], int]:
            users, sequence = self._users(id, False)
            return dict.fromkeys(user.user_id for user in users), sequence

        online = self._read(Online(self._forget, id.decode(), limit, fetch))
        try:
            online.begin()
        except BaseException:
            online.close()
            raise
        return online

    def _read(self, reader: "_R") -> "_R":
        if self._desk is None or self._loop is None or (self._stopped and self._stopped.done()):
            raise StateError(lib.PUSHERC_ESTATE, "the server does not run")
        self._readers.add(reader)
        self._listen_for()
        return reader

    def _forget(self, reader: _Reader[Any]) -> None:
        self._readers.discard(reader)
        self._listen_for()

    def _listen_for(self) -> None:
        """Let the server tell what an open iterator reads, and no more."""
        wanted = frozenset(message for reader in self._readers for message in reader.messages)
        if wanted == self._wanted or self._gate is None:
            return
        server = lib.gate_enter(self._gate)
        if server:
            lib.pusherc_server_mute(server, _bits(NOTICES - wanted))
            lib.gate_leave(self._gate)
        self._wanted = wanted

    def _notice(self, kind: int, numbers: Any, texts: Any) -> None:
        heard = False
        for reader in list(self._readers):
            if kind in reader.messages:
                heard = True
                reader.push(kind, numbers, texts)
        if not heard:
            self._listen_for()

    def _has_stopped(self) -> None:
        if self._stopped and not self._stopped.done():
            self._stopped.set_result(None)

    # -- apps, certificates, sockets: from any thread --

    def put_app(self, *apps: App) -> None:
        """Add apps, or replace their settings; all or none. Open connections keep the settings that they began with."""
        if self._gate is None:
            self._apps |= {app.id: app for app in apps}
            self._app = zero_terminated(next(iter(self._apps)), "id") if len(self._apps) == 1 else None
            return
        memory = Memory()
        structs = memory.new("pusherc_app_options", len(apps))
        for i, app in enumerate(apps):
            structs[i] = app._options(memory)[0]
        info = ffi.new("pusherc_errinfo *")
        with self._inside() as server:
            check(lib.pusherc_server_put_apps(server, structs, len(apps), info), info)

    def remove_app(self, app: str) -> None:
        """Remove an app; its connections are closed with 4001."""
        with self._inside() as server:
            check(lib.pusherc_server_remove_app(server, zero_terminated(app, "app")))

    def reload_tls(self, tls: TLS, listener: int = 0) -> None:
        """Hand the workers another certificate of a listener, for new connections."""
        info = ffi.new("pusherc_errinfo *")
        memory = Memory()
        with self._inside() as server:
            check(lib.pusherc_server_reload_tls(server, listener, tls._options(memory), info), info)

    def adopt(self, sock: socket.socket | int, head: bytes = b"") -> None:
        """Take over an accepted socket, and what was read of it: from the request line on.

        It belongs to the server then. A socket object is detached; a descriptor must not be used any more.
        """
        memory = Memory()
        slice = memory.array("pusherc_slice", 1)
        memory.fill(slice[0], head)
        with self._inside() as server:
            check(lib.pusherc_server_adopt(server, sock if isinstance(sock, int) else sock.fileno(), slice[0]))
        if not isinstance(sock, int):
            sock.detach()


_R = TypeVar("_R", bound=_Reader[Any])


def running() -> Server | None:
    """The server that runs in this process, if it is the only one."""
    servers = [server for server in _servers if not server._forked and server._loop is not None]
    return servers[0] if len(servers) == 1 else None


def _free_all() -> None:
    """Before the interpreter goes: no thread of the library may call it afterwards."""
    for server in list(_servers):
        lib.gate_free_server(server._gate)


def _forked() -> None:
    """In a child: its copies of servers are dead."""
    for server in list(_servers):
        server._forked = True
        lib.gate_forked(server._gate)


atexit.register(_free_all)
os.register_at_fork(after_in_child=_forked)
