"""Where a server's messages are read: questions go to functions and come back as answers, notices go to who listens.

Everything here runs in turns of one asyncio loop. A turn takes up to 256 messages. A function that answers at once
costs no task. A coroutine becomes a task, which is cancelled when nothing waits for its answer any more, or when its
time is over. Each question is answered exactly once, whatever its function does.
"""

import asyncio
import inspect
import logging
import weakref
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

from pusherc import questions
from pusherc._ffi import ffi, lib
from pusherc.errors import error
from pusherc.questions import AppRequest, Deny, HttpRequest, IdentifyRequest, Question, Reject

NUMBERS: int = lib.TRAY_NUMBERS
TEXTS: int = lib.TRAY_TEXTS
AUTHORIZE: int = lib.PUSHERC_MESSAGE_AUTHORIZE
MAX_BATCH = 64
LEVELS = {lib.PUSHERC_LOG_ERROR: logging.ERROR, lib.PUSHERC_LOG_WARN: logging.WARNING, lib.PUSHERC_LOG_INFO: logging.INFO,
          lib.PUSHERC_LOG_DEBUG: logging.DEBUG, lib.PUSHERC_LOG_TRACE: 5}
LATE = {lib.PUSHERC_ECANCELED, lib.PUSHERC_ETIMEDOUT}  # nothing waits for the answer any more: no error

# The message's type, its numbers, its six texts.
Notice = Callable[[int, Sequence[int], Sequence[str]], None]


class Asker:
    """A function that is asked, how its answers are given, and what is answered if it fails."""

    timed = True

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self.function = function

    def accept(self, question: Any, answer: object) -> int:
        raise NotImplementedError

    def refuse(self, question: Any, why: BaseException | None) -> int:
        raise NotImplementedError


class Rule(Asker):
    """A pattern and its function."""

    def __init__(self, function: Callable[[Any], Any], index: int, names: tuple[str, ...], gather: float | None) -> None:
        super().__init__(function)
        self.names = names
        self.width = 4 + len(names)  # texts of a question
        self.gather = gather  # None = questions come one by one
        self.render: Callable[[Any], object] | None = None
        self.waiting: list[Question] = []
        self.timer: asyncio.Handle | None = None
        keep = [ffi.new("char[]", name.encode()) for name in names]
        self.key = ffi.new("tray_rule *", {"index": index, "param_count": len(keep), "params": keep})
        self._keep = keep

    def accept(self, question: Question, answer: object) -> int:
        return questions.allow(question, answer)

    def refuse(self, question: Question, why: BaseException | None) -> int:
        if isinstance(why, Deny):
            return questions.deny(question, why.status, str(why.reason).encode())
        return questions.deny(question, 403, b"Internal error" if why else b"Forbidden")


class Identify(Asker):
    def __init__(self, function: Callable[[Any], Any], shelve: Callable[[object], Any]) -> None:
        super().__init__(function)
        self.shelve = shelve

    def accept(self, question: IdentifyRequest, answer: object) -> int:
        return questions.accept(question, answer, self.shelve)

    def refuse(self, question: IdentifyRequest, why: BaseException | None) -> int:
        if isinstance(why, Reject):
            return questions.reject(question, why.code, str(why.reason).encode())
        return questions.reject(question, 4100, b"Internal error")


class FindApp(Asker):
    def accept(self, question: AppRequest, answer: object) -> int:
        return questions.put(question, answer)

    def refuse(self, question: AppRequest, why: BaseException | None) -> int:
        return questions.put(question, None)


class Http(Asker):
    timed = False

    def accept(self, question: HttpRequest, answer: object) -> int:
        return questions.respond(question, answer)

    def refuse(self, question: HttpRequest, why: BaseException | None) -> int:
        return questions.respond(question, questions.Response("Internal error\n", 500))


class Work:
    """A coroutine that answers one question, or several."""

    __slots__ = ("asker", "open", "task", "deadline")

    def __init__(self, asker: Asker, asked: Sequence[Any], task: "asyncio.Future[Any]", deadline: float) -> None:
        self.asker = asker
        self.open = dict.fromkeys(question.id for question in asked)
        self.task = task
        self.deadline = deadline


class Desk:
    """The messages of one server."""

    def __init__(self, inbox: Any, timeout: float, report: Callable[[BaseException, Any], None]) -> None:
        self.rules: list[Rule] = []
        self.identify: Identify | None = None
        self.find_app: FindApp | None = None
        self.http: Http | None = None
        self.notice: Notice | None = None
        self.reauthorized: Callable[[int, int, int], None] | None = None
        self.stopped: Callable[[], None] | None = None
        self._loop: asyncio.AbstractEventLoop
        self._inbox = inbox
        self._tray = ffi.gc(lib.tray_new(), lib.tray_free)
        self._shelf = ffi.gc(lib.shelf_new(), lib.shelf_free)
        if not self._tray or not self._shelf:
            raise MemoryError
        self._numbers = self._tray.numbers
        self._keys = ffi.new("uint64_t[256]")
        self._data: dict[int, object] = {}  # what identities hold, by the shelf's keys
        self._last_key = 0
        self._timeout = timeout
        self._report = report
        # A question that waits for a coroutine, or for others of its batch (no work yet).
        self._live: dict[int, tuple[Work | None, Asker, Any]] = {}
        self._timed: dict[Work, None] = {}  # the oldest first
        self._timer: asyncio.TimerHandle | None = None
        self._fd = -1

    # -- life --

    def open(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin to read messages in this loop."""
        self._loop = loop
        self._fd = lib.pusherc_inbox_fd(self._inbox)
        loop.add_reader(self._fd, self.turn)

    def close(self) -> None:
        """The server is gone: read what is left, end the work, and answer what is open."""
        if self._fd < 0:
            return
        self._loop.remove_reader(self._fd)
        self._fd = -1
        while self.turn():
            pass
        if self._timer:
            self._timer.cancel()
        for rule in self.rules:
            if rule.timer:
                rule.timer.cancel()
        for work, asker, question in list(self._live.values()):
            asker.refuse(question, None)
            if work:
                work.open.clear()
                work.task.cancel()
        self._live.clear()
        self._timed.clear()
        self._data.clear()

    # -- messages --

    def turn(self) -> int:
        """Take what waits, and act on it."""
        tray = self._tray
        count: int = lib.tray_take(tray, self._inbox, 0)
        if count:
            numbers = ffi.unpack(self._numbers, count * NUMBERS)
            raw = ffi.unpack(tray.text, tray.text_len)
            if tray.ascii:
                texts = raw.decode("latin-1").split("\xff")
            else:
                texts = [text.decode("utf-8", "replace") for text in raw.split(b"\xff")]
            self._serve(numbers, texts, 0, 0)
            if self._data:
                self._sweep()
        return count

    def _serve(self, numbers: list[int], texts: list[str], at: int, text: int) -> None:
        rules = self.rules
        data = self._data
        try:
            for at in range(at, len(numbers), NUMBERS):  # noqa: B020  (goes on where an interrupted turn has stopped)
                if numbers[at] == AUTHORIZE:
                    rule = rules[numbers[at + 4]]
                    end = text + rule.width
                    socket_id, app_id, channel, user_id, *values = texts[text:end]
                    text = end
                    key = numbers[at + 5]
                    question = Question(numbers[at + 3], numbers[at + 2], rule.names, values, channel, user_id or None,
                                        app_id, socket_id, data.get(key) if key else None)
                    if rule.gather is not None:
                        self._gather(rule, question)
                    else:
                        self._ask(rule, question)
                else:
                    end = text + TEXTS
                    about, text = texts[text:end], end
                    self._other(numbers[at:at + NUMBERS], about)
        except BaseException:
            # An interrupt, or the end of the program: the rest is not lost.
            if at + NUMBERS < len(numbers) and self._fd >= 0:
                self._loop.call_soon(self._serve, numbers, texts, at + NUMBERS, text)
            raise

    def _other(self, numbers: Sequence[int], texts: Sequence[str]) -> None:
        kind, number, id, request, key, a, b = numbers
        if kind == lib.PUSHERC_MESSAGE_ABANDONED:
            self._abandoned(id)
        elif kind == lib.PUSHERC_MESSAGE_IDENTIFY:
            assert self.identify
            self._ask(self.identify, IdentifyRequest(request, id))
        elif kind == lib.PUSHERC_MESSAGE_HTTP:
            assert self.http
            self._ask(self.http, HttpRequest(request, id))
        elif kind == lib.PUSHERC_MESSAGE_FIND_APP:
            assert self.find_app
            self._ask(self.find_app, AppRequest(request, id))
        elif kind == lib.PUSHERC_MESSAGE_LOG:
            logging.getLogger(f"pusherc.{texts[4]}").log(
                LEVELS.get(number, logging.INFO), "%s", texts[5], extra={"app_id": texts[1], "socket_id": texts[0]})
        elif kind == lib.PUSHERC_MESSAGE_REAUTHORIZED:
            if self.reauthorized:
                self.reauthorized(key, a, b)
        elif kind == lib.PUSHERC_MESSAGE_STOPPED:
            if self.stopped:
                self.stopped()
        elif self.notice:
            self.notice(kind, numbers, texts)

    # -- questions --

    def _ask(self, asker: Asker, question: Any) -> None:
        try:
            answer = asker.function(question)
            # What most rules return, first.
            if answer is not True and answer is not False and inspect.isawaitable(answer):
                self._spawn(asker, (question,), answer)
                return
            code = asker.accept(question, answer)
        except BaseException as why:
            self._failed(asker, question, why)
            if isinstance(why, (KeyboardInterrupt, SystemExit)):
                raise
            return
        if code and code not in LATE:
            self._report(error(code), question)

    def _answer(self, asker: Asker, question: Any, answer: object) -> None:
        try:
            code = asker.accept(question, answer)
        except Exception as why:
            self._failed(asker, question, why)
            return
        if code and code not in LATE:
            self._report(error(code), question)

    def _failed(self, asker: Asker, question: Any, why: BaseException) -> None:
        try:
            asker.refuse(question, why)
        except Exception as worse:  # such as a Deny with a status that is no number
            why = worse
            asker.refuse(question, worse)
        if not isinstance(why, (Deny, Reject)):
            self._report(why, question)

    def _gather(self, rule: Rule, question: Question) -> None:
        rule.waiting.append(question)
        self._live[question.id] = (None, rule, question)
        if len(rule.waiting) == MAX_BATCH:
            self._ask_all(rule)
        elif rule.timer is None:
            rule.timer = self._loop.call_later(rule.gather or 0, self._ask_all, rule)

    def _ask_all(self, rule: Rule) -> None:
        if rule.timer:
            rule.timer.cancel()
            rule.timer = None
        asked = [question for question in rule.waiting if question._request]
        rule.waiting = []
        for question in asked:
            del self._live[question.id]
        if not asked:
            return
        try:
            answers = rule.function(asked)
            if inspect.isawaitable(answers):
                self._spawn(rule, asked, answers)
            else:
                self._answer_all(rule, asked, answers)
        except BaseException as why:
            for question in asked:
                self._failed(rule, question, why)
            if isinstance(why, (KeyboardInterrupt, SystemExit)):
                raise

    def _answer_all(self, rule: Asker, asked: Sequence[Question], answers: Iterable[object]) -> None:
        given = list(answers)
        if len(given) != len(asked):
            raise TypeError(f"the rule returned {len(given)} answers to {len(asked)} questions")
        for question, answer in zip(asked, given, strict=True):
            if isinstance(answer, Deny):
                self._failed(rule, question, answer)
            else:
                self._answer(rule, question, answer)

    # -- work that takes time --

    def _spawn(self, asker: Asker, asked: Sequence[Any], answer: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(answer, loop=self._loop)
        work = Work(asker, asked, task, self._loop.time() + self._timeout)
        for question in asked:
            self._live[question.id] = (work, asker, question)
        task.add_done_callback(lambda task: self._done(work, asked, task))
        if asker.timed:
            self._timed[work] = None
            if self._timer is None:
                self._timer = self._loop.call_at(work.deadline, self._expire)

    def _done(self, work: Work, asked: Sequence[Any], task: "asyncio.Future[Any]") -> None:
        self._timed.pop(work, None)
        live = [question for question in asked if question.id in work.open]
        for question in live:
            del self._live[question.id]
        if task.cancelled():
            why: BaseException | None = asyncio.CancelledError("the function was cancelled")
        else:
            why = task.exception()
        if why is not None:
            for question in live:
                self._failed(work.asker, question, why)
            if not live and not task.cancelled():
                self._report(why, asked[0])
        elif isinstance(work.asker, Rule) and work.asker.gather is not None:
            try:
                answers = list(task.result())
                if len(answers) != len(asked):
                    raise TypeError(f"the rule returned {len(answers)} answers to {len(asked)} questions")
            except Exception as wrong:
                for question in live:
                    self._failed(work.asker, question, wrong)
                return
            by_id = {question.id: answer for question, answer in zip(asked, answers, strict=True)}
            self._answer_all(work.asker, live, [by_id[question.id] for question in live])
        else:
            for question in live:
                self._answer(work.asker, question, task.result())

    def _abandoned(self, id: int) -> None:
        """Nothing waits for the answer: give it, because that gives the place of the question back."""
        found = self._live.pop(id, None)
        if not found:
            return
        work, asker, question = found
        asker.refuse(question, None)
        if work:
            work.open.pop(id, None)
            if not work.open:
                self._timed.pop(work, None)
                work.task.cancel()

    def _expire(self) -> None:
        """Refuse what has taken too long. All have the same time, so the oldest is the first."""
        self._timer = None
        now = self._loop.time()
        for work in list(self._timed):
            if work.deadline > now:
                self._timer = self._loop.call_at(work.deadline, self._expire)
                return
            del self._timed[work]
            late = [self._live.pop(id)[2] for id in work.open]
            work.open.clear()
            for question in late:
                self._failed(work.asker, question, TimeoutError(f"no answer within {self._timeout} s"))
            work.task.cancel()

    # -- what identities hold --

    def shelve(self, data: object) -> Any:
        """Keep an object until its connection has gone."""
        self._last_key += 1
        item = lib.shelf_put(self._shelf, self._last_key)
        if not item:
            raise MemoryError
        self._data[self._last_key] = data
        return item

    def _sweep(self) -> None:
        while (count := lib.shelf_sweep(self._shelf, self._keys, 256)) > 0:
            for key in self._keys[0:count]:
                self._data.pop(key, None)
            if count < 256:
                return


# Rules with a Python function as `render`, by the address of their key.
renderers: "weakref.WeakValueDictionary[int, Rule]" = weakref.WeakValueDictionary()
