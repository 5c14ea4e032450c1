"""What the library's calls raise when they fail: one class for each code of the C header error.h."""

from typing import Any

from pusherc._ffi import ffi, lib


class Error(Exception):
    """A call of the library failed. Codes that this version does not know have this class itself."""

    code: int
    """the code of error.h, a negative number"""
    name: str
    """its name, such as "ENOENT" """

    def __init__(self, code: int, text: str = "") -> None:
        self.code = code
        self.name = ffi.string(lib.pusherc_err_name(code)).decode()
        super().__init__(text or ffi.string(lib.pusherc_strerror(code)).decode())

    def __reduce__(self) -> Any:
        return type(self), (self.code, str(self))


class InvalidError(Error, ValueError):
    """EINVAL: an argument breaks a rule of the call."""


class OutOfMemoryError(Error, MemoryError):
    """ENOMEM: there was no memory; nothing happened unless the call says so."""


class StateError(Error, RuntimeError):
    """ESTATE: not allowed in this state, on this thread, or in this process."""


class NotFoundError(Error, LookupError):
    """ENOENT: the app, channel or connection does not exist."""


class ExistsError(Error):
    """EEXIST: the name or key is in use."""


class LimitError(Error, ValueError):
    """ELIMIT: a limit that an option sets was exceeded."""


class SpaceError(Error):
    """ENOBUFS: an output buffer was too small."""


class ProtocolError(Error):
    """EPROTO: the peer broke the protocol."""


class AuthError(Error):
    """EAUTH: a signature or permission check failed."""


class TransportError(Error):
    """EIO: a socket, a file or the system failed."""


class TLSError(Error):
    """ETLS: a certificate, key or handshake failed."""


class TimedOutError(Error, TimeoutError):
    """ETIMEDOUT: there was no answer, or it came too late."""


class CanceledError(Error):
    """ECANCELED: the connection or the server is gone."""


class BacklogError(Error):
    """EBACKLOG: a queue between threads is full. Try later, or drop it."""


class NotCompiledError(Error, NotImplementedError):
    """ENOSYS: the library was built without this part."""


_CLASSES: dict[int, type[Error]] = {
    lib.PUSHERC_EINVAL: InvalidError,
    lib.PUSHERC_ENOMEM: OutOfMemoryError,
    lib.PUSHERC_ESTATE: StateError,
    lib.PUSHERC_ENOENT: NotFoundError,
    lib.PUSHERC_EEXIST: ExistsError,
    lib.PUSHERC_ELIMIT: LimitError,
    lib.PUSHERC_ENOBUFS: SpaceError,
    lib.PUSHERC_EPROTO: ProtocolError,
    lib.PUSHERC_EAUTH: AuthError,
    lib.PUSHERC_EIO: TransportError,
    lib.PUSHERC_ETLS: TLSError,
    lib.PUSHERC_ETIMEDOUT: TimedOutError,
    lib.PUSHERC_ECANCELED: CanceledError,
    lib.PUSHERC_EBACKLOG: BacklogError,
    lib.PUSHERC_ENOSYS: NotCompiledError,
}


def error(code: int, text: str = "") -> Error:
    """The exception for a code."""
    return _CLASSES.get(code, Error)(code, text)


def check(code: int, info: Any = None) -> None:
    """Raise unless `code` is 0. `info`: a pusherc_errinfo that the call has filled."""
    if code:
        raise error(code, ffi.string(info.text).decode("utf-8", "replace") if info is not None else "")
