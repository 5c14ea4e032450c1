/* Close codes (protocol section 1.7): what each means and what pusher-js does after it. */
#ifndef PC_PROTOCOL_CLOSE_H
#define PC_PROTOCOL_CLOSE_H

enum pc_close_code {
    PC_CLOSE_NORMAL = 1000,
    PC_CLOSE_UNSUPPORTED_DATA = 1003, /* a binary message */
    PC_CLOSE_ABNORMAL = 1006,         /* never sent: there was no Close frame */
    PC_CLOSE_INTERNAL = 1011,
    /* 4000..4099: pusher-js gives up (4000: retries over TLS) */
    PC_CLOSE_TLS_ONLY = 4000,
    PC_CLOSE_UNKNOWN_APP = 4001,
    PC_CLOSE_APP_DISABLED = 4003,
    PC_CLOSE_OVER_QUOTA = 4004,
    PC_CLOSE_PATH_NOT_FOUND = 4005,
    PC_CLOSE_BAD_VERSION = 4006,
    PC_CLOSE_UNSUPPORTED_VERSION = 4007,
    PC_CLOSE_NO_VERSION = 4008,
    PC_CLOSE_UNAUTHORIZED = 4009,
    /* 4100..4199: it retries after a second */
    PC_CLOSE_OVER_CAPACITY = 4100,
    /* 4200..4299: it retries at once */
    PC_CLOSE_RECONNECT = 4200,
    PC_CLOSE_NO_PONG = 4201
};

/* pusher:error codes that never close. */
enum pc_error_code {
    PC_ERROR_PLAIN = 0,         /* "code": null */
    PC_ERROR_OVER_QUOTA = 4004, /* of a user's connections, when one signs in */
    PC_ERROR_UNAUTHORIZED = 4009,
    PC_ERROR_CLIENT_EVENT = 4301,
    PC_ERROR_WATCHLIST = 4302
};

#endif
