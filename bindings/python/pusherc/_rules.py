"""Rules: patterns of channel names, and the functions that decide about them."""

import copy
import re
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Literal, TypeVar

from pusherc._callbacks import Rendering
from pusherc._desk import Desk, Rule, renderers
from pusherc._ffi import ffi, lib
from pusherc._memory import NULL, Memory, milliseconds, zero_terminated
from pusherc.config import Without
from pusherc.errors import check
from pusherc.questions import Deny, Grant, Question

Kind = Literal["public", "private", "presence", "encrypted"]
Answer = bool | Mapping[str, Any] | Grant | None
Views = Mapping[str, Without | None] | Callable[[Rendering], object]
Decide = TypeVar("Decide", bound=Callable[[Question], Answer | Awaitable[Answer]])
DecideAll = TypeVar("DecideAll", bound=Callable[[list[Question]], Iterable[Answer | Deny] | Awaitable[Iterable[Answer | Deny]]])


class _Spec:
    """A rule as the program has written it."""

    function: Callable[[Any], Any]

    def __init__(self, pattern: str, kinds: str | Iterable[str], cache: float | None,
                 views: Views | None, presence_grace: float | None, replaces: bool, app: str | None,
                 gather: float | None) -> None:
        self.pattern = pattern
        self.kinds = 0
        for kind in kinds.split() if isinstance(kinds, str) else kinds:
            if kind not in ("public", "private", "presence", "encrypted"):
                raise ValueError(f"there is no kind of channel {kind!r}")
            self.kinds |= getattr(lib, f"PUSHERC_RULE_{kind.upper()}")
        self.cache_ms = milliseconds(cache, "cache")
        self.views = views
        self.presence_grace_ms = (0 if presence_grace is None else
                                  milliseconds(presence_grace, "presence_grace") or lib.PUSHERC_NO_DELAY)
        self.replaces = replaces
        self.app = app
        self.gather = gather

    def add(self, server: Any, desk: Desk) -> None:
        names = tuple(re.findall(r"\{([^{}]+?)(?:\.\.\.)?\}", self.pattern))
        if len(names) > lib.PUSHERC_RULE_MAX_PARAMS:
            raise ValueError(f"pattern {self.pattern}: more than {lib.PUSHERC_RULE_MAX_PARAMS} parameters")
        rule = Rule(self.function, len(desk.rules), names, self.gather)
        memory = Memory()
        struct = memory.new("pusherc_rule")
        struct.pattern = memory.string(self.pattern, "pattern")
        if self.app is not None:
            struct.app_id = memory.string(self.app, "app")
        struct.kinds = self.kinds
        struct.cache_ms = self.cache_ms
        struct.presence_grace_ms = self.presence_grace_ms
        struct.replaces = self.replaces
        struct.inbox = True
        struct.user_data = rule.key
        if callable(self.views):
            rule.render = self.views
            renderers[int(ffi.cast("intptr_t", rule.key))] = rule
            struct.render = lib.pusherc_python_render
        elif self.views is not None:
            redactions = memory.new("pusherc_redaction", len(self.views))
            for redaction, (view, without) in zip(redactions, self.views.items(), strict=True):
                (without or Without())._fill(redaction, view, memory)
            struct.redactions, struct.redaction_count = redactions, len(self.views)
        desk.rules.append(rule)  # before the first question
        info = ffi.new("pusherc_errinfo *")
        try:
            check(lib.pusherc_server_add_rule(server, struct, info), info)
        except BaseException:
            desk.rules.pop()
            raise


class RuleSet:
    """The part of a server that has the rules."""

    _desk: Desk | None

    def __init__(self) -> None:
        self._specs: list[_Spec] = []

    def _inside(self) -> Any:
        raise NotImplementedError

    def channel(self, pattern: str, /, *, kinds: str | Sequence[Kind] = (), cache: float | None = None,
                views: Views | None = None, presence_grace: float | None = None, replaces: bool = False,
                app: str | None = None) -> Callable[[Decide], Decide]:
        """Decorator: a rule. The function gets a Question, and returns True, False, the info of a member, or a Grant.

        `pattern`: as in Laravel, "tickets.{uuid}", compared with the name without "private-", "presence-", "cache-" and the
        like. `kinds`: of "public", "private", "presence" and "encrypted", with spaces between; all but "public" unless
        given. `cache`: seconds for which an answer counts again for the same user and channel. `views`: what each audience
        that a Grant names does not see: a Without, or None = nothing is left out. A function instead is called for each
        event and audience, on the thread that publishes, with the interpreter's lock: it returns True (the event as it
        is), None (no event), or the payload. `presence_grace`: seconds that a member may be gone. `replaces`: takes the
        place of a rule of the same names. `app`: the rule is for this app only.
        """
        return self._rule(pattern, kinds, cache, views, presence_grace, replaces, app, None)

    def channel_batch(self, pattern: str, /, *, gather: float = 0.002, kinds: str | Sequence[Kind] = (),
                      cache: float | None = None, views: Views | None = None, presence_grace: float | None = None,
                      replaces: bool = False, app: str | None = None) -> Callable[[DecideAll], DecideAll]:
        """Decorator: a rule whose function gets up to 64 questions at once, and returns as many answers.

        A question waits `gather` seconds for others. An answer may also be a Deny.
        """
        return self._rule(pattern, kinds, cache, views, presence_grace, replaces, app, gather)

    def _rule(self, pattern: str, kinds: str | Iterable[str], cache: float | None, views: Views | None,
              presence_grace: float | None, replaces: bool, app: str | None, gather: float | None) -> Callable[[Any], Any]:
        written = _Spec(pattern, kinds, cache, views, presence_grace, replaces, app, gather)

        def add(function: Any) -> Any:
            spec = copy.copy(written)
            spec.function = function
            if self._desk is None:
                self._specs.append(spec)
            else:
                with self._inside() as server:
                    spec.add(server, self._desk)
            return function

        return add

    def _add_rules(self, server: Any, desk: Desk) -> None:
        for spec in self._specs:
            spec.add(server, desk)

    def remove_rule(self, pattern: str, *, app: str | None = None) -> None:
        """Remove the rules with this pattern. Grants stay until they are asked for again: see reauthorize()."""
        if self._desk is None:
            left = [spec for spec in self._specs if (spec.pattern, spec.app) != (pattern, app)]
            if len(left) == len(self._specs):
                check(lib.PUSHERC_ENOENT)
            self._specs = left
            return
        info = ffi.new("pusherc_errinfo *")
        with self._inside() as server:
            check(lib.pusherc_server_remove_rule(server, NULL if app is None else zero_terminated(app, "app"),
                                                 zero_terminated(pattern, "pattern"), info), info)
