"""What a server is made of: apps, listeners, webhooks, and what audiences see."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from pusherc import _settings
from pusherc._ffi import lib
from pusherc._memory import Memory, choice
from pusherc._settings import AppSettings

AuthMode = Literal["signature", "rules", "either"]
WebhookEvent = Literal["channel_occupied", "channel_vacated", "member_added", "member_removed", "client_event",
                       "cache_miss", "subscription_count"]


class Webhook:
    """An endpoint that is told what happens in an app's channels: docs/webhooks.md.

    `events`: the kinds that it wants; none named = all. `prefix`, `suffix`: only channels that begin and end so.
    """

    def __init__(self, url: str, *, events: Sequence[WebhookEvent] = (), prefix: str | None = None,
                 suffix: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        self.url = url
        self.events = tuple(events)
        self.prefix = prefix
        self.suffix = suffix
        self.headers = dict(headers or {})

    def _fill(self, struct: Any, memory: Memory) -> None:
        struct.url = memory.string(self.url, "url")
        if self.prefix is not None:
            struct.channel_prefix = memory.string(self.prefix, "prefix")
        if self.suffix is not None:
            struct.channel_suffix = memory.string(self.suffix, "suffix")
        headers = memory.array("pusherc_webhook_header", len(self.headers))
        for header, (name, value) in zip(headers, self.headers.items(), strict=True):
            header.name, header.value = memory.string(name, "header"), memory.string(value, name)
        struct.headers, struct.header_count = headers, len(headers)
        for event in self.events:
            bit = getattr(lib, f"PUSHERC_WEBHOOK_{event.upper()}", None)
            if bit is None:
                raise ValueError(f"webhooks have no event {event!r}")
            struct.events |= bit


class History:
    """Channels whose last events are kept, for pages that were away and for Server.history(): docs/history.md.

    `pattern`: of whole names, "private-orders.{id}". The bounds are of each channel: `max_events` (100), `max_bytes`
    (1 MiB), `max_age` in seconds (120).
    """

    def __init__(self, pattern: str, *, max_events: int = 0, max_bytes: int = 0, max_age: int = 0) -> None:
        self.pattern = pattern
        self.max_events = max_events
        self.max_bytes = max_bytes
        self.max_age = max_age

    def _fill(self, struct: Any, memory: Memory) -> None:
        struct.pattern = memory.string(self.pattern, "pattern")
        struct.max_events = self.max_events
        struct.max_bytes = self.max_bytes
        struct.max_age_s = self.max_age


class App:
    """A tenant with an id, a key and a secret, and settings of its own: docs/configuration.md lists them.

    `auth`: who decides about private, presence and encrypted channels: a "signature", as at Pusher, the host's "rules", or
    "either". `allowed_origins`: patterns of pages that may connect; none = all. `history`: the first one whose pattern
    covers a channel counts.
    """

    def __init__(self, id: str, key: str, secret: str, *, auth: AuthMode = "signature",
                 encryption_master_key: str | None = None, allowed_origins: Sequence[str] = (),
                 webhooks: Sequence[Webhook] = (), history: Sequence[History] = (),
                 **settings: Unpack[AppSettings]) -> None:
        self.id = id
        self.key = key
        self.secret = secret
        self.auth: AuthMode = auth
        self.encryption_master_key = encryption_master_key
        self.allowed_origins = tuple(allowed_origins)
        self.webhooks = tuple(webhooks)
        self.history = tuple(history)
        self.settings = settings
        self._options(Memory())  # what is wrong is told here

    def __repr__(self) -> str:
        return f"App({self.id!r}, {self.key!r}, ...)"

    def _options(self, memory: Memory) -> Any:
        """A pusherc_app_options."""
        options = memory.new("pusherc_app_options")
        options.id = memory.string(self.id, "id")
        options.key = memory.string(self.key, "key")
        options.secret = memory.string(self.secret, "secret")
        if self.encryption_master_key is not None:
            options.encryption_master_key = memory.string(self.encryption_master_key, "encryption_master_key")
        options.auth_mode = choice(self.auth, ["signature", "rules", "either"], "auth")
        if self.allowed_origins:
            origins = memory.array("const char *", len(self.allowed_origins) + 1)
            for i, origin in enumerate(self.allowed_origins):
                origins[i] = memory.string(origin, "allowed_origins")
            options.allowed_origins = origins
        webhooks = memory.new("pusherc_webhook", len(self.webhooks))
        for struct, webhook in zip(webhooks, self.webhooks, strict=True):
            webhook._fill(struct, memory)
        options.webhooks, options.webhook_count = webhooks, len(self.webhooks)
        patterns = memory.new("pusherc_history_pattern", len(self.history))
        for struct, history in zip(patterns, self.history, strict=True):
            history._fill(struct, memory)
        options.history, options.history_count = patterns, len(self.history)
        memory.settings(options, _settings.APP, self.settings, "App")
        return options


class TLS:
    """A certificate with its chain, and its key: two PEM files."""

    def __init__(self, cert_file: str, key_file: str, *, password: str | None = None) -> None:
        self.cert_file = cert_file
        self.key_file = key_file
        self.password = password

    def _options(self, memory: Memory) -> Any:
        options = memory.new("pusherc_tls_options")
        options.cert_file = memory.string(self.cert_file, "cert_file")
        options.key_file = memory.string(self.key_file, "key_file")
        if self.password is not None:
            options.key_password = memory.string(self.password, "password")
        return options


class Listen:
    """An address to serve: a numeric `host` and a `port` (0 = the system chooses), or `unix`, the path of a socket.

    `metrics`: only pages for operators. Keep such an address away from the public.
    """

    def __init__(self, port: int = 0, host: str = "127.0.0.1", *, unix: str | None = None, unix_mode: int = 0,
                 tls: TLS | None = None, metrics: bool = False, backlog: int = 0) -> None:
        self.port = port
        self.host = host
        self.unix = unix
        self.unix_mode = unix_mode
        self.tls = tls
        self.metrics = metrics
        self.backlog = backlog

    def _options(self, memory: Memory) -> Any:
        options = memory.new("pusherc_listen_options")
        options.host = memory.string(f"unix:{self.unix}" if self.unix is not None else self.host, "host")
        options.port = self.port
        options.unix_mode = self.unix_mode
        options.backlog = self.backlog
        if self.tls is not None:
            options.tls = self.tls._options(memory)
        if self.metrics:
            options.purpose = lib.PUSHERC_LISTEN_METRICS
        return options


class Without:
    """What an audience does not see, without any Python at run time: members of a payload that is a JSON object.

    Each is the name of a member, "note", or a JSON pointer to one further inside, "/customer/email". `Without()` sees
    all. The audience of `Without.everything()` gets no event at all.
    """

    def __init__(self, *members: str) -> None:
        self.members = members
        self.nothing = False

    @classmethod
    def everything(cls) -> "Without":
        made = cls()
        made.nothing = True
        return made

    def _fill(self, struct: Any, view: str, memory: Memory) -> None:
        memory.fill(struct.view, view.encode())
        struct.members = memory.slices([member.encode() for member in self.members])
        struct.member_count = len(self.members)
        struct.nothing = self.nothing
