"""declarations.py HEADER TABLE LIBRARY: see `declarations`."""
import sys

import cffi

header, table, library = sys.argv[1:]
ffi = cffi.FFI()
ffi.cdef(open(header).read())
lib = ffi.dlopen(library)

wrong = []


def expect(what, got, wanted):
    if got != wanted:
        wrong.append(f"{what}: {got}, the compiler says {wanted}")


for kind, name, *rest in map(str.split, open(table)):
    if kind == "struct":
        expect(name, ffi.sizeof(name), int(rest[0]))
    elif kind == "member":
        expect(name, ffi.offsetof(*name.split(".")), int(rest[0]))
    elif kind == "constant":
        expect(name, getattr(lib, name), int(rest[0]))
    else:
        getattr(lib, name)  # raises if it was not declared or is not exported


def new(kind):
    out = ffi.new(kind + " *")
    getattr(lib, kind + "_init")(out, ffi.sizeof(kind))
    return out


server = ffi.new("pusherc_server **")
app, event, stats = new("pusherc_app_options"), new("pusherc_event"), new("pusherc_stats")
texts = [ffi.new("char[]", text) for text in (b"1", b"key", b"secret", b"news", b"hello")]
app.id, app.key, app.secret = texts[:3]
channels = ffi.new("pusherc_slice[1]", [lib.pusherc_slice_of(texts[3])])
event.name, event.channels, event.channel_count = lib.pusherc_slice_of(texts[4]), channels, 1
expect("new", lib.pusherc_server_new(server, ffi.NULL, ffi.NULL), 0)
expect("put_app", lib.pusherc_server_put_app(server[0], app, ffi.NULL), 0)
expect("listen", lib.pusherc_server_listen(server[0], ffi.NULL, ffi.NULL), 0)
expect("start", lib.pusherc_server_start(server[0], ffi.NULL), 0)
expect("publish", lib.pusherc_publish(server[0], b"1", event), 0)
expect("publish elsewhere", lib.pusherc_publish(server[0], b"2", event), lib.PUSHERC_ENOENT)
expect("stats", lib.pusherc_server_stats(server[0], stats), 0)
expect("publishes", stats.publishes_total, 1)
lib.pusherc_server_free(server[0])
sys.exit("\n".join(wrong) or 0)
