/*
 * What waits for a host that takes messages instead of being called (pusherc/inbox.h): a bounded queue of letters, with
 * a descriptor that is readable as long as one waits. What letters say is written in server/inbox.c.
 *
 * A worker gathers its letters in a lane and puts them in one go at the end of its turn (pc_lane_flush()), so the host is
 * woken once for all of them. Other threads put letters one by one (pc_inbox_put()). Nothing is allocated: a question's
 * letter is a part of struct pc_pending, and a notice is a letter with its text behind it.
 *
 * The letter of a question stays with it until the answer, because it may have to be put a second time: if the host has
 * taken the question and nothing waits for its answer any more (pc_letter_abandon()). The answer takes it out again
 * (pc_letter_answered()), so the host is never told of a question that it has answered. A question that is abandoned
 * before the host has taken it is taken back, and the host does not hear of it.
 *
 * An inbox is counted: by its host, by each server and by each letter of a question. So they end in any order.
 *
 * A forked child shares the descriptor with its parent, and may have the mutex locked for ever. It takes, puts and
 * answers nothing here.
 */
#ifndef PC_FANOUT_INBOX_H
#define PC_FANOUT_INBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include <pusherc/inbox.h>

#include "base/doorbell.h"
#include "base/fork.h"
#include "base/list.h"
#include "base/mem.h"

enum pc_letter_state {
    PC_LETTER_OUT =
        0, /* was never put, or was taken, or is in the hands of the thread that took it out */
    PC_LETTER_GATHERED,  /* in a lane */
    PC_LETTER_WAITS,     /* in the inbox */
    PC_LETTER_ABANDONED, /* was taken, and is in the inbox again */
    PC_LETTER_ANSWERED
};

struct pc_letter {
    struct pc_list link;
    struct pusherc_inbox *inbox; /* of a question that was put: counted until the answer */
    enum pc_letter_state state;  /* guarded by the inbox's mutex */
    bool tell_abandoned;         /* the host wants to hear of it */
    /* The host does not get it: answers the question as silence would, or frees the notice. Thread: any. */
    void (*unwanted)(struct pc_letter *letter);
    pusherc_message message; /* id 0: a notice */
};

struct pusherc_inbox {
    struct pc_mem mem;
    _Atomic uint32_t refs;
    struct pc_fork_mark *mark;      /* counted: of the process that made it */
    _Atomic uint64_t last_question; /* number of the latest question of its servers */
    /* Guards the rest but `taken`; leaf. It is held over the bell's system calls, which do not block: only so the bell
     * rings exactly as long as a letter waits. */
    pthread_mutex_t mutex;
    struct pc_doorbell bell;
    struct pc_list letters;
    uint32_t count, max;  /* of `letters` */
    bool closed;          /* the host has freed it */
    struct pc_list taken; /* notices that the host reads; only the thread that takes */
};

/* What the host did not get; any thread counts. */
struct pc_inbox_stats {
    _Atomic uint64_t refused, dropped; /* questions; notices */
};

/* One worker's letters of this turn. Only the worker uses it. */
struct pc_lane {
    struct pusherc_inbox *inbox;  /* borrowed */
    struct pc_inbox_stats *stats; /* borrowed */
    struct pc_list letters;
};

/* 0, PUSHERC_ENOMEM or PUSHERC_EIO. */
PC_CHECKED int pc_inbox_new(struct pusherc_inbox **out, const struct pc_mem *mem, uint32_t max);
void pc_inbox_ref(struct pusherc_inbox *inbox);
void pc_inbox_unref(struct pusherc_inbox *inbox);
/* The host is gone: refuses all letters that wait, and all later ones. */
void pc_inbox_close(struct pusherc_inbox *inbox);
uint32_t pc_inbox_depth(struct pusherc_inbox *inbox);

/* Fills out[i] for each letter taken; notices are valid until the next call. */
size_t pc_inbox_take(struct pusherc_inbox *inbox, void *out, size_t message_size, size_t capacity);
/* Any thread. Puts a notice; `always`: also above the maximum. Refuses it otherwise. */
void pc_inbox_put(struct pusherc_inbox *inbox, struct pc_letter *notice, bool always,
                  struct pc_inbox_stats *stats);

void pc_lane_init(struct pc_lane *lane, struct pusherc_inbox *inbox, struct pc_inbox_stats *stats);
/* Takes over a notice, or the question that the letter is a part of. */
void pc_lane_add(struct pc_lane *lane, struct pc_letter *letter);
/* Puts all that was gathered. True: some of it was refused, so questions have been answered. */
bool pc_lane_flush(struct pc_lane *lane);

/* A question's: nothing waits for the answer any more. Thread: the worker's. The letter may be gone after it. */
void pc_letter_abandon(struct pc_letter *letter);
/* A question's: the answer has come. Thread: any. */
void pc_letter_answered(struct pc_letter *letter);

#endif
