#!/usr/bin/env python3
"""Write assets.c: embed.py OUTPUT LIST FILE... A file is named by its folder and itself: "pages/start.html"."""
import hashlib
import pathlib
import sys

output, name, *files = sys.argv[1:]
with open(output, "w") as out:
    out.write('#include "common/assets.h"\n\n')
    entries = []
    for number, path in enumerate(map(pathlib.Path, files)):
        data = path.read_bytes()
        out.write(f"static const char file_{number}[] = {{")
        # Numbers, not a string: C11 promises no more than 4,095 characters of one.
        for at, byte in enumerate(data):
            out.write(("\n    " if at % 24 == 0 else " ") + f"{byte if byte < 128 else byte - 256},")
        out.write(" 0};\n")
        etag = hashlib.sha256(data).hexdigest()[:16]
        entries.append(f'    {{"{path.parent.name}/{path.name}", file_{number}, {len(data)}, "\\"{etag}\\""}},\n')
    out.write(f"\nconst struct asset {name}[] = {{\n" + "".join(entries) + "    {0},\n};\n")
