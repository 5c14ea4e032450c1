/*
 * A question to the host about an HTTP request. The host answers it once, now or later, from any thread, even after the
 * connection or the server has gone. Until then the host owns the question. The memory of the request moves into the
 * question at the beginning, because the host may read it on another thread after the connection has ended. With the
 * answer the request moves back to the connection (pc_ask_give_back()).
 */
#ifndef PC_NET_ASK_H
#define PC_NET_ASK_H

#include <pusherc/hooks.h>

#include "net/http_conn.h"
#include "net/peer.h"
#include "session/identity.h"

#define PC_ASK_MAX_PARAMS 64
#define PC_ASK_MAX_FIELDS 1000 /* of a form */

struct pc_ask {
    struct pc_pending pending;
    /* Called last, on any thread: frees what this kind of question owns in addition. */
    void (*dispose)(struct pc_ask *ask);
    struct pc_http_parser *parser; /* owned: holds the request; NULL after it was given back */
    const struct pc_http_message *message;
    struct pc_buf decoded; /* text of `params` and `path` */
    struct pc_pair params[PC_ASK_MAX_PARAMS];
    size_t param_count;
    pusherc_slice path; /* decoded */
    bool is_decoded;
    bool https;    /* the client spoke TLS */
    char peer[64]; /* "address:port" */
    char client[PC_ADDRESS_STRLEN];
};

struct pusherc_identify_request {
    struct pc_ask ask;
    struct pc_app *app; /* counted */
    bool cookie_read, cookie_refused;
    bool script; /* a script element gets the answer; any page may contain one */
    pusherc_identify_purpose purpose;
    uint32_t expires_in_ms;       /* of the identity */
    struct pc_identity *identity; /* accepted: owned; NULL = anonymous */
    uint16_t reject_code;         /* 0 = accepted */
    char reject_reason[124];
};

struct pusherc_http_request {
    struct pc_ask ask;
    bool head_only;
    bool keep_alive;
    struct pc_buf reply;  /* the whole response; empty = close without one */
    struct pc_pair *form; /* owned: the fields of a form; NULL until the host reads one */
    size_t form_count;
    struct pc_buf form_text; /* the decoded text of fields that were encoded */
    bool form_read;
};

/* What a client gets when too many questions of its address or app wait for the host. */
#define PC_ASK_TOO_MANY "Too many requests wait for the application"

/* Begins a question about the request at hand, for the app with that uid, or PC_QUOTA_PAGES. 0; or PUSHERC_ELIMIT, too
 * many questions are not answered, PUSHERC_ENOMEM: nothing has begun. */
PC_CHECKED int pc_ask_begin(struct pc_ask *ask, struct pc_conn *conn,
                            const struct pc_http_message *message, uint64_t app_uid,
                            void (*dispose)(struct pc_ask *ask));
/* Call it when the answer has arrived: moves the request back to the connection. */
void pc_ask_give_back(struct pc_ask *ask, struct pc_conn *conn);

/* The question of hook `identify`: which user does the client belong to? Counts `app`. As pc_ask_begin(). */
PC_CHECKED int pc_identify_new(struct pusherc_identify_request **out, struct pc_conn *conn,
                               const struct pc_http_message *message, struct pc_app *app);
static inline struct pusherc_identify_request *pc_identify_of(struct pc_pending *answer)
{
    return PC_CONTAINER(answer, struct pusherc_identify_request, ask.pending);
}
/* Calls the hook. */
void pc_identify_ask(struct pusherc_identify_request *request);

/* The question of hook `on_http`: the host's own page. As pc_ask_begin(). */
PC_CHECKED int pc_page_new(struct pusherc_http_request **out, struct pc_conn *conn,
                           const struct pc_http_message *message);
static inline struct pusherc_http_request *pc_page_of(struct pc_pending *answer)
{
    return PC_CONTAINER(answer, struct pusherc_http_request, ask.pending);
}

pusherc_slice pc_ask_query(struct pc_ask *ask, const char *name);
pusherc_slice pc_ask_path(struct pc_ask *ask);
pusherc_slice pc_ask_form(struct pusherc_http_request *request, const char *name);

#endif
