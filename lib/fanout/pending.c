#include "fanout/pending.h"

#include <pusherc/error.h>

#include "fanout/engine.h"

static void dispose(struct pc_pending *pending)
{
    if (pending->dispose)
        pending->dispose(pending);
    pending->dispose = NULL;
}

static void pending_free(struct pc_pending *pending)
{
    struct pc_mem mem = pending->mem;
    dispose(pending);
    pc_mailbox_unref(pending->box);
    pc_free(&mem, pending);
}

/* The host has answered: the question gives its place back. */
static void stop_counting(struct pc_pending *pending, struct pc_worker *worker)
{
    if (pending->quota)
        pc_stat_sub(&worker->stats.questions, 1);
    if (pending->arrived && !pending->silent)
        pending->arrived(pending, worker);
    pc_quota_drop(pending->quota);
}

static void arrive(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_pending *pending = PC_CONTAINER(mail, struct pc_pending, mail);
    struct pc_await *await = worker ? pending->await : NULL;
    if (worker) /* otherwise the quota has gone as well */
        stop_counting(pending, worker);
    if (await) {
        await->pending = NULL;
        pending->await = NULL;
        await->resume(await, pending);
    }
    pending_free(pending);
}

void pc_pending_begin(struct pc_pending *pending, struct pc_worker *worker, struct pc_await *await,
                      struct pc_quota *quota)
{
    pending->mem = *worker->mem;
    pending->box = worker->mailbox;
    pc_mailbox_ref(pending->box);
    pending->mail.run = arrive;
    pending->await = await;
    pending->quota = quota;
    pending->worker = worker;
    await->pending = pending;
    if (!quota)
        return;
    pc_stat_add(&worker->stats.questions, 1);
    pending->number =
        1 + atomic_fetch_add_explicit(worker->engine->last_question, 1, memory_order_relaxed);
}

int pc_pending_answer(struct pc_pending *pending)
{
    int before = atomic_exchange(&pending->state, PC_PENDING_ANSWERED);
    if (before != PC_PENDING_OPEN)
        dispose(pending); /* the worker only has to count it */
    if (pending->letter.inbox)
        pc_letter_answered(&pending->letter);
    int err = pc_mailbox_send(pending->box, &pending->mail, PC_MAIL_CONTROL);
    if (err) {
        pending_free(pending);
        return err;
    }
    return before == PC_PENDING_OPEN   ? 0
           : before == PC_PENDING_LATE ? PUSHERC_ETIMEDOUT
                                       : PUSHERC_ECANCELED;
}

void pc_pending_silence(struct pc_pending *pending)
{
    pending->silent = true;
    (void)pc_pending_answer(pending);
}

/* The host may have answered, and `pending` may be gone, when this returns. */
static void tell_abandoned(struct pc_pending *pending, const pusherc_hooks *hooks)
{
    if (pending->letter.inbox)
        pc_letter_abandon(&pending->letter);
    else if (hooks->on_abandoned)
        hooks->on_abandoned(pending->number, hooks->user_data);
}

/* The one place where a question is given up while the host has it. */
static void leave(struct pc_await *await, enum pc_pending_state why)
{
    struct pc_pending *pending = await->pending;
    int open = PC_PENDING_OPEN;
    if (!pending)
        return;
    await->pending = NULL;
    pending->await = NULL;
    if (atomic_compare_exchange_strong(&pending->state, &open, (int)why) && pending->number)
        tell_abandoned(pending, pending->worker->hooks);
}

void pc_await_abandon(struct pc_await *await)
{
    leave(await, PC_PENDING_LEFT);
}

void pc_await_expire(struct pc_await *await)
{
    leave(await, PC_PENDING_LATE);
}

void pc_pending_cancel(struct pc_pending *pending, struct pc_worker *worker)
{
    pending->number = 0; /* the host has not heard of it */
    pc_await_abandon(pending->await);
    if (pending->quota)
        pc_stat_sub(&worker->stats.questions, 1);
    pc_quota_drop(pending->quota);
    pending_free(pending);
}
