/* What the address of a request of a client over HTTP says (fallback.h). */
#ifndef PC_NET_FALLBACK_PATH_H
#define PC_NET_FALLBACK_PATH_H

#include "codec/http.h"
#include "fanout/engine.h"

struct pc_fallback_path {
    bool sockjs;        /* of SockJS's own library, whose first message says which app it wants */
    pusherc_slice key;  /* of the app, encoded; not of SockJS */
    pusherc_slice name; /* of the session, with the key */
    uint64_t number;    /* of the request among those of its page (turns.h); 0 = it has none */
    enum {
        PC_FALLBACK_STREAM, /* receives, one answer without an end */
        PC_FALLBACK_POLL,   /* receives the next frames */
        PC_FALLBACK_SEND,
        PC_FALLBACK_INFO /* SockJS: asks what there is; without a name */
    } action;
};

/* What the first message of a client of SockJS asks for, "/app/KEY?QUERY" as in the target of a request: *target, in scratch
 * or in the message. PUSHERC_EPROTO: it is another message. */
PC_CHECKED int pc_sockjs_read_target(pusherc_slice message, struct pc_buf *scratch,
                                     pusherc_slice *target);

/* False: it is another request. The slices point into the message. */
bool pc_fallback_path_read(const struct pc_engine *engine, const struct pc_http_message *message,
                           struct pc_fallback_path *out);

#endif
