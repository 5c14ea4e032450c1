/*
 * A question to the host about a request, which is answered once, now or later, from any thread, even after the
 * connection or the server has gone. It belongs to the host until then, and so does the memory of the request, which
 * moves into the question when that begins: the host may be reading it on another thread whatever becomes of the
 * connection. With the answer the request goes back to the connection (pc_ask_give_back()).
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
    /* Any thread, in the end: frees what the kind of question owns besides this. */
    void (*dispose)(struct pc_ask *ask);
    struct pc_http_parser *parser; /* owned: has the request; NULL once it was given back */
    const struct pc_http_message *message;
    struct pc_buf decoded; /* of the query and the path */
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
    bool script; /* the answer is for a script element, of whatever page */
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
    struct pc_pair *form; /* owned: the fields of a form, once one was asked for */
    size_t form_count;
    struct pc_buf form_text; /* of them, where it had to be decoded */
    bool form_read;
};

/* Begins a question about the request at hand. */
void pc_ask_begin(struct pc_ask *ask, struct pc_conn *conn, const struct pc_http_message *message,
                  void (*dispose)(struct pc_ask *ask));
/* Its answer is there: the connection has its request again. */
void pc_ask_give_back(struct pc_ask *ask, struct pc_conn *conn);

/* Who is this? Counts `app`. NULL: out of memory. */
struct pusherc_identify_request *
pc_identify_new(struct pc_conn *conn, const struct pc_http_message *message, struct pc_app *app);
static inline struct pusherc_identify_request *pc_identify_of(struct pc_pending *answer)
{
    return PC_CONTAINER(answer, struct pusherc_identify_request, ask.pending);
}
/* Hands it to the host. */
void pc_identify_ask(struct pusherc_identify_request *request, struct pc_engine *engine);

/* The host's page: on_http. NULL: out of memory. */
struct pusherc_http_request *pc_page_new(struct pc_conn *conn,
                                         const struct pc_http_message *message);
static inline struct pusherc_http_request *pc_page_of(struct pc_pending *answer)
{
    return PC_CONTAINER(answer, struct pusherc_http_request, ask.pending);
}

pusherc_slice pc_ask_query(struct pc_ask *ask, const char *name);
pusherc_slice pc_ask_path(struct pc_ask *ask);
pusherc_slice pc_ask_form(struct pusherc_http_request *request, const char *name);

#endif
