"""Publishing from anywhere by one setting: a server of this process, the HTTP API of another one, Redis, the log.

    with pusherc.Broadcaster("pusher://app-key:app-secret@127.0.0.1:6001/app-id?scheme=http") as broadcaster:
        broadcaster.publish("news", "changed", {"id": 7})

docs/broadcasting.md lists the settings. The broadcaster's thread sends, batches and repeats. It never calls the
interpreter: what it has to tell is read by a thread of Python.
"""

import asyncio
import atexit
import logging
import os
import threading
import warnings
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from pusherc._callbacks import socket_text
from pusherc._desk import LEVELS
from pusherc._ffi import ffi, lib
from pusherc._memory import NULL, Memory, milliseconds, payload, text
from pusherc.errors import Error, StateError, check, error
from pusherc.server import Event, Server

_broadcasters: "weakref.WeakSet[Broadcaster]" = weakref.WeakSet()


class FailedEvent(NamedTuple):
    """An event of `publish` that could not be sent. `error`: why; `status`: of the last HTTP answer, 0 = there was none."""

    channels: tuple[str, ...]
    name: str
    data: str
    exclude: str | None
    error: Error
    status: int
    attempts: int


class Outgoing(NamedTuple):
    """An event for a driver of the program. `key` is the same in each attempt."""

    channels: tuple[str, ...]
    name: str
    data: str
    exclude: str | None
    key: str


class RetryLater(Exception):
    """Raised by a driver: the carrier takes nothing now. `seconds`: how long to wait, None = the library decides."""

    def __init__(self, seconds: float | None = None) -> None:
        super().__init__("the carrier takes nothing now")
        self.seconds = seconds


Driver = Callable[[list[Outgoing]], object]


def broadcast_url(environ: Mapping[str, str] = os.environ) -> str:
    """The setting that an environment of Laravel, Pusher, Reverb or soketi names. Raises NotFoundError if it names none."""
    # As C strings: the library asks for some of them, and nothing of the program runs meanwhile.
    found = {name.encode(): ffi.new("char[]", value.encode()) for name, value in environ.items() if "\0" not in value}
    handle, info, size = ffi.new_handle(found), ffi.new("pusherc_errinfo *"), ffi.new("size_t *", 512)
    while True:
        out = ffi.new("char[]", size[0])
        code = lib.pusherc_broadcast_url(lib.pusherc_python_lookup, handle, out, size[0], size, info)
        if code != lib.PUSHERC_ENOBUFS:
            break
    check(code, info)
    url: str = ffi.string(out).decode()
    return url


@ffi.def_extern(error=NULL)  # type: ignore[untyped-decorator]
def pusherc_python_lookup(name: Any, found: Any) -> Any:
    return ffi.from_handle(found).get(ffi.string(name), NULL)


class Broadcaster:
    """A way to publish, with its queue. Any thread may call it.

    `url`: the setting; None = as the environment says. `server`: the started server that "local:APP-ID" means; stopping
    it closes the broadcaster first. `driver`: for "host:", called with a list of at most `max_events` events. What it
    returns does not count; what it raises says that they were not sent: Error (but for TransportError) refuses them,
    RetryLater asks for patience, anything else has them sent again. `on_failed` gets each event of `publish` that could
    not be sent. Both functions run in one thread of Python that belongs to the broadcaster. `conflate`: rules that say which
    events of `publish` a newer one replaces while they wait. Times are in seconds.
    Log lines go to the loggers "pusherc.*", which are those of "log:" as well.
    """

    def __init__(self, url: str | None = None, *, server: Server | None = None, driver: Driver | None = None,
                 max_events: int = 1, on_failed: Callable[[FailedEvent], object] | None = None, max_queued: int = 0,
                 timeout: float = 10.0, retry: float = 300.0, grace: float = 3.0, ca_file: str | None = None,
                 conflate: str | None = None) -> None:
        memory = Memory()
        options, info = memory.new("pusherc_broadcaster_options"), ffi.new("pusherc_errinfo *")
        options.url = memory.string(broadcast_url() if url is None else url, "url")
        options.max_queued = max_queued
        options.timeout_ms = milliseconds(timeout, "timeout")
        options.retry_ms = milliseconds(retry, "retry")
        self._grace = grace
        if ca_file is not None:
            options.ca_file = memory.string(ca_file, "ca_file")
        if conflate is not None:
            options.conflate = memory.string(conflate, "conflate")
        given = NULL
        if driver:
            given = memory.new("pusherc_broadcast_driver")
            given.max_events = max_events
        self._condition = threading.Condition()
        self._calls = 0
        self._closed = self._forked = False
        post = lib.post_new()
        if post == NULL:
            raise MemoryError
        self._post = ffi.gc(post, lib.post_free)
        out = ffi.new("pusherc_broadcaster **")
        if server:
            with server._inside() as raw:
                options.server = raw
                check(lib.post_broadcaster(post, out, options, given, info), info)
                server._broadcasters.add(self)
        else:
            check(lib.post_broadcaster(post, out, options, given, info), info)
        self._raw = out[0]
        _broadcasters.add(self)
        self._thread = threading.Thread(target=_tell, args=(self._post, driver, on_failed), name="pusherc-broadcaster", daemon=True)
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def __del__(self) -> None:
        if getattr(self, "_raw", None) is not None and not self._closed and not self._forked:
            warnings.warn(f"{self!r} was not closed", ResourceWarning, source=self, stacklevel=2)
            self.close(0)

    # -- publishing --

    def publish(self, channel: str | Sequence[str], event: str, data: object, *, exclude: str | None = None) -> None:
        """Hand an event over, and return. Raises BacklogError if as many wait as may."""
        self.publish_batch([Event(channel, event, data, exclude)])

    def publish_batch(self, events: Iterable[Event]) -> None:
        """Hand up to 10 events over. All of them, or none."""
        with _Call(self) as raw:
            _memory, structs, count = self._structs(events)
            check(lib.pusherc_broadcast(raw, structs, count))

    def publish_wait(self, channel: str | Sequence[str], event: str, data: object, *, exclude: str | None = None,
                     timeout: float | None = None) -> None:
        """Hand an event over, and wait until the carrier has accepted it, at most `timeout` seconds; None = `retry`.

        Raises what the carrier said, or TimedOutError.
        """
        with _Call(self) as raw:
            info = ffi.new("pusherc_errinfo *")
            _memory, structs, count = self._structs([Event(channel, event, data, exclude)])
            check(lib.pusherc_broadcast_wait(raw, structs, count, milliseconds(timeout, "timeout"), info), info)

    async def publish_async(self, channel: str | Sequence[str], event: str, data: object, *, exclude: str | None = None,
                            timeout: float | None = None) -> None:
        """As publish_wait(), in asyncio: it waits in a thread of the loop's executor."""
        await asyncio.to_thread(self.publish_wait, channel, event, data, exclude=exclude, timeout=timeout)

    @staticmethod
    def _structs(events: Iterable[Event]) -> tuple[Memory, Any, int]:
        given, memory = list(events), Memory()
        structs = memory.new("pusherc_event", len(given))
        for struct, event in zip(structs, given, strict=True):
            channels = [event.channel] if isinstance(event.channel, str) else list(event.channel)
            memory.fill(struct.name, event.name.encode())
            struct.channels, struct.channel_count = memory.slices([channel.encode() for channel in channels]), len(channels)
            memory.fill(struct.data, payload(event.data))
            if event.exclude is not None:
                id, slice = ffi.new("pusherc_socket_id *"), memory.array("pusherc_slice", 1)
                memory.fill(slice[0], event.exclude.encode())
                check(lib.pusherc_socket_id_parse(slice[0], id))
                setattr(struct, "except", id[0])
        return memory, structs, len(given)

    @property
    def stats(self) -> dict[str, int]:
        """What it has done; the names are those of pusherc_broadcast_stats. `untold`: failures and log lines that found no room."""
        with _Call(self) as raw:
            memory = Memory()
            out = memory.new("pusherc_broadcast_stats")
            check(lib.pusherc_broadcaster_stats(raw, out))
            return {name: getattr(out, name) for name, _ in ffi.typeof(out[0]).fields if name != "struct_size"} | {
                "untold": lib.post_lost(self._post)}

    # -- the end --

    def close(self, grace: float | None = None) -> None:
        """Refuse new events, go on sending what waits for `grace` seconds, and free it. Several times is harmless."""
        if self._forked:
            return
        with self._condition:
            if self._closed:
                return
            self._closed = True
        lib.pusherc_broadcaster_stop(self._raw, milliseconds(self._grace if grace is None else grace, "grace"), NULL, NULL)
        with self._condition:
            self._condition.wait_for(lambda: self._calls == 0)
        lib.pusherc_broadcaster_free(self._raw)
        lib.post_close(self._post)
        if threading.current_thread() is not self._thread:
            self._thread.join()
        _broadcasters.discard(self)


class _Call:
    """A call that the broadcaster is not freed under."""

    __slots__ = ("_of",)

    def __init__(self, of: Broadcaster) -> None:
        self._of = of

    def __enter__(self) -> Any:
        of = self._of
        if of._forked:
            raise StateError(lib.PUSHERC_ESTATE, "this is a forked child")
        with of._condition:
            if of._closed:
                raise StateError(lib.PUSHERC_ESTATE, "the broadcaster was closed")
            of._calls += 1
        return of._raw

    def __exit__(self, *unused: object) -> None:
        of = self._of
        with of._condition:
            of._calls -= 1
            of._condition.notify_all()


def _event(event: Any) -> tuple[tuple[str, ...], str, str, str | None]:
    channels = tuple(text(event.channels[i]) for i in range(event.channel_count))
    return channels, text(event.name), text(event.data), socket_text(getattr(event, "except")) or None


def _send(request: Any, driver: Driver) -> None:
    """Let the driver send the events of a request, and answer it."""
    code, wait, why = 0, 0, NULL
    try:
        count = ffi.new("size_t *")
        events = lib.pusherc_broadcast_request_events(request, count)
        driver([Outgoing(*_event(events[i]), text(lib.pusherc_broadcast_request_key(request, i))) for i in range(count[0])])
    except RetryLater as later:
        code, wait = lib.PUSHERC_EBACKLOG, milliseconds(later.seconds, "seconds")
    except Error as refused:
        code, why = refused.code, ffi.new("char[]", str(refused).replace("\0", "").encode())
    except Exception as failed:
        code, why = lib.PUSHERC_EIO, ffi.new("char[]", repr(failed).replace("\0", "").encode())
        logging.getLogger("pusherc.broadcast").exception("the driver has failed")
    lib.pusherc_broadcast_answer(request, code, wait, why)


def _tell(post: Any, driver: Driver | None, on_failed: Callable[[FailedEvent], object] | None) -> None:
    """The broadcaster's thread of Python."""
    while (item := lib.post_take(post)) != NULL:
        item = ffi.gc(item, lib.post_item_free)
        try:
            if item.kind == lib.POST_REQUEST and driver:
                request, item.request = item.request, NULL
                _send(request, driver)
            elif item.kind == lib.POST_LOG:
                logging.getLogger(f"pusherc.{text(item.name)}").log(LEVELS.get(item.code, logging.INFO), "%s", text(item.data))
            elif item.kind == lib.POST_FAILED and on_failed:
                on_failed(FailedEvent(*_event(item), error(item.code, text(item.reason)), item.status, item.attempts))
        except Exception:
            logging.getLogger("pusherc.broadcast").exception("a function of the broadcaster has failed")


def _close_all() -> None:
    for broadcaster in list(_broadcasters):
        broadcaster.close()


def _forked() -> None:
    for broadcaster in list(_broadcasters):
        broadcaster._forked = True
        ffi.gc(broadcaster._post, None)  # its lock and its waiter are the parent's


atexit.register(_close_all)
os.register_at_fork(after_in_child=_forked)
