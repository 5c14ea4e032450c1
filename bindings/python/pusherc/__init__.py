"""A server for the Pusher Channels protocol inside a Python process: docs/python.md."""

from pusherc._callbacks import CachedEvent, ChannelInfo, Connection, Member, Rendering
from pusherc._ffi import ffi as _ffi
from pusherc._ffi import lib as _lib
from pusherc._rules import Answer
from pusherc.broadcaster import Broadcaster, FailedEvent, Outgoing, RetryLater, broadcast_url
from pusherc.config import TLS, App, Listen, Webhook, Without
from pusherc.errors import (AuthError, BacklogError, CanceledError, Error, ExistsError, InvalidError, LimitError,
                            NotCompiledError, NotFoundError, OutOfMemoryError, ProtocolError, SpaceError, StateError,
                            TimedOutError, TLSError, TransportError)
from pusherc.feeds import Denial, Dropped, Feed, Notice, Presence, PresenceChange
from pusherc.publisher import AsyncPublisher, BatchEvent, HttpError, Publisher
from pusherc.questions import (AppRequest, Deny, Grant, HttpRequest, Identity, IdentifyRequest, Question, Reject,
                               Response)
from pusherc.server import Event, Match, Reauthorized, Server

__version__: str = _ffi.string(_lib.pusherc_version_string()).decode()
features: frozenset[str] = frozenset(_ffi.string(_lib.pusherc_features()).decode().split())
"""optional parts of the library: "tls", "encryption", "webhooks", "explain" """

__all__ = [
    "TLS", "Answer", "App", "AppRequest", "AsyncPublisher", "AuthError", "BacklogError", "BatchEvent", "Broadcaster", "CachedEvent", "CanceledError", "ChannelInfo",
    "Connection", "Denial", "Deny", "Dropped", "Error", "Event", "ExistsError", "FailedEvent", "Feed", "Grant", "HttpError", "HttpRequest", "Identity",
    "IdentifyRequest", "InvalidError", "LimitError", "Listen", "Match", "Member", "NotCompiledError", "NotFoundError",
    "Notice", "OutOfMemoryError", "Outgoing", "Presence", "PresenceChange", "ProtocolError", "Publisher", "Question", "Reauthorized", "Reject",
    "Rendering", "Response", "RetryLater", "Server", "SpaceError", "StateError", "TLSError", "TimedOutError", "TransportError",
    "Webhook", "Without", "__version__", "broadcast_url", "features",
]
