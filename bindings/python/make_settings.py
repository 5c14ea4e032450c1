#!/usr/bin/env python3
"""make_settings.py [--write]: hold pusherc/_settings.py against include/pusherc/settings.h, or write it."""
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
HEADER = HERE.parents[1] / "include/pusherc/settings.h"
MODULE = HERE / "pusherc/_settings.py"

ROW = re.compile(r'X\((\w+), (\w+), [^,]+, [^,]+, ([^,]+), "([^"]*)", "((?:[^"\\]|\\.)*)"\)')
# What Server() and App() have as parameters of their own.
OWN = {"id", "key", "secret", "auth_mode", "encryption_master_key"}
TYPES = {"TEXT": "str", "PATH": "str", "SECRET": "str", "FLAG": "bool", "NUMBER": "int", "LIMIT": "int | None",
         "DELAY": "int", "BIG": "int"}

HEAD = '''"""The settings of apps and servers, made from include/pusherc/settings.h by make_settings.py."""

from typing import Literal, TypedDict

'''


def rows(*maps):
    text = HEADER.read_text()
    for name in maps:
        start = text.index(f"#define {name}(X)")
        yield from ROW.findall(text[start:text.index("\n\n", start)])


def typed_dict(name, doc, found):
    lines = [f"class {name}(TypedDict, total=False):", f'    """{doc}"""', ""]
    for kind, field, fallback, words, meaning in found:
        if field in OWN:
            continue
        choices = ", ".join(f'"{word}"' for word in words.split("|"))
        lines += [f"    {field}: {f'Literal[{choices}]' if kind == 'CHOICE' else TYPES[kind]}", "    \"\"\"" + meaning.replace("\\\"", "\"") + "\"\"\""]
    return "\n".join(lines) + "\n"


def table(name, found):
    lines = [f"{name}: dict[str, tuple[str, str]] = {{"]
    lines += [f'    "{field}": ("{kind}", "{words}"),' for kind, field, _, words, _ in found if field not in OWN]
    return "\n".join([*lines, "}"]) + "\n"


def module():
    app = list(rows("PUSHERC_APP_SETTING_MAP", "PUSHERC_APP_HOST_SETTING_MAP"))
    server = list(rows("PUSHERC_SERVER_SETTING_MAP", "PUSHERC_SERVER_HOST_SETTING_MAP"))
    return "\n\n".join([
        HEAD.rstrip("\n") + "\n",
        typed_dict("AppSettings", "Further settings of an app. A limit of None is no limit; a delay of 0 is none.", app),
        typed_dict("ServerSettings", "Further settings of a server; None and 0 as in AppSettings.", server),
        "# Name: kind of the setting, and its words if it is a choice.\n" + table("APP", app) + "\n" + table("SERVER", server),
    ])


if sys.argv[1:] == ["--write"]:
    MODULE.write_text(module())
elif MODULE.read_text() != module():
    sys.exit(f"{MODULE}: differs from {HEADER}; bindings/python/make_settings.py --write")
