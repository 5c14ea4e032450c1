"""What a server asks the program, and what the program answers.

Questions to rules are copied when they arrive, so a Question may be kept. The others are read where they lie, and can
be read until they are answered.
"""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

from pusherc._ffi import ffi, lib
from pusherc._memory import Memory, dumps, milliseconds, pairs, raw, text
from pusherc.config import App
from pusherc.errors import StateError


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a connection is.

    `info`: what other members of presence channels see, unless a grant says something else. `expires_in`: seconds after
    which all that the connection was granted is asked for again. `data`: anything; `Question.data` in questions about the
    connection.
    """

    user_id: str
    info: Mapping[str, Any] | None = None
    expires_in: float | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class Grant:
    """A positive answer with details.

    `user_id`, `info`: of the member of a presence channel, instead of the identity's. `view`: the audience of the
    subscriber, one of the rule's `views`. `expires_in`: seconds after which the rule is asked again.
    """

    user_id: str | None = None
    info: Mapping[str, Any] | None = None
    view: str | None = None
    expires_in: float | None = None


class Deny(Exception):
    """Raise it in a rule to refuse a channel with a reason for the client. `status`: 400 to 499."""

    def __init__(self, reason: str = "Forbidden", status: int = 403) -> None:
        super().__init__(reason)
        self.reason = reason
        self.status = status


class Reject(Exception):
    """Raise it in `identify` to refuse a client: 4000 to 4099 = for good, 4100 to 4199 = it may try again later."""

    def __init__(self, code: int = 4009, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Response:
    """An answer to an HTTP request. A str is sent as UTF-8; headers may repeat in a sequence of pairs."""

    body: str | bytes = b""
    status: int = 200
    headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()


@dataclass(slots=True)
class Incoming:
    """An event of the HTTP API that is about to be published: what `on_publish` gets, and may change.

    `name` and `data` can be set, data to anything that publish() takes; `channels.append()` adds a channel. On an
    encrypted channel, data is what the publisher has encrypted. `exclude`: the connection that does not get the event.
    """

    app_id: str
    name: str
    data: object
    channels: list[str]
    exclude: str | None


class Question:
    """May this user have this channel? An answer is True, False or None (no), the info of a presence member, or a Grant."""

    __slots__ = ("_request", "_names", "_values", "id", "channel", "user_id", "app_id", "socket_id", "data")

    id: int
    """a number that no other question of the server has"""
    channel: str
    """the whole name"""
    user_id: str | None
    """the user: who has signed in, otherwise who `identify` said it is; None = anonymous"""
    app_id: str
    socket_id: str
    """one of the connections that wait; "" = one of another server"""
    data: Any
    """what `identify` attached to the connection"""

    def __init__(self, request: int, id: int, names: tuple[str, ...], values: list[str], channel: str,
                 user_id: str | None, app_id: str, socket_id: str, data: Any) -> None:
        self._request = request  # 0 = answered
        self._names = names
        self._values = values
        self.id = id
        self.channel = channel
        self.user_id = user_id
        self.app_id = app_id
        self.socket_id = socket_id
        self.data = data

    @property
    def params(self) -> dict[str, str]:
        """The parts of the name that stand for the parameters of the rule's pattern."""
        return dict(zip(self._names, self._values, strict=True))

    def __repr__(self) -> str:
        return f"Question(channel={self.channel!r}, user_id={self.user_id!r})"


class _Live:
    """A request that is read where it lies. The lock keeps other threads from reading while it is answered."""

    __slots__ = ("_lock", "_request", "id")

    def __init__(self, request: int, id: int) -> None:
        self._lock = threading.Lock()
        self._request = request
        self.id = id

    def _read(self, kind: str, function: Any, *names: str) -> Any:
        arguments = [name.encode() for name in names]
        with self._lock:
            if not self._request:
                raise StateError(lib.PUSHERC_ESTATE, "the request was answered, and cannot be read any more")
            found = function(ffi.cast(kind, self._request), *arguments)
            return raw(found) if isinstance(found, ffi.CData) else found

    def _consume(self) -> int:
        """The request, once; 0 afterwards."""
        with self._lock:
            request, self._request = self._request, 0
            return request


class IdentifyRequest(_Live):
    """Who is this? The answer is an Identity, None (anonymous), or the exception Reject. Absent fields are None."""

    __slots__ = ()

    def _text(self, function: Any, *names: str) -> str | None:
        return self._read("pusherc_identify_request *", function, *names).decode("utf-8", "replace") or None

    @property
    def purpose(self) -> Literal["connect", "channel_auth", "user_auth"]:
        """What the identity is needed for: a WebSocket, or a request to one of the auth endpoints."""
        number: int = self._read("pusherc_identify_request *", lib.pusherc_identify_purpose_of)
        purposes: tuple[Literal["connect", "channel_auth", "user_auth"], ...] = ("connect", "channel_auth", "user_auth")
        return purposes[number]

    @property
    def app_id(self) -> str:
        """The app that the client wants."""
        return self._text(lib.pusherc_identify_app_id) or ""

    @property
    def path(self) -> str:
        """The path as sent, without the query."""
        return self._text(lib.pusherc_identify_path) or ""

    @property
    def peer(self) -> str | None:
        """The socket's peer, "address:port"; behind a proxy that is the proxy."""
        return self._text(lib.pusherc_identify_peer)

    @property
    def client_ip(self) -> str | None:
        """The client's address, also behind `proxy_count` proxies."""
        return self._text(lib.pusherc_identify_client_ip)

    @property
    def bearer(self) -> str | None:
        """The token of "Authorization: Bearer ..."."""
        return self._text(lib.pusherc_identify_bearer)

    def header(self, name: str) -> str | None:
        """A header field."""
        return self._text(lib.pusherc_identify_header, name)

    def cookie(self, name: str) -> str | None:
        """A cookie. Its presence binds the answer to pages of this origin, or of the app's `allowed_origins`."""
        return self._text(lib.pusherc_identify_cookie, name)

    def query(self, name: str) -> str | None:
        """A parameter of the query, decoded."""
        return self._text(lib.pusherc_identify_query, name)


class HttpRequest(_Live):
    """A request for a page of the program. The answer is a Response, or a str or bytes for a page with status 200."""

    __slots__ = ()

    def _bytes(self, function: Any, *names: str) -> bytes:
        found: bytes = self._read("pusherc_http_request *", function, *names)
        return found

    def _text(self, function: Any, *names: str) -> str | None:
        return self._bytes(function, *names).decode("utf-8", "replace") or None

    @property
    def method(self) -> str:
        return self._text(lib.pusherc_http_method) or ""

    @property
    def path(self) -> str:
        """The path, decoded, without the query."""
        return self._text(lib.pusherc_http_path) or ""

    @property
    def body(self) -> bytes:
        """The whole body."""
        return self._bytes(lib.pusherc_http_body)

    @property
    def peer(self) -> str | None:
        """The socket's peer, "address:port"; behind a proxy that is the proxy."""
        return self._text(lib.pusherc_http_peer)

    @property
    def client_ip(self) -> str | None:
        """The client's address, also behind `proxy_count` proxies."""
        return self._text(lib.pusherc_http_client_ip)

    @property
    def bearer(self) -> str | None:
        """The token of "Authorization: Bearer ..."."""
        scheme, _, token = (self.header("Authorization") or "").partition(" ")
        return token.strip() or None if scheme.lower() == "bearer" else None

    def header(self, name: str) -> str | None:
        """A header field."""
        return self._text(lib.pusherc_http_header, name)

    def cookie(self, name: str) -> str | None:
        return self._text(lib.pusherc_http_cookie, name)

    def query(self, name: str) -> str | None:
        """A parameter of the query, decoded."""
        return self._text(lib.pusherc_http_query, name)

    def form(self, name: str) -> str | None:
        """A field of a form as browsers send it by default."""
        return self._text(lib.pusherc_http_form, name)


class AppRequest:
    """Which app has this id, or this key? One of the two is set. The answer is an App, or None: there is none."""

    __slots__ = ("_request", "id", "app_id", "key")

    def __init__(self, request: int, id: int) -> None:
        pointer = ffi.cast("pusherc_app_request *", request)
        self._request = request
        self.id = id
        self.app_id = text(lib.pusherc_app_request_id(pointer)) or None
        self.key = text(lib.pusherc_app_request_key(pointer)) or None

    def _consume(self) -> int:
        request, self._request = self._request, 0
        return request


# -- answers: each consumes its request, and returns what the library does. What may raise comes before that --


def _number(value: object, what: str) -> int:
    if type(value) is not int or not 0 <= value <= 65535:
        raise TypeError(f"{what}: {value!r} is no number between 0 and 65535")
    return value


def allow(question: Question, answer: object) -> int:
    """Answer a question to a rule with what its function has returned."""
    if answer is True:
        request, question._request = question._request, 0
        return int(lib.answer_allow(request)) if request else 0
    if answer is False or answer is None:
        return deny(question, 403, b"Forbidden")
    if isinstance(answer, Grant):
        user_id = answer.user_id.encode() if answer.user_id is not None else b""
        info = dumps(dict(answer.info)) if answer.info is not None else b""
        view = answer.view.encode() if answer.view is not None else b""
        expires = milliseconds(answer.expires_in, "expires_in")
    elif isinstance(answer, Mapping):
        user_id, info, view, expires = b"", dumps(dict(cast(Mapping[str, Any], answer))), b"", 0
    else:
        raise TypeError(f"a rule returned {type(answer).__name__}: it must be a bool, None, a dict or a Grant")
    request, question._request = question._request, 0
    if not request:
        return 0
    return int(lib.answer_grant(request, user_id, len(user_id), info, len(info), view, len(view), expires))


def deny(question: Question, status: int, reason: bytes) -> int:
    status = _number(status, "status")
    request, question._request = question._request, 0
    return int(lib.answer_deny(request, status, reason)) if request else 0


def accept(question: IdentifyRequest, answer: object, shelve: Any) -> int:
    """Answer `identify`. `shelve`: takes the identity's data, and returns what the connection keeps for it."""
    if answer is None:
        answer = Identity("")
    if not isinstance(answer, Identity):
        raise TypeError(f"identify returned {type(answer).__name__}: it must be an Identity or None")
    user_id = answer.user_id.encode()
    info = dumps(dict(answer.info)) if answer.info is not None else b""
    expires = milliseconds(answer.expires_in, "expires_in")
    request = question._consume()
    if not request:
        return 0
    kept = shelve(answer.data) if answer.data is not None else ffi.NULL
    return int(lib.answer_identity(request, user_id, len(user_id), info, len(info), expires, kept))


def reject(question: IdentifyRequest, code: int, reason: bytes) -> int:
    code = _number(code, "code")
    request = question._consume()
    return int(lib.answer_reject(request, code, reason)) if request else 0


def put(question: AppRequest, answer: object) -> int:
    """Answer `find_app`."""
    if answer is not None and not isinstance(answer, App):
        raise TypeError(f"find_app returned {type(answer).__name__}: it must be an App or None")
    memory = Memory()
    options = ffi.NULL if answer is None else answer._options(memory)
    request = question._consume()
    return int(lib.answer_app(request, options)) if request else 0


def respond(question: HttpRequest, answer: object) -> int:
    """Answer a request for a page."""
    if isinstance(answer, (str, bytes)):
        answer = Response(answer, headers={"Content-Type": "text/html; charset=utf-8"})
    if not isinstance(answer, Response):
        raise TypeError(f"http returned {type(answer).__name__}: it must be a Response, str or bytes")
    body = answer.body.encode() if isinstance(answer.body, str) else answer.body
    headers = pairs(answer.headers)
    memory = Memory()
    fields = memory.array("pusherc_http_field", len(headers))
    for header, (name, value) in zip(fields, headers, strict=True):
        memory.fill(header.name, name.encode())
        memory.fill(header.value, value.encode())
    status = _number(answer.status, "status")
    request = question._consume()
    return int(lib.answer_http(request, status, fields, len(headers), body, len(body))) if request else 0
