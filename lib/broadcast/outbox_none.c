/* Replaces outbox.c and outbox_table.c in a library without SQLite. */
#include <pusherc/outbox.h>

#include "base/log.h"

static int missing(pusherc_errinfo *info)
{
    return pc_errinfo(info, PUSHERC_ENOSYS, 0, "this library was built without SQLite");
}

int pusherc_outbox_prepare(struct sqlite3 *db, pusherc_errinfo *info)
{
    (void)db;
    return missing(info);
}

int pusherc_outbox_put(struct sqlite3 *db, const pusherc_event *events, size_t count,
                       pusherc_errinfo *info)
{
    (void)db;
    (void)events;
    (void)count;
    return missing(info);
}

int pusherc_outbox_new(pusherc_outbox **out, const pusherc_outbox_options *options,
                       pusherc_errinfo *info)
{
    (void)options;
    if (out)
        *out = NULL;
    return missing(info);
}

void pusherc_outbox_wake(pusherc_outbox *outbox)
{
    (void)outbox;
}

void pusherc_outbox_free(pusherc_outbox *outbox)
{
    (void)outbox;
}

int pusherc_outbox_read_stats(pusherc_outbox *outbox, pusherc_outbox_stats *out)
{
    (void)outbox;
    (void)out;
    return PUSHERC_EINVAL;
}
