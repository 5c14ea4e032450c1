"""Functions that the library calls while one of its own calls runs: results of queries, and rendering.

A query's `user_data` is a handle of the list that takes its result.
"""

from typing import Any, NamedTuple

from pusherc._desk import renderers
from pusherc._ffi import ffi, lib
from pusherc._memory import payload, raw, text


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


KINDS = {lib.PUSHERC_CHANNEL_PUBLIC: "public", lib.PUSHERC_CHANNEL_PRIVATE: "private",
         lib.PUSHERC_CHANNEL_PRESENCE: "presence", lib.PUSHERC_CHANNEL_PRIVATE_ENCRYPTED: "private-encrypted",
         lib.PUSHERC_CHANNEL_USER: "user"}


def channel_info(item: Any) -> ChannelInfo:
    return ChannelInfo(text(item.name), KINDS[item.kind], item.cache, item.subscription_count, item.user_count, item.sequence)


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
    data = payload(answer)
    slice = ffi.new("pusherc_slice *", (ffi.from_buffer("char[]", data), len(data)))
    return int(lib.PUSHERC_RENDER_NOTHING if lib.pusherc_render_payload(call, slice[0]) else lib.PUSHERC_RENDER_REPLACED)
