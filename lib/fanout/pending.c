#include "fanout/pending.h"

#include <pusherc/error.h>

static void pending_free(struct pc_pending *pending)
{
    struct pc_mem mem = pending->mem;
    if (pending->dispose)
        pending->dispose(pending);
    pc_mailbox_unref(pending->box);
    pc_free(&mem, pending);
}

static void arrive(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pc_pending *pending = PC_CONTAINER(mail, struct pc_pending, mail);
    struct pc_await *await = worker ? pending->await : NULL;
    if (await) {
        await->pending = NULL;
        pending->await = NULL;
        await->resume(await, pending);
    }
    pending_free(pending);
}

void pc_pending_begin(struct pc_pending *pending, struct pc_worker *worker, struct pc_await *await)
{
    pending->mem = *worker->mem;
    pending->box = worker->mailbox;
    pc_mailbox_ref(pending->box);
    pending->mail.run = arrive;
    pending->await = await;
    await->pending = pending;
}

int pc_pending_answer(struct pc_pending *pending)
{
    if (atomic_load_explicit(&pending->gone, memory_order_acquire) ||
        pc_mailbox_send(pending->box, &pending->mail, PC_MAIL_CONTROL)) {
        pending_free(pending);
        return PUSHERC_ECANCELED;
    }
    return 0;
}

void pc_await_abandon(struct pc_await *await)
{
    struct pc_pending *pending = await->pending;
    if (!pending)
        return;
    await->pending = NULL;
    pending->await = NULL;
    atomic_store_explicit(&pending->gone, true, memory_order_release);
}

void pc_pending_cancel(struct pc_pending *pending)
{
    pc_await_abandon(pending->await);
    pending_free(pending);
}
