"""Signatures, held against the standard library and against Pusher's own SDK for Python."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from urllib.parse import parse_qsl

import pusher
import pytest
from conftest import MASTER_KEY

import pusherc
from pusherc import signing

KEYS = signing.Keys("app-key", "app-secret", MASTER_KEY)
SDK = pusher.Pusher("1", "app-key", "app-secret", encryption_master_key_base64=MASTER_KEY)


def test_signs_as_the_sdk_does() -> None:
    name = "private-x"
    assert signing.channel(KEYS, "1.2", name) == SDK.authenticate(name, "1.2")["auth"]
    assert json.loads(signing.channel_response(KEYS, "1.2", name)) == SDK.authenticate(name, "1.2")
    member = {"user_id": "7", "user_info": {"name": "Zoë"}}
    signed = SDK.authenticate("presence-x", "1.2", member)
    assert signing.channel(KEYS, "1.2", "presence-x", signed["channel_data"]) == signed["auth"]
    user = SDK.authenticate_user("1.2", {"id": "7"})
    assert signing.user(KEYS, "1.2", user["user_data"]) == user["auth"]
    assert json.loads(signing.user_response(KEYS, "1.2", user["user_data"])) == user
    secret = SDK.authenticate("private-encrypted-x", "1.2")["shared_secret"]
    assert base64.b64encode(signing.shared_secret(KEYS, "private-encrypted-x")) == secret.encode() if isinstance(
        secret, str) else secret


def test_signs_and_verifies_requests() -> None:
    query = signing.request(KEYS, "POST", "/apps/1/events", {"info": "a,b"}, '{"a":1}', now=1000)
    told = dict(parse_qsl(query))
    assert told["body_md5"] == hashlib.md5(b'{"a":1}').hexdigest() and told["auth_timestamp"] == "1000"
    text = "POST\n/apps/1/events\n" + "&".join(f"{k}={told[k]}" for k in sorted(told) if k != "auth_signature")
    assert told["auth_signature"] == hmac.new(b"app-secret", text.encode(), "sha256").hexdigest()
    good = {"keys": KEYS, "method": "POST", "path": "/apps/1/events", "params": told, "body": '{"a":1}', "now": 1010.5}
    assert signing.verify_request(**good)  # type: ignore[arg-type]
    for change in ({"method": "PUT"}, {"path": "/apps/2/events"}, {"body": "{}"}, {"now": 5000.0},
                   {"keys": signing.Keys("app-key", "other")}, {"params": told | {"info": "a"}}):
        assert not signing.verify_request(**good | change), change  # type: ignore[arg-type]


def test_verifies_webhooks() -> None:
    body = '{"time_ms":1,"events":[]}'
    signature = signing.webhook(KEYS, body)
    assert signature == hmac.new(b"app-secret", body.encode(), "sha256").hexdigest()
    assert signing.verify_webhook(KEYS, body, signature) and signing.verify_webhook(KEYS, body.encode(), signature)
    fresh = json.dumps({"time_ms": int(time.time() * 1000), "events": []})
    assert SDK.validate_webhook("app-key", signing.webhook(KEYS, fresh), fresh) == json.loads(fresh)
    for wrong in (signature.upper(), signature[:-1], "", "x" * 64):
        assert not signing.verify_webhook(KEYS, body, wrong)
    assert not signing.verify_webhook(signing.Keys("app-key", "other"), body, signature)


def test_encrypts_and_decrypts() -> None:
    sealed = signing.encrypt(KEYS, "private-encrypted-x", {"pin": 1})
    assert sealed != signing.encrypt(KEYS, "private-encrypted-x", {"pin": 1})
    assert signing.decrypt(KEYS, "private-encrypted-x", sealed) == b'{"pin":1}'
    with pytest.raises(pusherc.AuthError):
        signing.decrypt(KEYS, "private-encrypted-y", sealed)
    with pytest.raises(pusherc.InvalidError):
        signing.decrypt(KEYS, "private-encrypted-x", "no json")


def test_what_breaks_a_rule_is_told_and_secrets_are_not_shown() -> None:
    wrongs: tuple[Callable[[], object], ...] = (
                  lambda: signing.channel(KEYS, "x", "private-x"), lambda: signing.channel(KEYS, "1.2", "bad name"),
                  lambda: signing.user(KEYS, "1.2", ""), lambda: signing.channel(signing.Keys("a:b", "s"), "1.2", "a"),
                  lambda: signing.encrypt(signing.Keys("k", "s", "short"), "private-encrypted-x", ""))
    for wrong in wrongs:
        with pytest.raises(pusherc.InvalidError):
            wrong()
    assert "app-secret" not in repr(KEYS) and MASTER_KEY not in repr(KEYS)


@pytest.mark.skipif("explain" not in pusherc.features, reason="built without diagnosis")
def test_explains_why_a_signature_is_refused() -> None:
    good = signing.channel(KEYS, "1.2", "private-x")
    assert signing.explain_channel(KEYS, good, "1.2", "private-x") is None
    why = signing.explain_channel(KEYS, good, "1.2", "private-y")
    assert why and "app-secret" not in why
    assert "secret" in (signing.explain_channel(KEYS, signing.channel(signing.Keys("app-key", "app-secret "), "1.2", "private-x"),
                                                "1.2", "private-x") or "")
    signed = signing.user(KEYS, "1.2", '{"id":"7"}')
    assert signing.explain_user(KEYS, signed, "1.2", '{"id":"7"}') is None
    assert signing.explain_user(KEYS, signed, "1.3", '{"id":"7"}')
    query = signing.request(KEYS, "GET", "/apps/1/channels", now=1000)
    assert signing.explain_request(KEYS, "GET", "/apps/1/channels", query, now=1000) is None
    assert "POST" in (signing.explain_request(KEYS, "POST", "/apps/1/channels", query, now=1000) or "POST")
    assert signing.explain_request(KEYS, "GET", "/apps/1/channels", query, b"x", now=1000)
    with pytest.raises(pusherc.InvalidError):
        signing.explain_channel(KEYS, good, "no id", "private-x")
