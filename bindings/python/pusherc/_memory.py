"""C structs, and the memory that they point to."""

import json
from collections.abc import Iterable, Mapping
from typing import Any, cast

from pusherc._ffi import ffi, lib

NULL = ffi.NULL


def text(slice: Any) -> str:
    """What a slice holds."""
    return bytes(ffi.buffer(slice.ptr, slice.len)).decode("utf-8", "replace") if slice.len else ""


def raw(slice: Any) -> bytes:
    """What a slice holds, any bytes."""
    return bytes(ffi.buffer(slice.ptr, slice.len)) if slice.len else b""


def payload(data: object) -> bytes:
    """What is sent of an event's data: a str or bytes as they are, anything else as JSON."""
    if type(data) is str:
        return data.encode()
    if isinstance(data, str):
        return str(data).encode()
    if isinstance(data, (bytes, bytearray)):
        return bytes(data)
    return dumps(data)


def dumps(value: object) -> bytes:
    """Compact JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def pairs(given: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Names and values."""
    if isinstance(given, Mapping):
        return list(cast(Mapping[str, str], given).items())
    return list(given)


def milliseconds(seconds: float | None, what: str) -> int:
    """Whole milliseconds, at least one for a time above zero; None and 0 are 0."""
    if not seconds:
        return 0
    if not 0 < seconds < 4294967:
        raise ValueError(f"{what}: {seconds!r} is no number of seconds between 0 and 4294967")
    return max(1, round(seconds * 1000))


def zero_terminated(value: str, what: str) -> bytes:
    """For a `const char *`."""
    data = value.encode()
    if b"\0" in data:
        raise ValueError(f"{what} has a NUL")
    return data


class Memory:
    """Makes structs and keeps what they point to. Lives as long as the call that gets them."""

    def __init__(self) -> None:
        self._kept: list[Any] = []

    def new(self, kind: str, count: int | None = None) -> Any:
        """A struct that begins with struct_size, or an array of such."""
        made = ffi.new(f"{kind} *") if count is None else ffi.new(f"{kind}[]", count)
        for i in range(1 if count is None else count):
            made[i].struct_size = ffi.sizeof(kind)
        self._kept.append(made)
        return made

    def array(self, kind: str, count: int) -> Any:
        made = ffi.new(f"{kind}[]", count)
        self._kept.append(made)
        return made

    def string(self, value: str, what: str) -> Any:
        """A `const char *`."""
        made = ffi.new("char[]", zero_terminated(value, what))
        self._kept.append(made)
        return made

    def fill(self, slice: Any, data: bytes) -> None:
        """Let a slice point to `data`."""
        made = ffi.from_buffer("char[]", data) if data else NULL
        self._kept.append((made, data))
        slice.ptr, slice.len = made, len(data)

    def slice(self, data: bytes) -> Any:
        """A slice as an argument."""
        made = self.array("pusherc_slice", 1)
        self.fill(made[0], data)
        return made[0]

    def slices(self, items: list[bytes]) -> Any:
        made = self.array("pusherc_slice", len(items))
        for slice, data in zip(made, items, strict=True):
            self.fill(slice, data)
        return made

    def settings(self, struct: Any, table: Mapping[str, tuple[str, str]], values: Mapping[str, Any], who: str) -> None:
        """Put settings by their names into an option struct. `table`: their kinds, see _settings.py."""
        for name, value in values.items():
            if name not in table:
                raise TypeError(f"{who} has no setting {name!r}")
            kind, words = table[name]
            if kind in ("TEXT", "PATH"):
                value = self.string(value, name)
            elif kind == "CHOICE":
                value = choice(value, words.split("|"), name)
            elif kind == "LIMIT" and value is None:
                value = lib.PUSHERC_NO_LIMIT
            elif kind == "DELAY" and value == 0:
                value = lib.PUSHERC_NO_DELAY
            elif kind == "FLAG":
                value = bool(value)
            try:
                setattr(struct, name, value)
            except (TypeError, OverflowError) as wrong:
                raise type(wrong)(f"{name}: {value!r} is no {kind.lower()}") from None


def choice(word: str, words: list[str], what: str) -> int:
    """The number of a word."""
    try:
        return words.index(word)
    except ValueError:
        raise ValueError(f"{what}: {word!r} is none of {', '.join(words)}") from None
