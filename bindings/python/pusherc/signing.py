"""Pusher's signatures and its end-to-end encryption, without a server.

For auth endpoints, clients of the HTTP API, and receivers of webhooks. What does not verify is False or raises AuthError;
arguments that break a rule raise InvalidError.
"""

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pusherc._ffi import ffi, lib
from pusherc._memory import Memory, pairs, payload, zero_terminated
from pusherc.errors import check

Params = Mapping[str, str] | Iterable[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an app. `master_key`: base64 of 32 bytes, for encrypted channels."""

    key: str
    secret: str = field(repr=False)
    master_key: str | None = field(default=None, repr=False)


def _credentials(keys: Keys, memory: Memory) -> Any:
    credentials = memory.new("pusherc_credentials")
    memory.fill(credentials.key, keys.key.encode())
    memory.fill(credentials.secret, keys.secret.encode())
    if keys.master_key is not None:
        decoded = memory.array("uint8_t", lib.PUSHERC_MASTER_KEY_SIZE)
        check(lib.pusherc_master_key_decode(_slice(keys.master_key.encode(), memory), decoded))
        memory.fill(credentials.master_key, bytes(decoded))
    return credentials


def _slice(data: bytes, memory: Memory) -> Any:
    slice = memory.array("pusherc_slice", 1)
    memory.fill(slice[0], data)
    return slice[0]


def _socket(socket_id: str, memory: Memory) -> Any:
    id = memory.array("pusherc_socket_id", 1)
    check(lib.pusherc_socket_id_parse(_slice(socket_id.encode(), memory), id))
    return id[0]


def _written(function: Any, *arguments: Any) -> bytes:
    """What a function writes into a buffer that is large enough."""
    size = ffi.new("size_t *")
    code = function(*arguments, ffi.NULL, 0, size)
    if code != lib.PUSHERC_ENOBUFS:
        check(code)
    out = ffi.new("char[]", size[0])
    check(function(*arguments, out, size[0], size))
    return bytes(ffi.buffer(out, size[0]))


def _hex(function: Any, *arguments: Any) -> str:
    out = ffi.new("char[]", lib.PUSHERC_HMAC_HEX_SIZE)
    check(function(*arguments, out))
    return bytes(ffi.buffer(out, lib.PUSHERC_HMAC_HEX_SIZE - 1)).decode()


def _verified(code: int) -> bool:
    if code == lib.PUSHERC_EAUTH:
        return False
    check(code)
    return True


def channel(keys: Keys, socket_id: str, name: str, channel_data: str = "") -> str:
    """Sign a subscription: the `auth` of pusher:subscribe. `channel_data`: exactly what the client will send."""
    memory = Memory()
    return _written(lib.pusherc_sign_channel, _credentials(keys, memory), _socket(socket_id, memory),
                    _slice(name.encode(), memory), _slice(channel_data.encode(), memory)).decode()


def channel_response(keys: Keys, socket_id: str, name: str, channel_data: str = "") -> str:
    """The JSON body with which an auth endpoint lets a client into a channel, with the secret of an encrypted one."""
    memory = Memory()
    return _written(lib.pusherc_auth_response_json, _credentials(keys, memory), _socket(socket_id, memory),
                    _slice(name.encode(), memory), _slice(channel_data.encode(), memory)).decode()


def user(keys: Keys, socket_id: str, user_data: str) -> str:
    """Sign a sign-in: the `auth` of pusher:signin. `user_data`: JSON, exactly what the client will send."""
    memory = Memory()
    return _written(lib.pusherc_sign_user, _credentials(keys, memory), _socket(socket_id, memory),
                    _slice(user_data.encode(), memory)).decode()


def user_response(keys: Keys, socket_id: str, user_data: str) -> str:
    """The JSON body with which an auth endpoint lets a client sign in."""
    memory = Memory()
    return _written(lib.pusherc_user_auth_response_json, _credentials(keys, memory), _socket(socket_id, memory),
                    _slice(user_data.encode(), memory)).decode()


def explain_channel(keys: Keys, auth: str, socket_id: str, name: str, channel_data: str = "") -> str | None:
    """Why the `auth` of a subscription is refused: one sentence for developers, without a secret. None = it is right."""
    memory = Memory()
    return _written(lib.pusherc_explain_auth, _credentials(keys, memory), _slice(auth.encode(), memory),
                    _socket(socket_id, memory), _slice(name.encode(), memory),
                    _slice(channel_data.encode(), memory)).decode() or None


def explain_user(keys: Keys, auth: str, socket_id: str, user_data: str) -> str | None:
    """Why the `auth` of a sign-in is refused; None = it is right."""
    return explain_channel(keys, auth, socket_id, "", user_data)


def explain_request(keys: Keys, method: str, path: str, query: str, body: str | bytes = b"",
                    now: float | None = None) -> str | None:
    """Why a request of the HTTP API is refused. `query`: as it was sent, without "?". None = it is well signed."""
    memory = Memory()
    return _written(lib.pusherc_explain_request, _credentials(keys, memory), zero_terminated(method, "method"),
                    zero_terminated(path, "path"), _slice(query.encode(), memory), _slice(payload(body), memory),
                    int(time.time() if now is None else now)).decode() or None


def _params(params: Params, memory: Memory) -> tuple[Any, int]:
    given = pairs(params)
    structs = memory.array("pusherc_http_param", len(given))
    for struct, (name, value) in zip(structs, given, strict=True):
        memory.fill(struct.name, name.encode())
        memory.fill(struct.value, value.encode())
    return structs, len(given)


def request(keys: Keys, method: str, path: str, params: Params = (), body: str | bytes = b"",
            now: float | None = None) -> str:
    """Sign a request of the HTTP API: the whole query string, without "?"."""
    memory = Memory()
    structs, count = _params(params, memory)
    return _written(lib.pusherc_sign_request, _credentials(keys, memory), zero_terminated(method, "method"),
                    zero_terminated(path, "path"), structs, count, _slice(payload(body), memory),
                    int(time.time() if now is None else now)).decode()


def verify_request(keys: Keys, method: str, path: str, params: Params, body: str | bytes = b"",
                   now: float | None = None, max_skew: int = 600) -> bool:
    """Check a request of the HTTP API. `params`: those of the query, decoded, in their order."""
    memory = Memory()
    structs, count = _params(params, memory)
    return _verified(lib.pusherc_verify_request(
        _credentials(keys, memory), zero_terminated(method, "method"), zero_terminated(path, "path"), structs, count,
        _slice(payload(body), memory), int(time.time() if now is None else now), max_skew))


def webhook(keys: Keys, body: str | bytes) -> str:
    """Sign a webhook: the value of X-Pusher-Signature."""
    memory = Memory()
    return _hex(lib.pusherc_sign_webhook, _credentials(keys, memory), _slice(payload(body), memory))


def verify_webhook(keys: Keys, body: str | bytes, signature: str) -> bool:
    """Check a webhook: its raw body and its field X-Pusher-Signature. Choose the keys by X-Pusher-Key before."""
    memory = Memory()
    return _verified(lib.pusherc_verify_webhook(_credentials(keys, memory), _slice(payload(body), memory),
                                                _slice(signature.encode(), memory)))


def encrypt(keys: Keys, name: str, data: object) -> str:
    """Encrypt the data of one event for one private-encrypted- channel. Publish it with `encrypted=True`."""
    memory = Memory()
    return _written(lib.pusherc_encrypt_event, _credentials(keys, memory), _slice(name.encode(), memory),
                    _slice(payload(data), memory)).decode()


def decrypt(keys: Keys, name: str, data: str | bytes) -> bytes:
    """Decrypt the data of an event of an encrypted channel, for example from a webhook. Raises AuthError."""
    memory = Memory()
    return _written(lib.pusherc_decrypt_event, _credentials(keys, memory), _slice(name.encode(), memory),
                    _slice(payload(data), memory))


def shared_secret(keys: Keys, name: str) -> bytes:
    """The secret that the subscribers of an encrypted channel share."""
    memory = Memory()
    out = ffi.new("uint8_t[]", lib.PUSHERC_SHARED_SECRET_SIZE)
    check(lib.pusherc_shared_secret(_credentials(keys, memory), _slice(name.encode(), memory), out))
    return bytes(out)
