/**
 * @file types.h
 * Slices, socket ids, and the names of the opaque objects.
 *
 * Unless said otherwise: Thread: any. Blocks: no. In callbacks: yes. Owns: nothing. Since: 0.1.
 */
#ifndef PUSHERC_TYPES_H
#define PUSHERC_TYPES_H

#ifndef PUSHERC_DECLARATIONS_ONLY
#    include <stdbool.h>
#    include <stddef.h>
#    include <stdint.h>
#endif

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/** One server with its apps, listeners, workers and connections. */
typedef struct pusherc_server pusherc_server;
/** One client connection. Valid only inside the callback that received it. */
typedef struct pusherc_conn pusherc_conn;
/** The question "who is this?". The host answers it once; see hooks.h. */
typedef struct pusherc_identify_request pusherc_identify_request;
/** An HTTP request for the host. The host answers it once; see hooks.h. */
typedef struct pusherc_http_request pusherc_http_request;
/** The question "which app is this?". The host answers it once; see hooks.h. */
typedef struct pusherc_app_request pusherc_app_request;
/** An event from outside that is about to be published: hooks.h */
typedef struct pusherc_incoming pusherc_incoming;

/** Frees what the host attached. Called once, on any thread. Must not block. */
typedef void (*pusherc_free_fn)(void *ptr);

/** libuv's event loop. Public headers never include a header of a dependency. */
struct uv_loop_s;

/** Borrowed bytes. They are UTF-8 unless a function says otherwise, and not NUL-terminated. */
typedef struct pusherc_slice {
    const char *ptr; /**< may be NULL if len is 0 */
    size_t len;      /**< bytes */
} pusherc_slice;

/* clang-format off */
/** Initialiser of a pusherc_slice from a string literal. */
#define PUSHERC_LIT(s) { (s), sizeof(s) - 1 }
/* clang-format on */

/**
 * Make a slice of a C string, without its NUL. For literals in initialisers use PUSHERC_LIT().
 *
 * @param text  NUL-terminated; NULL gives the empty slice
 * @return a slice that points to `text`
 */
PUSHERC_API pusherc_slice pusherc_slice_of(const char *text);

/**
 * Compare two slices byte by byte. Do not compare secrets with it: the time it takes depends on the bytes.
 *
 * @param a  any bytes
 * @param b  any bytes
 * @return true if both have the same bytes, or both are empty
 */
PUSHERC_API bool pusherc_slice_equal(pusherc_slice a, pusherc_slice b);

/**
 * The address of item `i` in an array of structs that begin with `struct_size`. Use it instead of `items[i]` for
 * arrays that the library hands out: the items of a newer library are larger than the caller's headers say.
 */
#define PUSHERC_AT(items, i)                                                                       \
    ((__typeof__(&(items)[0]))(const void *)((const char *)(items) + (i) * (items)->struct_size))

/**
 * The name of a connection, printed as "<a>.<b>". Zero and zero mean "none".
 * This server makes numbers in 1..4294967295. Ids of other servers may be larger.
 */
typedef struct pusherc_socket_id {
    uint64_t a; /**< before the dot */
    uint64_t b; /**< after the dot */
} pusherc_socket_id;

/** Sizes of printed socket ids. */
enum {
    PUSHERC_SOCKET_ID_STRLEN = 42 /**< the largest, with NUL: two times twenty digits and a dot */
};

/**
 * Read a socket id: digits, one dot, digits.
 *
 * @param text  the id, 3..41 bytes
 * @param out   filled on success, otherwise zero
 * @return 0, or
 *         PUSHERC_EINVAL  `text` does not have this form, or `out` is NULL
 *         PUSHERC_ELIMIT  `text` has this form, but a number has a leading zero or is above 2^64 - 1: this server
 *                         makes no such id
 *
 * Source: protocol, "socket_id matches ^\d+\.\d+$".
 */
PUSHERC_API int pusherc_socket_id_parse(pusherc_slice text, pusherc_socket_id *out);

/**
 * Print a socket id and a NUL.
 *
 * @param id   the id
 * @param out  at least PUSHERC_SOCKET_ID_STRLEN bytes
 * @return the length without NUL
 */
PUSHERC_API size_t pusherc_socket_id_format(pusherc_socket_id id,
                                            char out[PUSHERC_SOCKET_ID_STRLEN]);

PUSHERC_END_DECLS

#endif /* PUSHERC_TYPES_H */
