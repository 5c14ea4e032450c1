/**
 * @file types.h
 * Slices, socket ids and the names of the opaque objects.
 */
#ifndef PUSHERC_TYPES_H
#define PUSHERC_TYPES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/** One server: apps, listeners, workers and everything that lives in them. */
typedef struct pusherc_server pusherc_server;
/** One client connection; valid only inside the callback that received it. */
typedef struct pusherc_conn pusherc_conn;
/** "Who is this?", to be answered once; see hooks.h. */
typedef struct pusherc_identify_request pusherc_identify_request;
/** An HTTP request for the host, to be answered once; see hooks.h. */
typedef struct pusherc_http_request pusherc_http_request;
/** "Which app is this?", to be answered once; see hooks.h. */
typedef struct pusherc_app_request pusherc_app_request;

/** libuv's loop. No dependency's header is ever included from a public one. */
struct uv_loop_s;

/** Borrowed bytes: not NUL-terminated, not owned, UTF-8 unless a function says otherwise. */
typedef struct pusherc_slice {
    const char *ptr; /**< may be NULL when len is 0 */
    size_t len;      /**< bytes */
} pusherc_slice;

/* clang-format off */
/** Initialiser of a pusherc_slice from a string literal. */
#define PUSHERC_LIT(s) { (s), sizeof(s) - 1 }
/* clang-format on */

/**
 * The bytes of a C string, without its NUL. For a literal in an initialiser there is PUSHERC_LIT().
 *
 * @param text  NUL-terminated; NULL gives the empty slice
 * @return a slice that points to `text`
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API pusherc_slice pusherc_slice_of(const char *text);

/**
 * Compare byte for byte. Not for secrets: the time it takes tells how much is right.
 *
 * @param a  any bytes
 * @param b  any bytes
 * @return true if both have the same bytes; two empty slices have
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API bool pusherc_slice_equal(pusherc_slice a, pusherc_slice b);

/**
 * Item `i` of an array of structs that begin with `struct_size`, as the library hands them out. A newer library's items
 * are larger than the caller knows: go through them by this and not by `items[i]`.
 */
#define PUSHERC_AT(items, i)                                                                       \
    ((__typeof__(&(items)[0]))(const void *)((const char *)(items) + (i) * (items)->struct_size))

/**
 * A connection's name, printed as "<a>.<b>". Zero and zero mean "none".
 * This server gives numbers in 1..4294967295; ids of other servers may be larger.
 */
typedef struct pusherc_socket_id {
    uint64_t a; /**< before the dot */
    uint64_t b; /**< behind it */
} pusherc_socket_id;

/** Two times twenty digits, a dot and NUL. */
#define PUSHERC_SOCKET_ID_STRLEN 42

/**
 * Read a socket id: digits, one dot, digits.
 *
 * @param text  the id, 3..41 bytes
 * @param out   filled on success, otherwise zero
 * @return 0, or
 *         PUSHERC_EINVAL  not of this form, or `out` is NULL
 *         PUSHERC_ELIMIT  of this form, but no id of this server: a number with a leading zero or above 2^64 - 1
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.  Source: protocol, "socket_id matches ^\d+\.\d+$".
 */
PUSHERC_API int pusherc_socket_id_parse(pusherc_slice text, pusherc_socket_id *out);

/**
 * Print a socket id with its NUL.
 *
 * @param id   the id
 * @param out  at least PUSHERC_SOCKET_ID_STRLEN bytes
 * @return the length without NUL
 *
 * Thread: any. Blocks: no. In callbacks: yes. Owns: nothing.
 * Since: 0.1.
 */
PUSHERC_API size_t pusherc_socket_id_format(pusherc_socket_id id,
                                            char out[PUSHERC_SOCKET_ID_STRLEN]);

PUSHERC_END_DECLS

#endif /* PUSHERC_TYPES_H */
