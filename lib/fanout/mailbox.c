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
    pc_list_init(&box->asides);
    pc_aside_init(&box->ended);
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
    pc_fork_mark_unref(box->mark);
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

/* The mutex is held. */
static bool is_own(const struct pc_mailbox *box)
{
    return box->has_owner && pthread_equal(box->owner, pthread_self());
}

bool pc_mailbox_is_own(struct pc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    bool own = is_own(box);
    pthread_mutex_unlock(&box->mutex);
    return own;
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
        *wake = !box->first && !(is_own(box) && box->owner_will_look);
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
    if (pc_forked(box->mark))
        return false;
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
    if (pc_forked(box->mark))
        return PUSHERC_ESTATE;
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

/* Takes the queue, if all that was taken before has been run, and of what is taken up to `max` mails, which the caller
 * runs. Returns how many. */
static uint32_t take(struct pc_mailbox *box, uint32_t max)
{
    pthread_mutex_lock(&box->mutex);
    if (!box->taken) {
        box->taken = box->first;
        box->taken_count = box->count - box->aside_count;
        box->first = NULL;
        box->last = &box->first;
    }
    uint32_t count = box->taken_count < max ? box->taken_count : max;
    box->taken_count -= count;
    box->count -= count;
    pthread_mutex_unlock(&box->mutex);
    return count;
}

/* What was taken to be run now waits again. */
static void put_back(struct pc_mailbox *box, uint32_t count)
{
    pthread_mutex_lock(&box->mutex);
    box->taken_count += count;
    box->count += count;
    pthread_mutex_unlock(&box->mutex);
}

static void run_first(struct pc_mailbox *box, struct pc_worker *worker)
{
    struct pc_mail *mail = box->taken;
    box->taken = mail->next; /* run() frees the mail */
    mail->run(mail, worker);
}

/* -- what is set aside -- */

static void append(struct pc_aside *to, struct pc_mail *first, struct pc_mail *last)
{
    if (to->first)
        to->last->next = first;
    else
        to->first = first;
    to->last = last;
}

static void count_aside(struct pc_mailbox *box, int change)
{
    pthread_mutex_lock(&box->mutex);
    box->count += (uint32_t)change;
    box->aside_count += (uint32_t)change;
    pthread_mutex_unlock(&box->mutex);
}

static void has_one_more(struct pc_mailbox *box, struct pc_aside *aside)
{
    if (pc_list_empty(&aside->waiting))
        pc_list_push_back(&box->asides, &aside->waiting);
    count_aside(box, 1);
}

void pc_mailbox_set_aside(struct pc_mailbox *box, struct pc_aside *aside, struct pc_mail *mail,
                          void (*later)(struct pc_mail *mail, struct pc_worker *worker))
{
    mail->next = NULL;
    mail->run = later;
    append(aside, mail, mail);
    has_one_more(box, aside);
}

void pc_mailbox_put_back(struct pc_mailbox *box, struct pc_aside *aside, struct pc_mail *mail,
                         void (*later)(struct pc_mail *mail, struct pc_worker *worker))
{
    mail->next = aside->first;
    mail->run = later;
    aside->first = mail;
    if (!mail->next)
        aside->last = mail;
    has_one_more(box, aside);
}

void pc_mailbox_end_aside(struct pc_mailbox *box, struct pc_aside *aside)
{
    if (!pc_aside_waits(aside))
        return;
    append(&box->ended, aside->first, aside->last);
    pc_list_remove(&aside->waiting);
    pc_aside_init(aside);
}

static void run_first_of(struct pc_mailbox *box, struct pc_aside *aside, struct pc_worker *worker)
{
    struct pc_mail *mail = aside->first;
    aside->first = mail->next;
    pc_list_remove(&aside->waiting);
    if (aside->first && aside != &box->ended)
        pc_list_push_back(&box->asides, &aside->waiting); /* behind the other receivers */
    count_aside(box, -1);
    mail->run(mail, worker);
}

/* -- running -- */

/* When the mails' time ends; clock_ns NULL: it does not. */
struct pc_mail_until {
    uint64_t (*clock_ns)(void);
    uint64_t ends_ns;
};

static inline bool is_over(const struct pc_mail_until *until)
{
    return until->clock_ns && until->clock_ns() >= until->ends_ns;
}

bool pc_mailbox_has_time(const struct pc_mailbox *box)
{
    return !box->until || !is_over(box->until);
}

/* These two run up to `max` mails while there is time, and `sure` in any case. False: none was run. */
static inline bool run_taken(struct pc_mailbox *box, struct pc_worker *worker, uint32_t max,
                             uint32_t sure, const struct pc_mail_until *until)
{
    const uint32_t count = take(box, max);
    uint32_t n = 0;
    for (; n < count && (n < sure || !is_over(until)); n++)
        run_first(box, worker);
    if (n < count)
        put_back(box, count - n);
    return n > 0;
}

static bool run_asides(struct pc_mailbox *box, struct pc_worker *worker, uint32_t max,
                       uint32_t sure, const struct pc_mail_until *until)
{
    uint32_t n = 0;
    for (; n < max && !pc_list_empty(&box->asides) && (n < sure || !is_over(until)); n++)
        run_first_of(box, PC_CONTAINER(box->asides.next, struct pc_aside, waiting), worker);
    return n > 0;
}

static inline bool run(struct pc_mailbox *box, struct pc_worker *worker, uint32_t max,
                       const struct pc_mail_until *until)
{
    bool any = false;
    box->until = until;
    for (; pc_aside_waits(&box->ended); any = true)
        run_first_of(box, &box->ended, NULL);
    /* Any mail may take long: one runs in any case, and not one of each kind. */
    box->aside_is_sure = !box->aside_is_sure && !pc_list_empty(&box->asides);
    if (box->aside_is_sure)
        any |= run_asides(box, worker, 1, 1, until);
    any |= run_taken(box, worker, max, !box->aside_is_sure, until);
    if (!pc_list_empty(&box->asides))
        any |= run_asides(box, worker, max, !any, until);
    box->until = NULL;
    box->behind = box->taken || !pc_list_empty(&box->asides);
    return any;
}

bool pc_mailbox_run(struct pc_mailbox *box, struct pc_worker *worker)
{
    return run(box, worker, PC_MAIL_PORTION, &(struct pc_mail_until){0});
}

bool pc_mailbox_run_until(struct pc_mailbox *box, struct pc_worker *worker,
                          uint64_t (*clock_ns)(void), uint64_t ends_ns)
{
    return run(box, worker, PC_MAIL_PORTION, &(struct pc_mail_until){clock_ns, ends_ns});
}

void pc_mailbox_close(struct pc_mailbox *box)
{
    pthread_mutex_lock(&box->mutex);
    box->closed = true;
    /* Threads with a pin use the engine, which is freed after this call. They hold no lock and do not block, so this
     * wait is short. */
    while (box->pins > 0) {
        pthread_mutex_unlock(&box->mutex);
        sched_yield();
        pthread_mutex_lock(&box->mutex);
    }
    pthread_mutex_unlock(&box->mutex);
    while (run(box, NULL, UINT32_MAX, &(struct pc_mail_until){0}))
        ;
}
