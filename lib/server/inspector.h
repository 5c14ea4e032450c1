/* What the inspector shows, as one JSON text: the page is in api/inspector.h. */
#ifndef PC_SERVER_INSPECTOR_H
#define PC_SERVER_INSPECTOR_H

#include "server/server.h"

/* The longest lists of one answer. Each says how many items there are in all. */
#define PC_INSPECTOR_APPS        100
#define PC_INSPECTOR_CHANNELS    100 /* those with most subscriptions */
#define PC_INSPECTOR_CONNECTIONS 100
#define PC_INSPECTOR_MEMBERS     100

#ifdef PC_WITH_INSPECTOR

/* A struct pc_inspector_page.write; `ctx` is the server. It walks over the channels and connections of one app. */
int pc_server_write_state(void *ctx, const struct pc_inspector_query *query, struct pc_buf *out);

#else

static inline int pc_server_write_state(void *ctx, const struct pc_inspector_query *query,
                                        struct pc_buf *out)
{
    (void)ctx, (void)query, (void)out;
    return PUSHERC_ENOSYS;
}

#endif

#endif
