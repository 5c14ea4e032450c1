#include "session/change.h"

#include "session/grant.h"
#include "session/session.h"

struct pc_change *pc_change_new(struct pc_engine *engine, const struct pc_grant_filter *filter,
                                pusherc_slice channel, pusherc_slice reason)
{
    pusherc_slice *copies[4];
    size_t count = 0, len = filter->user_id.len + filter->pattern.len + channel.len + reason.len;
    struct pc_change *change = pc_alloc_zero(&engine->mem, sizeof *change + len);
    if (!change)
        return NULL;
    change->mem = engine->mem;
    change->engine = engine;
    change->filter = *filter;
    change->channel = channel;
    change->reason = reason;
    copies[count++] = &change->filter.user_id;
    copies[count++] = &change->filter.pattern;
    copies[count++] = &change->channel;
    copies[count++] = &change->reason;
    char *at = change->text;
    for (size_t i = 0; i < count; i++) {
        if (copies[i]->len)
            copies[i]->ptr = memcpy(at, copies[i]->ptr, copies[i]->len);
        at += copies[i]->len;
    }
    atomic_init(&change->open, 1);
    return change;
}

static void change_free(struct pc_change *change)
{
    struct pc_mem mem = change->mem;
    pc_order_free(&change->order);
    pc_free(&mem, change->remembered);
    pc_free(&mem, change);
}

void pc_change_report(struct pc_change *change)
{
    if (atomic_fetch_sub_explicit(&change->open, 1, memory_order_acq_rel) != 1)
        return;
    if (change->done)
        change->done(atomic_load(&change->kept), atomic_load(&change->revoked), change->user_data);
    change_free(change);
}

static struct pc_session *session_at(struct pc_list *link)
{
    return PC_CONTAINER(link, struct pc_session, of_worker);
}

static void second_round(struct pc_order *order, struct pc_worker *worker)
{
    struct pc_change *change = PC_CONTAINER(order, struct pc_change, order);
    uint64_t remembered = change->remembered[worker->index];
    if (worker->remembered == remembered)
        return;
    for (struct pc_list *l = worker->sessions.next; l != &worker->sessions; l = l->next)
        pc_grants_recheck(session_at(l), change, remembered);
}

static void second_done(struct pc_order *order)
{
    pc_change_report(PC_CONTAINER(order, struct pc_change, order));
}

static void take_away(struct pc_session *s, const struct pc_change *change)
{
    if (s->app->live->uid == change->filter.app_uid)
        pc_grant_revoke(s, change->channel, change->reason);
}

static void take_away_from_user(struct pc_worker *worker, const struct pc_change *change)
{
    for (struct pc_list *l = worker->sessions.next; l != &worker->sessions; l = l->next) {
        struct pc_session *s = session_at(l);
        const struct pc_grant *grant = pc_grant_find(s, change->channel);
        const struct pc_identity *who = grant ? pc_grant_identity(grant) : pc_session_identity(s);
        if (who && pc_slice_eq(who->user_id, change->filter.user_id))
            take_away(s, change);
    }
}

static void first_round(struct pc_order *order, struct pc_worker *worker)
{
    struct pc_change *change = PC_CONTAINER(order, struct pc_change, order);
    change->remembered[worker->index] = worker->remembered;
    pc_decisions_outdate(worker, &change->filter);
    if (change->channel.len && change->filter.user_id.len) {
        take_away_from_user(worker, change);
    } else if (change->channel.len) {
        struct pc_session *s = pc_session_find(worker, change->socket_id);
        if (s)
            take_away(s, change);
    } else { /* losing a grant closes no session */
        for (struct pc_list *l = worker->sessions.next; l != &worker->sessions; l = l->next)
            pc_grants_recheck(session_at(l), change, PC_ALL_GRANTS);
    }
}

static void first_done(struct pc_order *order)
{
    order->run = second_round;
    order->done = second_done;
    pc_order_send(order);
}

int pc_change_send(struct pc_change *change)
{
    struct pc_engine *engine = change->engine;
    change->remembered =
        pc_alloc_array(&change->mem, engine->worker_count, sizeof *change->remembered);
    if (!change->remembered || pc_order_init(&change->order, engine)) {
        change_free(change);
        return PUSHERC_ENOMEM;
    }
    change->order.run = first_round;
    change->order.done = first_done;
    pc_order_send(&change->order);
    return 0;
}
