#!/usr/bin/env python3
"""make_ffi.py OUTPUT DEPFILE COMPILER...: write the C source of the module pusherc._ffi.

What Python sees of the library is what the compiler makes of the public headers, with PUSHERC_DECLARATIONS_ONLY, and of
native/native.h. Nothing is written down twice: constants that are macros are found by the compiler as well.
"""
import pathlib
import re
import subprocess
import sys

import cffi

HERE = pathlib.Path(__file__).resolve().parent
INCLUDE = HERE.parents[1] / "include"

# Functions of Python that the library calls while one of its own calls runs, on the calling thread; render, which runs on
# the thread that publishes; and publish, which runs on a thread of the library.
CALLBACKS = """
extern "Python" void pusherc_python_channels(const pusherc_channel_info *, size_t, void *);
extern "Python" void pusherc_python_members(const pusherc_member *, size_t, uint64_t, void *);
extern "Python" void pusherc_python_users(const pusherc_user_info *, size_t, uint64_t, void *);
extern "Python" void pusherc_python_history(const pusherc_past_event *, size_t, bool, pusherc_slice, void *);
extern "Python" void pusherc_python_connections(const pusherc_connection *, size_t, void *);
extern "Python" void pusherc_python_cached(const pusherc_cached_event *, void *);
extern "Python" void pusherc_python_explained(pusherc_slice, void *);
extern "Python" const char *pusherc_python_lookup(const char *, void *);
extern "Python" int pusherc_python_metrics(pusherc_slice, void *);
extern "Python" pusherc_render_verdict pusherc_python_render(pusherc_render *, void *);
extern "Python" int pusherc_python_publish(pusherc_incoming *, void *);
"""


def preprocess(compiler, header, *options):
    command = [*compiler, "-std=c11", "-DPUSHERC_DECLARATIONS_ONLY", f"-I{INCLUDE}", f"-I{HERE / 'native'}",
               "-E", *options, "-x", "c", "-"]
    return subprocess.run(command, input=f"#include <{header}>\n", capture_output=True, text=True, check=True).stdout


def constants(compiler):
    """`#define NAME ...` for each macro that is an integer."""
    for line in preprocess(compiler, "pusherc/pusherc.h", "-dM").splitlines():
        found = re.fullmatch(r"#define (PUSHERC_[A-Z0-9_]+) ([(]*[A-Z0-9][A-Z0-9_x()| <\-]*)", line)
        if found and found[1] != "PUSHERC_DECLARATIONS_ONLY":
            yield f"#define {found[1]} ...\n"


def main(output, depfile, *compiler):
    ffi = cffi.FFI()
    ffi.cdef(preprocess(compiler, "native.h", "-P") + CALLBACKS + "".join(sorted(constants(compiler))))
    ffi.set_source("pusherc._ffi", '#include "native.h"\n')
    ffi.emit_c_code(output)
    headers = preprocess(compiler, "native.h", "-M").split(":", 1)[1]
    pathlib.Path(depfile).write_text(f"{output}:{headers}")


main(*sys.argv[1:])
