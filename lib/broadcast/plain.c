/* The carriers that take an event at once: a server in this process, the log, nothing. */
#include "broadcast/carrier.h"

#include <pusherc/error.h>

#define LOG_DATA_BYTES 160 /* with names, a line of 511 */

struct local {
    struct pc_carrier carrier;
    char *app_id;
};

static void free_plain(struct pc_carrier *carrier)
{
    pc_free(&carrier->home->mem, carrier);
}

/* -- local: -- */

/* What a server that is full or not started may take later. */
static enum pc_broadcast_outcome outcome_of(int err)
{
    if (err == 0)
        return PC_BROADCAST_ACCEPTED;
    return err == PUSHERC_EBACKLOG || err == PUSHERC_ENOMEM || err == PUSHERC_ESTATE
               ? PC_BROADCAST_AWAY
               : PC_BROADCAST_REFUSED;
}

static void local_direct(struct pc_carrier *carrier, const pusherc_event *event,
                         struct pc_broadcast_answer *answer)
{
    struct local *local = PC_CONTAINER(carrier, struct local, carrier);
    int err = pusherc_publish(carrier->home->server, local->app_id, event);
    *answer = (struct pc_broadcast_answer){
        .outcome = outcome_of(err), .code = err, .reason = pc_slice_of(pusherc_strerror(err))};
}

static void local_free(struct pc_carrier *carrier)
{
    struct local *local = PC_CONTAINER(carrier, struct local, carrier);
    pc_free(&carrier->home->mem, local->app_id);
    pc_free(&carrier->home->mem, local);
}

int pc_carrier_new_local(struct pc_carrier **out, struct pc_carrier_home *home,
                         struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {.direct = local_direct, .free = local_free};
    *why = "local: needs `server`";
    if (!home->server)
        return PUSHERC_EINVAL;
    struct local *local = pc_alloc_zero(&home->mem, sizeof *local);
    if (local && !(local->app_id = pc_dup(&home->mem, url->app_id))) {
        pc_free(&home->mem, local);
        local = NULL;
    }
    if (!local)
        return PUSHERC_ENOMEM;
    local->carrier = (struct pc_carrier){.ops = &ops, .home = home, .max_events = 1};
    *out = &local->carrier;
    return 0;
}

/* -- log: -- */

/* A line for each channel; the line's length is limited, so long data is cut, with a note. */
static void log_direct(struct pc_carrier *carrier, const pusherc_event *event,
                       struct pc_broadcast_answer *answer)
{
    const struct pc_log_about about = {.subject = "broadcast"};
    const pusherc_slice data = pc_utf8_cut(event->data, LOG_DATA_BYTES);
    char note[40] = "";
    if (data.len < event->data.len)
        (void)snprintf(note, sizeof note, "... (%zu bytes)", event->data.len);
    for (size_t i = 0; i < event->channel_count; i++)
        pc_log_write_always(&carrier->home->log, PUSHERC_LOG_INFO, about, __FILE__, __LINE__,
                            "%.*s on %.*s: %.*s%s", (int)pc_utf8_cut(event->name, 100).len,
                            event->name.ptr, (int)event->channels[i].len, event->channels[i].ptr,
                            (int)data.len, data.len ? data.ptr : "", note);
    *answer = (struct pc_broadcast_answer){.outcome = PC_BROADCAST_ACCEPTED};
}

int pc_carrier_new_log(struct pc_carrier **out, struct pc_carrier_home *home,
                       struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {.direct = log_direct, .free = free_plain};
    (void)url;
    *why = "log: needs `log_fn`";
    if (!home->log.fn)
        return PUSHERC_EINVAL;
    *out = pc_alloc_zero(&home->mem, sizeof **out);
    if (!*out)
        return PUSHERC_ENOMEM;
    **out = (struct pc_carrier){.ops = &ops, .home = home, .max_events = 10};
    return 0;
}

/* -- null: -- */

static void null_direct(struct pc_carrier *carrier, const pusherc_event *event,
                        struct pc_broadcast_answer *answer)
{
    (void)carrier;
    (void)event;
    *answer = (struct pc_broadcast_answer){.outcome = PC_BROADCAST_ACCEPTED};
}

int pc_carrier_new_null(struct pc_carrier **out, struct pc_carrier_home *home,
                        struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {.direct = null_direct, .free = free_plain};
    (void)url;
    (void)why;
    *out = pc_alloc_zero(&home->mem, sizeof **out);
    if (!*out)
        return PUSHERC_ENOMEM;
    **out = (struct pc_carrier){.ops = &ops, .home = home, .max_events = 10};
    return 0;
}
