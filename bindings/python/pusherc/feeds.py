"""What happens in a server, as asynchronous iterators with a bounded buffer."""

import asyncio
from collections import deque
from collections.abc import Callable, Set
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Literal, Self, TypeVar

from pusherc._ffi import ffi, lib

NoticeKind = Literal["open", "close", "signin", "occupied", "vacated", "member_added", "member_removed",
                     "subscription_count", "client_event", "online", "offline", "receipt_written", "receipt_shown",
                     "ephemeral_end", "webhook_failed"]


@dataclass(frozen=True, slots=True)
class Notice:
    """Something that has happened. Fields that the kind does not name are empty.

    | kind | fields |
    |---|---|
    | open, signin | socket_id, user_id, data: the client's address |
    | close | the same; number: the close code |
    | occupied, vacated, subscription_count | channel; count: subscriptions; sequence: grows with each change of the channel; scope: "process", or "cluster" for a change on all linked servers, which one of them tells beside its own |
    | member_added, member_removed | the same, and user_id |
    | client_event | channel, socket_id, user_id; name: of the event; data: its payload |
    | online, offline | user_id, in an app with `user_events`; away: seconds since who is offline was there; sequence: grows with each change of a user |
    | receipt_written, receipt_shown | channel, user_id, socket_id; name: of the event; data: its id; at: Unix time in seconds |
    | ephemeral_end | channel, user_id; name: of the client event that had begun the state; data: what was said last; reason: "time" or "left" |
    | webhook_failed | name: the URL; data: the body; number: the last status; count: events in the body |
    """

    kind: NoticeKind
    app_id: str = ""
    socket_id: str = ""
    channel: str = ""
    user_id: str | None = None
    name: str = ""
    data: str = ""
    number: int = 0
    count: int = 0
    sequence: int = 0
    away: float = 0.0
    scope: str = ""
    reason: str = ""
    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Denial:
    """A refused subscription, sign-in or connection, and exactly why; clients are told less.

    `reason`: a name of docs/authorization.md, such as "BY_RULE". `status`: as of HTTP; for a connection its close code.
    """

    reason: str
    status: int
    app_id: str
    channel: str
    pattern: str
    user_id: str | None
    socket_id: str
    detail: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """The program was slow: at this place `count` items are missing."""

    count: int


@dataclass(frozen=True, slots=True)
class PresenceChange:
    """A member of a presence channel came or went."""

    kind: Literal["added", "removed"]
    user_id: str
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class OnlineChange:
    """A user of the app is online or offline now, over all connections and channels."""

    kind: Literal["online", "offline"]
    user_id: str


CHANNEL_KINDS: dict[int, NoticeKind] = {
    lib.PUSHERC_CHANNEL_OCCUPIED: "occupied",
    lib.PUSHERC_CHANNEL_VACATED: "vacated",
    lib.PUSHERC_MEMBER_ADDED: "member_added",
    lib.PUSHERC_MEMBER_REMOVED: "member_removed",
    lib.PUSHERC_SUBSCRIPTION_COUNT: "subscription_count",
}
RECEIPT_KINDS: dict[int, NoticeKind] = {
    lib.PUSHERC_RECEIPT_WRITTEN: "receipt_written",
    lib.PUSHERC_RECEIPT_SHOWN: "receipt_shown",
}
REASONS = {lib.PUSHERC_EPHEMERAL_TIME: "time", lib.PUSHERC_EPHEMERAL_LEFT: "left"}
KINDS: dict[int, NoticeKind] = {
    lib.PUSHERC_MESSAGE_OPEN: "open",
    lib.PUSHERC_MESSAGE_CLOSE: "close",
    lib.PUSHERC_MESSAGE_SIGNIN: "signin",
    lib.PUSHERC_MESSAGE_CLIENT_EVENT: "client_event",
    lib.PUSHERC_MESSAGE_EPHEMERAL_END: "ephemeral_end",
    lib.PUSHERC_MESSAGE_WEBHOOK_FAILED: "webhook_failed",
}
# The message that each kind of notice comes with.
MESSAGES: dict[NoticeKind, int] = {kind: message for message, kind in KINDS.items()}
MESSAGES.update({kind: lib.PUSHERC_MESSAGE_CHANNEL for kind in CHANNEL_KINDS.values()})
MESSAGES.update({kind: lib.PUSHERC_MESSAGE_RECEIPT for kind in RECEIPT_KINDS.values()})
MESSAGES.update({"online": lib.PUSHERC_MESSAGE_USER, "offline": lib.PUSHERC_MESSAGE_USER})


def notice_of(kind: int, numbers: Any, texts: Any) -> Notice:
    """A notice from the numbers and texts of its message."""
    socket_id, app_id, channel, user_id, name, data = texts
    _, number, _, _, _, a, b = numbers
    if kind == lib.PUSHERC_MESSAGE_CHANNEL:
        return Notice(CHANNEL_KINDS[number], app_id, socket_id, channel, user_id or None, count=a, sequence=b,
                      scope=name or "process")
    if kind == lib.PUSHERC_MESSAGE_USER:
        return Notice("online" if number else "offline", app_id, user_id=user_id, sequence=b, away=a / 1000)
    if kind == lib.PUSHERC_MESSAGE_RECEIPT:
        return Notice(RECEIPT_KINDS[number], app_id, socket_id, channel, user_id, name, data, at=a / 1000)
    if kind == lib.PUSHERC_MESSAGE_EPHEMERAL_END:
        return Notice(KINDS[kind], app_id, channel=channel, user_id=user_id or None, name=name, data=data, reason=REASONS[number])
    count = a if kind == lib.PUSHERC_MESSAGE_WEBHOOK_FAILED else 0
    return Notice(KINDS[kind], app_id, socket_id, channel, user_id or None, name, data, number, count)


def denial_of(numbers: Any, texts: Any) -> Denial:
    socket_id, app_id, channel, user_id, pattern, detail = texts
    reason = ffi.string(lib.pusherc_denial_name(numbers[1])).decode()
    return Denial(reason, numbers[5], app_id, channel, pattern, user_id or None, socket_id, detail)


T = TypeVar("T")


class _Reader(Generic[T]):
    """What all iterators share: they wait, they end with the server, and they stop listening when they are closed."""

    def __init__(self, messages: frozenset[int], forget: Callable[[Any], None]) -> None:
        self.messages = messages  # the types that it wants
        self._forget = forget
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    def push(self, kind: int, numbers: Any, texts: Any) -> None:
        raise NotImplementedError

    def end(self) -> None:
        """No more will come."""
        self._ended = True
        self._wake()

    def close(self) -> None:
        """Stop listening."""
        self._forget(self)
        self.end()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self) -> None:
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def __aiter__(self) -> Self:
        return self

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None,
                        trace: TracebackType | None) -> None:
        self.close()


class Feed(_Reader[T]):
    """Items as they come, at most `limit` of them waiting; a Dropped stands where others are missing."""

    def __init__(self, messages: frozenset[int], forget: Callable[[Any], None], limit: int,
                 make: Callable[[int, Any, Any], T | None]) -> None:
        super().__init__(messages, forget)
        self.dropped = 0
        """items that were dropped so far"""
        self._limit = limit
        self._make = make
        self._items: deque[T | Dropped] = deque()
        self._missing = 0  # since the last item in the buffer

    def push(self, kind: int, numbers: Any, texts: Any) -> None:
        item = self._make(kind, numbers, texts)
        if item is None:
            return
        if len(self._items) >= self._limit:
            self.dropped += 1
            self._missing += 1
            return
        if self._missing:
            self._items.append(Dropped(self._missing))
            self._missing = 0
        self._items.append(item)
        self._wake()

    async def __anext__(self) -> T | Dropped:
        while not self._items:
            if self._missing:
                missing, self._missing = self._missing, 0
                return Dropped(missing)
            if self._ended:
                raise StopAsyncIteration
            await self._wait()
        return self._items.popleft()


class _Roster(_Reader[T]):
    """Who is there: first those whom a list has, then each change, none twice and none missing.

    Reports and lists have sequence numbers in common. A program that is slower than `limit` changes gets the differences
    instead of each step.
    """

    def __init__(self, message: int, forget: Callable[[Any], None], limit: int,
                 fetch: Callable[[], tuple[dict[str, Any], int]]) -> None:
        super().__init__(frozenset([message]), forget)
        self._there: dict[str, Any] = {}  # as far as the changes have been read
        self._limit = limit
        self._fetch = fetch
        self._told: deque[tuple[bool, str, int]] = deque()  # there?, user, sequence
        self._behind = False  # `_told` was full
        self._sequence = 0  # what `_there` contained when it was fetched
        self._seen: dict[str, int] = {}  # the last change of a user since then: workers may tell them in another order
        self._found: deque[tuple[bool, str, Any]] = deque()

    def begin(self) -> None:
        """Fetch who is there. The reader listens already, so that there is no gap."""
        self._there, self._sequence = self._fetch()

    def _change(self, there: bool, user_id: str, info: Any) -> T:
        raise NotImplementedError

    def _heard(self, there: bool, user_id: str, sequence: int) -> None:
        if len(self._told) >= self._limit:
            self._told.clear()
            self._behind = True
        if not self._behind:
            self._told.append((there, user_id, sequence))
        self._wake()

    async def __anext__(self) -> T:
        while True:
            change = self._next()
            if change:
                return self._change(*change)
            if self._ended:
                raise StopAsyncIteration
            await self._wait()

    def _next(self) -> tuple[bool, str, Any] | None:
        if self._behind:
            self._catch_up()
        while self._found or self._told:
            change = self._found.popleft() if self._found else self._read(*self._told.popleft())
            if change:
                there, user_id, info = change
                if there:
                    self._there[user_id] = info
                else:
                    self._there.pop(user_id, None)
                return change
        return None

    def _read(self, there: bool, user_id: str, sequence: int) -> tuple[bool, str, Any] | None:
        if sequence <= self._seen.get(user_id, self._sequence):
            return None
        if len(self._seen) > 10000:
            self._behind = True  # forget by fetching
            self._catch_up()
            return None
        self._seen[user_id] = sequence
        if there == (user_id in self._there):
            return None
        if there:
            return True, user_id, self._info(user_id)
        return False, user_id, self._there[user_id]

    def _info(self, user_id: str) -> Any:
        """What is known of who has just come."""
        raise NotImplementedError

    def _catch_up(self) -> None:
        """Compare with what is there now: the differences are the changes."""
        self._behind = False
        if self._ended:
            return
        now, self._sequence = self._fetch()
        self._seen.clear()
        self._found.clear()
        self._found.extend((False, user, info) for user, info in self._there.items() if user not in now)
        self._found.extend((True, user, info) for user, info in now.items() if user not in self._there)


class Presence(_Roster[PresenceChange]):
    """The members of a presence channel: first those who are there, then each change, none twice and none missing.

    A program that is slower than `limit` changes gets the differences instead of each step.
    """

    def __init__(self, forget: Callable[[Any], None], app_id: str, channel: str, limit: int,
                 fetch: Callable[[], tuple[dict[str, dict[str, Any]], int]]) -> None:
        super().__init__(lib.PUSHERC_MESSAGE_CHANNEL, forget, limit, fetch)
        self._key = (app_id, channel)

    @property
    def members(self) -> dict[str, dict[str, Any]]:
        """The info of each member, by user id: as far as the changes have been read."""
        return self._there

    def push(self, kind: int, numbers: Any, texts: Any) -> None:
        what = numbers[1]
        of_cluster = texts[4]  # this server has told its own change
        if not of_cluster and (texts[1], texts[2]) == self._key and what in (lib.PUSHERC_MEMBER_ADDED, lib.PUSHERC_MEMBER_REMOVED):
            self._heard(what == lib.PUSHERC_MEMBER_ADDED, texts[3], numbers[6])

    def _info(self, user_id: str) -> dict[str, Any]:
        return self._fetch()[0].get(user_id, {}) if not self._ended else {}

    def _change(self, there: bool, user_id: str, info: dict[str, Any]) -> PresenceChange:
        return PresenceChange("added" if there else "removed", user_id, info)


class Online(_Roster[OnlineChange]):
    """The users of an app who are online: first those who are, then each change, none twice and none missing.

    A program that is slower than `limit` changes gets the differences instead of each step.
    """

    def __init__(self, forget: Callable[[Any], None], app_id: str, limit: int,
                 fetch: Callable[[], tuple[dict[str, None], int]]) -> None:
        super().__init__(lib.PUSHERC_MESSAGE_USER, forget, limit, fetch)
        self._app_id = app_id

    @property
    def users(self) -> Set[str]:
        """Their ids: as far as the changes have been read."""
        return self._there.keys()

    def push(self, kind: int, numbers: Any, texts: Any) -> None:
        if texts[1] == self._app_id:
            self._heard(bool(numbers[1]), texts[3], numbers[6])

    def _info(self, user_id: str) -> None:
        return None

    def _change(self, there: bool, user_id: str, info: None) -> OnlineChange:
        return OnlineChange("online" if there else "offline", user_id)
