/*
 * Close codes (protocol section 1.7). pusher-js acts by the hundred of the code: after 4000 to 4099 it gives up (4000:
 * it tries again over TLS), after 4100 to 4199 it connects again after a second, after 4200 to 4299 at once.
 */
#ifndef PC_PROTOCOL_CLOSE_H
#define PC_PROTOCOL_CLOSE_H

#include <stdint.h>

#include "base/slice.h"

/* Why the server turned a client away, as X(name, label): `label` is the name in metrics. */
#define PC_CONNECT_ERROR_MAP(X)                                                                    \
    X(TLS_ONLY, "tls_only")                                                                        \
    X(UNKNOWN_APP, "unknown_app")                                                                  \
    X(APP_DISABLED, "app_disabled")                                                                \
    X(OVER_QUOTA, "over_quota")                                                                    \
    X(PATH_NOT_FOUND, "path_not_found")                                                            \
    X(BAD_VERSION, "bad_version")                                                                  \
    X(UNAUTHORIZED, "unauthorized")                                                                \
    X(OVER_CAPACITY, "over_capacity")                                                              \
    X(CLOSING, "closing")                                                                          \
    X(OTHER, "other") /* codes that the host chose, and lack of memory */

enum pc_connect_error {
#define PC_ENUM_(name, label) PC_CONNECT_##name,
    PC_CONNECT_ERROR_MAP(PC_ENUM_)
#undef PC_ENUM_
    PC_CONNECT_ERROR_COUNT
};

/* Every code as X(name, code, error, text): a client turned away with the code is counted as `error`; `text` is the
 * default reason in the Close frame. */
#define PC_CLOSE_MAP(X)                                                                            \
    X(UNSUPPORTED_DATA, 1003, OTHER, "Binary messages are not supported")                          \
    X(ABNORMAL, 1006, OTHER, "") /* not sent: it stands for a missing Close frame */               \
    X(INTERNAL, 1011, OTHER, "Out of memory")                                                      \
    X(TLS_ONLY, 4000, TLS_ONLY, "The app accepts TLS connections only")                            \
    X(UNKNOWN_APP, 4001, UNKNOWN_APP, "The app does not exist")                                    \
    X(APP_DISABLED, 4003, APP_DISABLED, "The app is not enabled")                                  \
    X(OVER_QUOTA, 4004, OVER_QUOTA, "The app is over its connection quota")                        \
    X(PATH_NOT_FOUND, 4005, PATH_NOT_FOUND, "Path not found")                                      \
    X(BAD_VERSION, 4006, BAD_VERSION, "Invalid protocol version: not an integer")                  \
    X(UNSUPPORTED_VERSION, 4007, BAD_VERSION, "Unsupported protocol version: use 4 to 7")          \
    X(NO_VERSION, 4008, BAD_VERSION, "No protocol version was given")                              \
    X(UNAUTHORIZED, 4009, UNAUTHORIZED, "Not authorized")                                          \
    X(OVER_CAPACITY, 4100, OVER_CAPACITY, "The server is over capacity")                           \
    X(RECONNECT, 4200, CLOSING, "Server is closing, please reconnect")                             \
    X(NO_PONG, 4201, OTHER, "Pong reply not received")

enum pc_close_code {
#define PC_ENUM_(name, code, error, text) PC_CLOSE_##name = (code),
    PC_CLOSE_MAP(PC_ENUM_)
#undef PC_ENUM_
};

/* "code" of a pusher:error after which the connection stays open. Never 4000 to 4299: those end a connection, and some
 * clients disconnect for good when an error has one (section 2.4). */
enum pc_error_code {
    PC_ERROR_PLAIN = 0, /* "code": null */
    PC_ERROR_CLIENT_EVENT = 4301,
    PC_ERROR_WATCHLIST = 4302
};

/* The text of the table; "" for a code that the host chose. */
pusherc_slice pc_close_text(uint16_t code);
/* PC_CONNECT_OTHER for a code that the host chose. */
enum pc_connect_error pc_connect_error_of(uint16_t code);

#endif
