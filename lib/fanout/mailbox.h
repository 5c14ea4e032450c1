/*
 * The one way into a worker from elsewhere: a bounded queue, and a wake-up that is sent only when the
 * queue was empty and the sender is another thread. Counted, and closed before its worker goes, so that
 * a host may answer a question long after the server was freed.
 */
#ifndef PC_FANOUT_MAILBOX_H
#define PC_FANOUT_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "base/mem.h"

struct pc_worker;

/* Lives inside what it carries. */
struct pc_mail {
    struct pc_mail *next;
    /* Consumes the mail. worker NULL: the mailbox was closed meanwhile, only let go of everything. */
    void (*run)(struct pc_mail *mail, struct pc_worker *worker);
};

enum pc_mail_kind {
    PC_MAIL_EVENT,  /* refused when the mailbox is full */
    PC_MAIL_CONTROL /* never refused: a stop or an answer must arrive */
};

struct pc_mailbox {
    struct pc_mem mem;
    _Atomic uint32_t refs;
    pthread_mutex_t mutex; /* third and last in the lock order */
    struct pc_mail *first, **last;
    uint32_t count, max;
    uint32_t most; /* that count has been */
    /* threads that rely on the worker's engine for a moment, e.g. between post and wake-up */
    uint32_t pins;
    bool closed;
    bool has_owner;
    pthread_t owner;
    /* the owner looks here before it sleeps: its own posts need no wake-up. Only it reads and writes this */
    bool owner_will_look;
    void (*wake)(void *ctx);
    void *wake_ctx;
};

PC_CHECKED int pc_mailbox_new(struct pc_mailbox **out, const struct pc_mem *mem, uint32_t max,
                              void (*wake)(void *ctx), void *wake_ctx);
void pc_mailbox_ref(struct pc_mailbox *box);
void pc_mailbox_unref(struct pc_mailbox *box);
/* The calling thread is the worker's from now on. */
void pc_mailbox_own(struct pc_mailbox *box);

/* 0; PUSHERC_EBACKLOG; PUSHERC_ECANCELED if closed. On failure the mail is still the caller's. *wake tells
 * whether pc_mailbox_wake() must follow, after all locks have been let go. */
PC_CHECKED int pc_mailbox_post(struct pc_mailbox *box, struct pc_mail *mail, enum pc_mail_kind kind,
                               bool *wake);
void pc_mailbox_wake(struct pc_mailbox *box);
/* Both, for callers without locks. */
PC_CHECKED int pc_mailbox_send(struct pc_mailbox *box, struct pc_mail *mail,
                               enum pc_mail_kind kind);

/* How much is in it, and the most that ever was. Thread: any. */
void pc_mailbox_depth(struct pc_mailbox *box, uint32_t *now, uint32_t *most);
/* Runs what is there now; false if there was nothing. Mail that arrives meanwhile waits for the next call. */
bool pc_mailbox_run(struct pc_mailbox *box, struct pc_worker *worker);
/* While true was returned and unpin not called, close waits: the engine stays. Not for anything that blocks. */
bool pc_mailbox_pin(struct pc_mailbox *box);
void pc_mailbox_unpin(struct pc_mailbox *box);
/* Nothing can be posted afterwards; what is there runs with worker NULL. Waits for pins. */
void pc_mailbox_close(struct pc_mailbox *box);

#endif
