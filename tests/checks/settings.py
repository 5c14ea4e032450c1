"""Holds pages and public headers against the rows of all settings, which come on standard input (setting_rows.c)."""
import pathlib
import re
import sys

MARKDOWN = pathlib.Path("docs/configuration.md")
MANUAL = pathlib.Path("docs/man/pusherc.1")

# Fields that are no setting: lists, functions, and what pusherc/settings.h says has rules of its own.
OTHERS = {
    "app": {"struct_size", "webhooks", "webhook_count", "history", "history_count", "allowed_origins"},
    "server": {"struct_size", "allocator", "log_fn", "log_user_data", "log_level", "loop", "worker_count",
               "hooks", "inbox", "inbox_messages"},
}
# Rows of the page that are no setting of a table.
LISTS = {"allowed_origins", "webhooks", "history", "apps"}


class Row:
    def __init__(self, line):
        self.whose, self.kind, self.name, self.fallback, self.meaning = line.rstrip("\n").split("\t")
        self.default = "no limit" if self.fallback == "4294967295" else self.fallback
        self.is_number = self.kind in ("NUMBER", "LIMIT", "DELAY", "BIG") and self.fallback != "0"

    def cell(self):
        """The default in a table."""
        return "-1" if self.default == "no limit" else "false" if self.kind == "FLAG" else self.default


def with_meanings(page, heading, rows):
    """The page with the table below the heading taken from the rows: the meanings, and the defaults that are numbers; a
    row that it lacks comes in."""
    start = page.index(f"\n## {heading}\n")
    end = page.find("\n## ", start + 1)
    lines = page[start:end].split("\n")
    columns = next(line for line in lines if line.startswith("| setting |")).split(" | ")
    at = {match[1]: i for i, line in enumerate(lines) if (match := re.match(r"\| `(\w+)` \|", line))}
    for name in at.keys() - {row.name for row in rows} - LISTS:
        print(f"{MARKDOWN}, {heading}: there is no setting {name}")
    before = 0
    for row in rows:
        if row.name in at:
            before = lines.index(next(line for line in lines if line.startswith(f"| `{row.name}` |")))
            cells = re.split(r"(?<!\\)\|", lines[before])
            if row.is_number:
                cells[columns.index("default") + 1] = f" `{row.cell()}` "
            lines[before] = "|".join(cells[:-2] + [f" {row.meaning} ", ""])
        else:
            cells = [f"`{row.cell()}`" if column == "default" else "" for column in columns[1:-1]]
            before += 1
            lines.insert(before, "| " + " | ".join([f"`{row.name}`", *cells, row.meaning]).replace("|  |", "| |") + " |")
    return page[:start] + "\n".join(lines) + page[end:]


def manual_items(rows):
    for row in rows:
        text = row.meaning.replace("\\", "\\e").replace("`", "")
        if text[0] in ".'":
            text = "\\&" + text
        default = "" if row.default == "0" else f" Pq {row.default}"
        yield f".It Ic {row.name}{default}\n{text}{'' if text.endswith('...') else '.'}\n"


def with_items(page, whose, rows):
    begin, end = f'.\\" Settings, {whose}: written by tests/checks/settings\n', '.\\" End of the settings.\n'
    start = page.index(begin) + len(begin)
    return page[:start] + "".join(manual_items(rows)) + page[page.index(end, start):]


def pages(rows):
    server = [row for row in rows if row.whose == "program"]
    app = [row for row in rows if row.whose == "app"]
    markdown = with_meanings(with_meanings(MARKDOWN.read_text(), "The server", server), "An app", app)
    manual = with_items(with_items(MANUAL.read_text(), "server", server), "app", app)
    return {MARKDOWN: markdown, MANUAL: manual}


def differences(page, text):
    for have, want in zip(page.read_text().split("\n"), text.split("\n")):
        if have != want:
            print(f"{page}: {have}\n    wants to be: {want}")
            return
    if page.read_text() != text:
        print(f"{page}: lines are missing, or are too many")


def fields_of(struct, header):
    """The members of a struct: name and the comments before and behind it."""
    body = re.search(rf"typedef struct {struct} \{{(.*?)\n\}} {struct};", header, re.S)[1]
    fields, before = {}, ""
    for comment, name in re.findall(r"/\*\*(.*?)\*/|(\w+);", body, re.S):
        if name:
            fields[name], before = before, ""
            last = name
        elif comment.startswith("<"):
            fields[last] += comment
        else:
            before = comment
    return fields


def compare_fields(rows, whose, header):
    known = {row.name: row for row in rows if row.whose in (whose, f"{whose} host")}
    fields = fields_of(f"pusherc_{whose}_options", pathlib.Path(header).read_text())
    for name, comment in fields.items():
        row = known.pop(name, None)
        if not row and name not in OTHERS[whose] and not re.fullmatch(r"reserved\d*_", name):
            print(f"{header}: {name} has no row in pusherc/settings.h")
        if not row or not row.is_number:
            continue
        if not re.search(rf"\bdefault[\s*]+{row.default}\b", comment):
            print(f"{header}: the comment of {name} does not say: default {row.default}")
    for name in known:
        print(f"pusherc/settings.h: {name} is no field of {header}")


def main(action, rows):
    if action == "fields":
        compare_fields(rows, "app", "include/pusherc/app.h")
        compare_fields(rows, "server", "include/pusherc/server.h")
    else:
        for page, text in pages(rows).items():
            page.write_text(text) if action == "write" else differences(page, text)


main(sys.argv[1], [Row(line) for line in sys.stdin])
