/*
 * What the server is asked to publish is also sent elsewhere: `pusherc serve --forward URL`. The events of one app go
 * through a broadcaster's queue, so that a slow or broken receiver delays and fails nothing here.
 */
#ifndef CLI_FORWARD_H
#define CLI_FORWARD_H

#include <stdatomic.h>

#include <pusherc/broadcast.h>
#include <pusherc/server.h>

struct cli_forward {
    pusherc_broadcaster *broadcaster; /* NULL = nothing is forwarded */
    char *app_id;                     /* owned: the server's apps may be read again */
    _Atomic uint64_t refused;         /* events that the queue did not take */
    _Atomic int64_t told_s;           /* when that was said last */
};

/* Makes the broadcaster. 0, or as pusherc_broadcaster_new(). */
int cli_forward_open(struct cli_forward *forward, const char *url, const char *app_id,
                     const pusherc_server_options *server, pusherc_errinfo *info);
/* Forwards an event if it is of that app. For the hook on_publish, on any worker. */
void cli_forward_event(struct cli_forward *forward, const pusherc_incoming *event);
/* Sends what waits; the server has been freed. Harmless on zeros. */
void cli_forward_close(struct cli_forward *forward);

#endif
