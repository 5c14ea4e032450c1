#!/usr/bin/env python3
"""Write inspector_files.c: embed.py OUTPUT FILE... A file becomes the slice pc_inspector_page_html, and so on."""
import pathlib
import sys

output, *files = sys.argv[1:]
with open(output, "w") as out:
    out.write('#include "api/inspector.h"\n')
    for path in map(pathlib.Path, files):
        data = path.read_bytes()
        name = path.name.replace(".", "_")
        out.write(f"\nstatic const char {name}[] = {{")
        # Numbers, not a string: C11 promises no more than 4,095 characters of one.
        for at, byte in enumerate(data):
            out.write(("\n    " if at % 24 == 0 else " ") + f"{byte if byte < 128 else byte - 256},")
        out.write(f"\n}};\nconst pusherc_slice pc_inspector_{name} = {{{name}, sizeof {name}}};\n")
