/* The question to the host (hook find_app) about an unknown app. */
#ifndef PC_SESSION_APP_REQUEST_H
#define PC_SESSION_APP_REQUEST_H

#include "fanout/engine.h"
#include "fanout/pending.h"

struct pusherc_app_request {
    struct pc_pending pending;
    struct pc_engine *engine; /* valid while the mailbox is open */
    pusherc_slice id, key;    /* one of them is set */
    char text[512];           /* storage of `id` or `key` */
};

/* Waits with `await`; pc_find_app_ask() or pc_pending_cancel() follows. NULL: the host has no such hook, the name is
 * too long for an app's, or memory ran out. */
struct pusherc_app_request *pc_find_app_new(struct pc_worker *worker, struct pc_await *await,
                                            pusherc_slice id, pusherc_slice key);
/* Calls the hook. */
void pc_find_app_ask(struct pusherc_app_request *request);

#endif
