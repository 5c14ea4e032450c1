"""Functions that the library calls: with the results of queries, while these run; for rendering, and before it publishes.

A query's `user_data` is a handle of the list that takes its result.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from pusherc._desk import renderers
from pusherc._ffi import ffi, lib
from pusherc._memory import Memory, payload, raw, text
from pusherc.errors import check
from pusherc.questions import Deny, Incoming


class ChannelInfo(NamedTuple):
    """A channel at the time of a query. `sequence`: notices with a larger one are not contained in the counts."""

    name: str
    kind: str
    cache: bool
    subscription_count: int
    user_count: int
    sequence: int


class Member(NamedTuple):
    """A user of a presence channel. `info`: JSON text, as it is in the channel."""

    user_id: str
    info: str


class User(NamedTuple):
    """A user of an app with `user_events`. `connections`: by `identify` or a sign-in. `channels`: presence channels.

    `away`: seconds since the last of these has ended, 0 = the user is there. `sequence`: of the user's last notice.
    """

    user_id: str
    online: bool
    connections: int
    channels: int
    away: float
    sequence: int


class Connection(NamedTuple):
    """An established connection: its user by `identify`, by sign-in, and its address."""

    socket_id: str
    user_id: str | None
    signed_in_as: str | None
    client_ip: str | None


class CachedEvent(NamedTuple):
    """The event that a cache channel keeps. `ttl`: seconds until it is forgotten."""

    name: str
    data: str
    ttl: float


class PastEvent(NamedTuple):
    """An event that a channel keeps, as it was published. `id`: the `event_id` of clients. `age`: in seconds."""

    id: str
    name: str
    data: str
    age: float


class Past(NamedTuple):
    """What a channel keeps, the oldest first. `complete`: nothing is missing before it. `position`: to ask with next time."""

    events: list[PastEvent]
    complete: bool
    position: str


KINDS = {lib.PUSHERC_CHANNEL_PUBLIC: "public", lib.PUSHERC_CHANNEL_PRIVATE: "private",
         lib.PUSHERC_CHANNEL_PRESENCE: "presence", lib.PUSHERC_CHANNEL_PRIVATE_ENCRYPTED: "private-encrypted",
         lib.PUSHERC_CHANNEL_USER: "user"}


def channel_info(item: Any) -> ChannelInfo:
    return ChannelInfo(text(item.name), KINDS[item.kind], item.cache, item.subscription_count, item.user_count, item.sequence)


def user_info(item: Any) -> User:
    return User(text(item.user_id), item.online, item.connections, item.channels, item.away_ms / 1000, item.sequence)


def socket_text(id: Any) -> str:
    return f"{id.a}.{id.b}" if id.a or id.b else ""


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_channels(items: Any, count: int, out: Any) -> None:
    ffi.from_handle(out).extend(channel_info(items[i]) for i in range(count))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_members(items: Any, count: int, sequence: int, out: Any) -> None:
    found = ffi.from_handle(out)
    found.append(sequence)
    found.extend(Member(text(items[i].user_id), text(items[i].info_json)) for i in range(count))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_users(items: Any, count: int, sequence: int, out: Any) -> None:
    found = ffi.from_handle(out)
    found.append(sequence)
    found.extend(user_info(items[i]) for i in range(count))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_history(items: Any, count: int, complete: bool, position: Any, out: Any) -> None:
    events = [PastEvent(text(item.id), text(item.name), text(item.data), item.age_ms / 1000)
              for item in (items[i] for i in range(count))]
    ffi.from_handle(out).append(Past(events, complete, text(position)))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_connections(items: Any, count: int, out: Any) -> None:
    ffi.from_handle(out).extend(
        Connection(socket_text(item.socket_id), text(item.user_id) or None, text(item.signed_in_as) or None,
                   text(item.client_ip) or None)
        for item in (items[i] for i in range(count)))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_cached(event: Any, out: Any) -> None:
    if event:
        ffi.from_handle(out).append(CachedEvent(text(event.name), text(event.data), event.ttl_ms / 1000))


@ffi.def_extern()  # type: ignore[untyped-decorator]
def pusherc_python_explained(json: Any, out: Any) -> None:
    ffi.from_handle(out).append(text(json))


@ffi.def_extern(error=lib.PUSHERC_ENOMEM)  # type: ignore[untyped-decorator]
def pusherc_python_metrics(chunk: Any, out: Any) -> int:
    ffi.from_handle(out).append(raw(chunk))
    return 0


class Rendering(NamedTuple):
    """One event for one audience."""

    view: str
    app_id: str
    channel: str
    event: str
    data: str


@ffi.def_extern(error=lib.PUSHERC_RENDER_NOTHING)  # type: ignore[untyped-decorator]
def pusherc_python_render(call: Any, key: Any) -> int:
    rule = renderers.get(int(ffi.cast("intptr_t", key)))
    if rule is None or rule.render is None:
        return int(lib.PUSHERC_RENDER_NOTHING)
    answer = rule.render(Rendering(text(lib.pusherc_render_view(call)), text(lib.pusherc_render_app_id(call)),
                                   text(lib.pusherc_render_channel(call)), text(lib.pusherc_render_event(call)),
                                   text(lib.pusherc_render_data(call))))
    if answer is True:
        return int(lib.PUSHERC_RENDER_SAME)
    if answer is None or answer is False:
        return int(lib.PUSHERC_RENDER_NOTHING)
    memory = Memory()
    return int(lib.PUSHERC_RENDER_NOTHING if lib.pusherc_render_payload(call, memory.slice(payload(answer))) else lib.PUSHERC_RENDER_REPLACED)


class Vetting:
    """Asks a function before an event from outside is published, and reports what it raises. On a thread of the library."""

    def __init__(self, function: Callable[[Incoming], bool], report: Callable[[BaseException, Incoming], None]) -> None:
        self._function = function
        self._report = report

    def ask(self, raw: Any) -> int:
        """0 = publish it. The event is a copy: what the function has changed of it is written back."""
        name, data = text(lib.pusherc_incoming_name(raw)), text(lib.pusherc_incoming_data(raw))
        channels = [text(lib.pusherc_incoming_channel(raw, i)) for i in range(lib.pusherc_incoming_channel_count(raw))]
        memory = Memory()
        event = Incoming(text(lib.pusherc_incoming_app_id(raw)), name, data, list(channels),
                         socket_text(lib.pusherc_incoming_except(raw)) or None)
        try:
            answer = self._function(event)
            if answer is False:
                return 1
            if answer is not True:
                raise TypeError(f"on_publish returned {answer!r}, neither True nor False")
            if event.channels[:len(channels)] != channels:
                raise ValueError("on_publish may add channels, and take none away")
            if event.name != name:
                check(lib.pusherc_incoming_set_name(raw, memory.slice(event.name.encode())))
            if event.data != data:
                check(lib.pusherc_incoming_set_data(raw, memory.slice(payload(event.data))))
            for channel in event.channels[len(channels):]:
                check(lib.pusherc_incoming_add_channel(raw, memory.slice(channel.encode())))
            return 0
        except Deny as no:
            lib.pusherc_incoming_refuse(raw, str(no.reason).partition("\0")[0].encode())
        except BaseException as why:
            self._report(why, event)
        return 1


@ffi.def_extern(error=1)  # type: ignore[untyped-decorator]
def pusherc_python_publish(event: Any, vetting: Any) -> int:
    answer: int = ffi.from_handle(vetting).ask(event)
    return answer
