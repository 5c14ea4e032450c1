"""Holds the manual pages and scripts of shells against the table of commands, which comes on standard input as JSON."""
import json
import pathlib
import re
import sys

MAIN = pathlib.Path("docs/man/pusherc.1")
IN_MAIN = {"serve", "publish", "trigger"}  # described in the page of the program
BEGIN, END = '.\\" Options: written by tests/checks/commands\n', '.\\" End of the options.\n'


def quoted(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return "\\&" + text if text[0] in ".'" else text


def items(command):
    for option in command["options"]:
        argument = f" Ar {option['argument']}" if option["argument"] else ""
        yield f".It Fl \\-{option['name'].replace('-', chr(92) + '-')}{argument}\n{quoted(option['help'])}.\n"


def page_of(command):
    return MAIN.with_name(f"pusherc-{command['name']}.1")


def wanted(command):
    page = page_of(command).read_text()
    start = page.index(BEGIN) + len(BEGIN)
    return page[:start] + "".join(items(command)) + page[page.index(END, start):]


def compare(commands):
    main = MAIN.read_text()
    for command in commands:
        if command["name"] in IN_MAIN:
            for option in command["options"]:
                if f"-{option['name']}" not in re.findall(r"Fl (-[\w-]+)", main):
                    print(f"{MAIN}: {command['name']} --{option['name']} is missing")
        elif not page_of(command).exists():
            print(f"{page_of(command)} is missing")
        else:
            if wanted(command) != page_of(command).read_text():
                print(f"{page_of(command)}: the options differ from the table")
            if f".Xr pusherc-{command['name']} 1" not in main:
                print(f"{MAIN} does not name {page_of(command)}")
    known = {page_of(command) for command in commands} | {MAIN}
    for page in MAIN.parent.glob("*.1"):
        if page not in known:
            print(f"{page} describes no command")


def missing(commands, shell, script):
    """Names and texts that a script of zsh or fish lacks."""
    text = pathlib.Path(script).read_text()
    for command in commands:
        for option in command["options"]:
            name = option["name"]
            pattern = rf"'--{name}=?\[[^\]]" if shell == "zsh" else \
                rf"_from {command['name']}' -l {name}( -r -F| -x)? -d '[^']"
            if not re.search(pattern, text):
                print(f"{command['name']} --{name}")


def main(action, *rest):
    commands = json.load(sys.stdin)
    if action == "compare":
        compare(commands)
    elif action == "write":
        for command in commands:
            if command["name"] not in IN_MAIN:
                page_of(command).write_text(wanted(command))
    elif action == "missing":
        missing(commands, *rest)
    elif action == "words":
        for command in commands:
            print(command["name"], *(f"--{option['name']}" for option in command["options"]))
    elif action == "commands":
        print("\n".join(command["name"] for command in commands))


main(*sys.argv[1:])
