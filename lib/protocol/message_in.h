/*
 * Messages from a client: one text message becomes one tagged value or an error, so the session does not see half-read
 * messages. Strings are decoded; client event data stays as it was written.
 */
#ifndef PC_PROTOCOL_MESSAGE_IN_H
#define PC_PROTOCOL_MESSAGE_IN_H

#include "base/buf.h"
#include "codec/json.h"

enum pc_in_type {
    PC_IN_SUBSCRIBE,
    PC_IN_UNSUBSCRIBE,
    PC_IN_SIGNIN,
    PC_IN_PING,
    PC_IN_PONG,
    PC_IN_RESUME,
    PC_IN_CLIENT_EVENT
};

struct pc_message_in {
    enum pc_in_type type;
    /* SUBSCRIBE, UNSUBSCRIBE, CLIENT_EVENT; not checked against the grammar */
    pusherc_slice channel;
    pusherc_slice auth;         /* SUBSCRIBE, SIGNIN; len 0 = absent, null or "" */
    pusherc_slice channel_data; /* SUBSCRIBE; likewise */
    union {
        pusherc_slice user_data; /* SIGNIN; likewise */
        pusherc_slice socket_id; /* RESUME; likewise */
    };
    pusherc_slice event; /* CLIENT_EVENT: with "client-" */
    union {
        struct pc_json data;     /* CLIENT_EVENT: NONE = absent */
        struct pc_json channels; /* RESUME: an object; its members are not checked */
    };
};

/* Slices point into `text` or `scratch`, whose max must allow 3 * text.len more than it holds. "data" may
 * be an object or a string that holds one (1.10). A pc_user_data_parse() of a field of `out` may use the
 * same scratch: room for it is reserved, so the slices of `out` stay valid.
 * 0, or (then `out` is not filled)
 * PUSHERC_EPROTO  not a message: *why is a static sentence for pusher:error ("Invalid message format",
 *                 "Unknown event", ...). Causes: invalid JSON; a value that is no object; "event" missing
 *                 or no string; an event that is neither a known pusher: event nor a client event; a
 *                 subscribe without channel; a field of the wrong type; a string with U+0000 or half a
 *                 surrogate pair
 * PUSHERC_ENOMEM  scratch could not grow */
PC_CHECKED int pc_message_in_parse(pusherc_slice text, struct pc_buf *scratch,
                                   struct pc_message_in *out, const char **why);

/* A member or user object: {"user_id": string or integer, "user_info": any} for presence,
 * {"id": string, "user_info": object, ...} for sign-in. */
struct pc_user_data {
    pusherc_slice id;      /* decoded; integers in decimal */
    pusherc_slice info;    /* JSON text as written; "{}" if absent or null */
    struct pc_json object; /* the whole */
};
/* key: "user_id" or "id"; numbers_too: an integer id is accepted (presence). An empty id is EINVAL; the
 * caller checks the length. strict_info: an info that is not an object is EINVAL.
 * 0, or (then `out` is not filled) PUSHERC_EINVAL with *why, a static sentence; PUSHERC_ENOMEM. */
PC_CHECKED int pc_user_data_parse(pusherc_slice text, pusherc_slice key, bool numbers_too,
                                  bool strict_info, struct pc_buf *scratch,
                                  struct pc_user_data *out, const char **why);

#endif
