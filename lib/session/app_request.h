/* The question to the host (hook find_app) about an unknown app. */
#ifndef PC_SESSION_APP_REQUEST_H
#define PC_SESSION_APP_REQUEST_H

#include "fanout/engine.h"
#include "fanout/pending.h"

struct pusherc_app_request {
    struct pc_pending pending;
    struct pc_engine *engine; /* valid while the mailbox is open */
    pusherc_slice id, key;    /* one of them is set */
    char text[PC_APP_ID_MAX]; /* storage of `id` or `key` */
};

/* What a client gets after PUSHERC_ELIMIT. */
#define PC_FIND_APP_TOO_MANY "Too many unknown apps were asked for from this address"

/* Waits with `await`; pc_find_app_ask() or pc_pending_cancel() follows. `address`: of the client. 0; PUSHERC_ENOENT:
 * there is no such app: the host has no such hook or has said so lately, or the name is none; PUSHERC_ELIMIT: too many
 * of the client's apps are unknown; PUSHERC_ENOMEM. */
PC_CHECKED int pc_find_app_new(struct pusherc_app_request **out, struct pc_worker *worker,
                               struct pc_await *await, struct pc_address address, pusherc_slice id,
                               pusherc_slice key);
/* Calls the hook. */
void pc_find_app_ask(struct pusherc_app_request *request);

#endif
