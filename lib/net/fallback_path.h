/* What the address of a request of a client over HTTP says (fallback.h). */
#ifndef PC_NET_FALLBACK_PATH_H
#define PC_NET_FALLBACK_PATH_H

#include "codec/http.h"
#include "fanout/engine.h"

struct pc_fallback_path {
    pusherc_slice key;  /* of the app, encoded */
    pusherc_slice name; /* of the session, with the key */
    uint64_t number;    /* of the request among those of its page (turns.h); 0 = it has none */
    enum {
        PC_FALLBACK_STREAM, /* receives, one answer without an end */
        PC_FALLBACK_POLL,   /* receives the next frames */
        PC_FALLBACK_SEND
    } action;
};

/* False: it is another request. The slices point into the message. */
bool pc_fallback_path_read(const struct pc_engine *engine, const struct pc_http_message *message,
                           struct pc_fallback_path *out);

#endif
