/*
 * A question to the host, answered once, now or later, from any thread, even after the connection or the
 * server has gone. The question belongs to the host until it answers; what it shows of the request is
 * kept alive by it. All but the answer itself happens on the worker's thread.
 */
#ifndef PC_NET_ASK_H
#define PC_NET_ASK_H

#include <stdatomic.h>

#include <pusherc/hooks.h>

#include "codec/http.h"
#include "fanout/mailbox.h"
#include "net/conn.h"
#include "net/peer.h"

#define PC_ASK_MAX_PARAMS 64
#define PC_ASK_MAX_FIELDS 1000 /* of a form */

struct pc_ask {
    struct pc_mail mail; /* brings the answer to the worker */
    struct pc_mem mem;
    struct pc_mailbox *box; /* counted */
    struct pc_conn *conn;   /* worker only; NULL = has gone, or waited too long */
    _Atomic bool gone;      /* the same, for whoever answers */
    /* Worker, connection alive: goes on with the answer. */
    void (*answered)(struct pc_conn *conn, struct pc_ask *ask);
    /* Any thread, in the end: frees what the kind of question owns besides this. */
    void (*dispose)(struct pc_ask *ask);
    struct pc_http_parser *parser; /* owned once the connection has gone */
    const struct pc_http_message *message;
    struct pc_buf decoded; /* of the query and the path */
    struct pc_pair params[PC_ASK_MAX_PARAMS];
    size_t param_count;
    pusherc_slice path; /* decoded */
    bool is_decoded;
    char peer[64]; /* "address:port" */
    char client[PC_ADDRESS_STRLEN];
};

struct pusherc_identify_request {
    struct pc_ask ask;
    struct pc_app *app; /* counted */
    /* of a WebSocket: the answer hands it on, and disposal takes it back; else app NULL */
    struct pc_newcomer newcomer;
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

struct pusherc_app_request {
    struct pc_ask ask;
    struct pc_engine *engine; /* valid while the mailbox is open */
    pusherc_slice id, key;
    char text[512]; /* they point here */
};

/* Begins a question about `message`; the connection rests in PC_CONN_HOST until it is answered. */
void pc_ask_init(struct pc_ask *ask, struct pc_conn *conn, const struct pc_http_message *message,
                 void (*answered)(struct pc_conn *conn, struct pc_ask *ask),
                 void (*dispose)(struct pc_ask *ask));
/* The connection is about to go, or will not wait longer: the answer will find nobody. Takes the request's memory. */
void pc_ask_abandon(struct pc_ask *ask);

void pc_identify_dispose(struct pc_ask *ask);

/* Consumes the question. 0 or PUSHERC_ECANCELED. */
int pc_ask_answer(struct pc_ask *ask);
/* The same when nobody is to hear of it. */
void pc_ask_free(struct pc_ask *ask);

pusherc_slice pc_ask_query(struct pc_ask *ask, const char *name);
pusherc_slice pc_ask_path(struct pc_ask *ask);
pusherc_slice pc_ask_form(struct pusherc_http_request *request, const char *name);

#endif
