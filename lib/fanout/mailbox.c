#include "fanout/mailbox.h"

#include <sched.h>

#include <pusherc/error.h>

int pc_mailbox_new(struct pc_mailbox **out, const struct pc_mem *mem, uint32_t max,
                   void (*wake)(void *ctx), void *wake_ctx)
{
    *out = NULL;
    struct pc_mailbox *box = pc_alloc_zero(mem, sizeof *box);
    if (!box)
        return PUSHERC_ENOMEM;
    box->mem = *mem;
    atomic_init(&box->refs, 1);
    pthread_mutex_init(&box->mutex, NULL);
    box->last = &box->first;
    box->max = max;
    box->wake = wake;
    box->wake_ctx = wake_ctx;
    *out = box;
    return 0;
}

void pc_mailbox_ref(struct pc_mailbox *box)
{
    atomic_fetch_add_explicit(&box->refs, 1, memory_order_relaxed);
}

void pc_mailbox_unref(struct pc_mailbox *box)
{
    if (!box || atomic_fetch_sub_explicit(&box->refs, 1, memory_order_acq_rel) != 1)
        return;
    pthread_mutex_destroy(&box->mutex);
    struct pc_mem mem = box->mem;
    pc_free(&mem, box);
}

void pc_mailbox_own(struct pc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    box->owner = pthread_self();
    box->has_owner = true;
    pthread_mutex_unlock(&box->mutex);
}

int pc_mailbox_post(struct pc_mailbox *box, struct pc_mail *mail, enum pc_mail_kind kind,
                    bool *wake)
{
    int err = 0;
    *wake = false;
    pthread_mutex_lock(&box->mutex);
    if (box->closed) {
        err = PUSHERC_ECANCELED;
    } else if (kind == PC_MAIL_EVENT && box->count >= box->max) {
        err = PUSHERC_EBACKLOG;
    } else {
        /* If the queue was not empty, the post that found it empty wakes the owner. */
        bool own = box->has_owner && pthread_equal(box->owner, pthread_self());
        *wake = !box->first && !(own && box->owner_will_look);
        box->pins += *wake;
        mail->next = NULL;
        *box->last = mail;
        box->last = &mail->next;
        if (++box->count > box->most)
            box->most = box->count;
    }
    pthread_mutex_unlock(&box->mutex);
    return err;
}

void pc_mailbox_wake(struct pc_mailbox *box)
{
    box->wake(box->wake_ctx);
    pc_mailbox_unpin(box);
}

bool pc_mailbox_pin(struct pc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    bool open = !box->closed;
    box->pins += open;
    pthread_mutex_unlock(&box->mutex);
    return open;
}

void pc_mailbox_unpin(struct pc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    box->pins--;
    pthread_mutex_unlock(&box->mutex);
}

int pc_mailbox_send(struct pc_mailbox *box, struct pc_mail *mail, enum pc_mail_kind kind)
{
    bool wake;
    int err = pc_mailbox_post(box, mail, kind, &wake);
    if (wake)
        pc_mailbox_wake(box);
    return err;
}

void pc_mailbox_depth(struct pc_mailbox *box, uint32_t *now, uint32_t *most)
{
    pthread_mutex_lock(&box->mutex);
    *now = box->count;
    *most = box->most;
    pthread_mutex_unlock(&box->mutex);
}

static struct pc_mail *take(struct pc_mailbox *box)
{
    struct pc_mail *first = box->first;
    box->first = NULL;
    box->last = &box->first;
    box->count = 0;
    return first;
}

static bool run_all(struct pc_mail *mail, struct pc_worker *worker)
{
    bool any = mail != NULL;
    while (mail) {
        struct pc_mail *next = mail->next; /* run() frees the mail */
        mail->run(mail, worker);
        mail = next;
    }
    return any;
}

bool pc_mailbox_run(struct pc_mailbox *box, struct pc_worker *worker)
{
    pthread_mutex_lock(&box->mutex);
    struct pc_mail *mail = take(box);
    pthread_mutex_unlock(&box->mutex);
    return run_all(mail, worker);
}

void pc_mailbox_close(struct pc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    box->closed = true;
    struct pc_mail *mail = take(box);
    /* Threads with a pin use the engine, which is freed after this call. They hold no lock and do not block, so this
     * wait is short. */
    while (box->pins > 0) {
        pthread_mutex_unlock(&box->mutex);
        sched_yield();
        pthread_mutex_lock(&box->mutex);
    }
    pthread_mutex_unlock(&box->mutex);
    run_all(mail, NULL);
}
