/*
 * The one way by which other threads reach a worker: a bounded queue of mails.
 *
 * Posting appends under a mutex, a few instructions. The worker takes the whole queue under the same mutex and runs
 * the mails without it, in the order in which they were posted. It runs PC_MAIL_PORTION of them at a time, fewer if
 * their time ends before, and writes to the clients in between: one client that leaves ten thousand channels, or loses
 * them, makes as many mails, and what they bring would not fit into the queue of a client that reads as fast as it can.
 * Only the post that finds the queue empty wakes the worker, because a queue with mail has been announced already; so a
 * burst costs one wake-up. The worker empties the box before it sleeps, so its own posts need none. Mails live inside
 * what they carry: posting allocates nothing.
 *
 * A mail may set itself aside when it is run, in the queue of what it is for. The mailbox runs the other mails first, and
 * then one mail of each such queue in turn, so that one receiver with thousands of long mails holds up no other. The mails
 * of one receiver keep their order if each sets itself aside while others of it are. A long one may put itself back when
 * its time is over, as the first of its receiver, and go on in a later run.
 *
 * The box is reference-counted and is closed before its worker is freed. A host can therefore answer a question long
 * after the server was freed: the post fails with PUSHERC_ECANCELED.
 */
#ifndef PC_FANOUT_MAILBOX_H
#define PC_FANOUT_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/fork.h"
#include "base/list.h"
#include "base/mem.h"

struct pc_worker;
struct pc_mail_until;

/* Lives inside the object that it carries. */
struct pc_mail {
    struct pc_mail *next;
    /* Consumes the mail. worker NULL: the mailbox has been closed, or the receiver that the mail was set aside for has
     * ended, so run() only frees what the mail carries. */
    void (*run)(struct pc_mail *mail, struct pc_worker *worker);
};

enum pc_mail_kind {
    PC_MAIL_EVENT,  /* refused when the mailbox is full */
    PC_MAIL_CONTROL /* accepted even then: a stop or an answer must arrive */
};

/* The mails of one receiver that are set aside, the oldest first. Only the worker uses it. */
struct pc_aside {
    struct pc_mail *first, *last;
    struct pc_list waiting; /* in pc_mailbox.asides while there is a mail */
};

struct pc_mailbox {
    struct pc_mem mem;
    _Atomic uint32_t refs;
    pthread_mutex_t mutex; /* third and last in the lock order */
    struct pc_mail *first, **last;
    uint32_t count, max; /* count: with what is taken, and what is set aside */
    uint32_t aside_count;
    /* What the worker has taken and not run yet, before the queue; only the worker uses these. */
    struct pc_mail *taken;
    uint32_t taken_count;
    struct pc_list asides; /* the receivers whose mail is set aside; the first one is next */
    struct pc_aside ended; /* the mail of receivers that have ended */
    const struct pc_mail_until *until; /* of the run that goes on; NULL = none */
    bool behind;                       /* the latest run has left mail */
    bool
        aside_is_sure; /* in the latest run one of those ran in any case, and one of the others did not */
    uint32_t most; /* the largest value that `count` had */
    /* threads that use the worker's engine for a moment, e.g. between post and wake-up; close waits for them */
    uint32_t pins;
    bool closed;
    bool has_owner;
    pthread_t owner;
    /* The owning thread empties the box before it blocks, so its own posts do not wake it. Only that thread reads and
     * writes this. */
    bool owner_will_look;
    void (*wake)(void *ctx);
    void *wake_ctx;
    struct pc_fork_mark *mark; /* counted; NULL = none. A forked child sends nothing */
};

PC_CHECKED int pc_mailbox_new(struct pc_mailbox **out, const struct pc_mem *mem, uint32_t max,
                              void (*wake)(void *ctx), void *wake_ctx);
void pc_mailbox_ref(struct pc_mailbox *box);
void pc_mailbox_unref(struct pc_mailbox *box);
/* From now on the calling thread is the worker's. */
void pc_mailbox_own(struct pc_mailbox *box);

bool pc_mailbox_is_own(struct pc_mailbox *box); /* the calling thread is the worker's */

/* 0; PUSHERC_EBACKLOG: the box is full; PUSHERC_ECANCELED: it is closed. On failure the caller still owns the mail.
 * *wake: the caller must call pc_mailbox_wake() after it has released all locks. */
PC_CHECKED int pc_mailbox_post(struct pc_mailbox *box, struct pc_mail *mail, enum pc_mail_kind kind,
                               bool *wake);
void pc_mailbox_wake(struct pc_mailbox *box);
/* Posts and wakes, for callers that hold no lock. PUSHERC_ESTATE: this process was forked from the server's. */
PC_CHECKED int pc_mailbox_send(struct pc_mailbox *box, struct pc_mail *mail,
                               enum pc_mail_kind kind);

/* How many mails wait now, and the most that ever waited. Thread: any. */
void pc_mailbox_depth(struct pc_mailbox *box, uint32_t *now, uint32_t *most);
/* Runs up to PC_MAIL_PORTION of the mails that wait now; false if there were none. Mails that arrive meanwhile wait for
 * the next call. */
#define PC_MAIL_PORTION 512
bool pc_mailbox_run(struct pc_mailbox *box, struct pc_worker *worker);
/* The same, but when clock_ns() is at ends_ns or later, what has not run waits for the next call, too. One runs always:
 * one that was set aside in every other call, if there is one. */
bool pc_mailbox_run_until(struct pc_mailbox *box, struct pc_worker *worker,
                          uint64_t (*clock_ns)(void), uint64_t ends_ns);

static inline void pc_aside_init(struct pc_aside *aside)
{
    aside->first = aside->last = NULL;
    pc_list_init(&aside->waiting);
}
static inline bool pc_aside_waits(const struct pc_aside *aside)
{
    return aside->first != NULL;
}
/* Called in the run() of the mail, which is not consumed then: `later` is its run() from now on. It still counts as mail
 * in the box. */
void pc_mailbox_set_aside(struct pc_mailbox *box, struct pc_aside *aside, struct pc_mail *mail,
                          void (*later)(struct pc_mail *mail, struct pc_worker *worker));
/* The same for a mail that has run in part: it is the first of its receiver again. */
void pc_mailbox_put_back(struct pc_mailbox *box, struct pc_aside *aside, struct pc_mail *mail,
                         void (*later)(struct pc_mail *mail, struct pc_worker *worker));
/* A long mail asks while it runs. False: it should put itself back and leave the rest for another run. */
bool pc_mailbox_has_time(const struct pc_mailbox *box);
/* The receiver ends: its mails are freed in the next run, before others run. */
void pc_mailbox_end_aside(struct pc_mailbox *box, struct pc_aside *aside);
/* True: the engine stays until pc_mailbox_unpin(), because closing waits for it. The caller must not block meanwhile.
 * False: the box is closed, or this process was forked from the server's. */
bool pc_mailbox_pin(struct pc_mailbox *box);
void pc_mailbox_unpin(struct pc_mailbox *box);
/* Refuses all later posts, waits for pins, and runs the remaining mails with worker NULL. */
void pc_mailbox_close(struct pc_mailbox *box);

#endif
