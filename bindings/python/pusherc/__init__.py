"""A server for the Pusher Channels protocol inside a Python process: docs/python.md."""

from pusherc._callbacks import (CachedEvent, ChannelInfo, Connection, Member, Past, PastEvent, Rendering,
                                User)
from pusherc._ffi import ffi as _ffi
from pusherc._ffi import lib as _lib
from pusherc._rules import Answer
from pusherc.broadcaster import Broadcaster, FailedEvent, Outgoing, RetryLater, broadcast_url
from pusherc.config import TLS, App, History, Listen, Webhook, Without
from pusherc.errors import (AuthError, BacklogError, CanceledError, Error, ExistsError, InvalidError, LimitError,
                            NotCompiledError, NotFoundError, OutOfMemoryError, ProtocolError, SpaceError, StateError,
                            TimedOutError, TLSError, TransportError)
from pusherc.feeds import Denial, Dropped, Feed, Notice, Online, OnlineChange, Presence, PresenceChange
from pusherc.publisher import AsyncPublisher, BatchEvent, HttpError, Publisher
from pusherc.questions import (AppRequest, Deny, Grant, HttpRequest, Identity, IdentifyRequest, Incoming, Question,
                               Reject, Response)
from pusherc.server import Event, Match, Reauthorized, Server

__version__: str = _ffi.string(_lib.pusherc_version_string()).decode()
features: frozenset[str] = frozenset(_ffi.string(_lib.pusherc_features()).decode().split())
"""optional parts of the library: "tls", "encryption", "webhooks", "explain" """

__all__ = [
    "TLS", "Answer", "App", "AppRequest", "AsyncPublisher", "AuthError", "BacklogError", "BatchEvent", "Broadcaster",
    "CachedEvent", "CanceledError", "ChannelInfo", "Connection", "Denial", "Deny", "Dropped", "Error", "Event",
    "ExistsError", "FailedEvent", "Feed", "Grant", "History", "HttpError", "HttpRequest", "IdentifyRequest", "Identity",
    "Incoming", "InvalidError", "LimitError", "Listen", "Match", "Member", "NotCompiledError", "NotFoundError",
    "Notice", "Online", "OnlineChange", "OutOfMemoryError", "Outgoing", "Past", "PastEvent", "Presence",
    "PresenceChange", "ProtocolError", "Publisher", "Question", "Reauthorized", "Reject", "Rendering", "Response",
    "RetryLater", "Server", "SpaceError", "StateError", "TLSError", "TimedOutError", "TransportError", "User",
    "Webhook", "Without", "__version__", "broadcast_url", "features",
]
