/*
 * Letters of an inbox: questions and notices that are gathered, put, taken, abandoned, answered and refused, and the
 * inbox freed at any moment, compared with a list of what should wait. After every step the descriptor is readable
 * exactly if a letter waits, and at the end each question was answered once, by the host or by silence.
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "fanout/inbox.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define QUESTIONS 16
#define NOTICES   64
#define MAX       6

enum stage {
    UNUSED = 0,
    GATHERED,
    WAITS,
    HELD, /* by the host */
    TOLD, /* ABANDONED waits, or was taken: see `waiting` */
    ENDED
};

struct question {
    struct pc_letter letter;
    enum stage stage;
    bool abandoned;
    unsigned answers;
};

struct notice {
    struct pc_letter letter;
    bool live;
};

struct world {
    pusherc_inbox *inbox;
    struct pc_lane lane;
    struct pc_inbox_stats stats;
    struct question questions[QUESTIONS];
    struct notice notices[NOTICES];
    size_t notice_count;
    struct pc_letter *waiting[QUESTIONS + NOTICES], *gathered[QUESTIONS + NOTICES];
    size_t waiting_count, gathered_count;
    bool closed;
};

static void forget(struct pc_letter **list, size_t *count, const struct pc_letter *letter)
{
    for (size_t i = 0; i < *count; i++) {
        if (list[i] != letter)
            continue;
        memmove(list + i, list + i + 1, (*count - i - 1) * sizeof *list);
        --*count;
        return;
    }
    REQUIRE(false); /* the letter waits */
}

static void silenced(struct pc_letter *letter)
{
    struct question *q = PC_CONTAINER(letter, struct question, letter);
    q->answers++;
    q->stage = ENDED;
    pc_letter_answered(letter);
}

static void freed(struct pc_letter *letter)
{
    struct notice *n = PC_CONTAINER(letter, struct notice, letter);
    REQUIRE(n->live);
    n->live = false;
}

static void check(struct world *w)
{
    if (w->closed)
        return;
    struct pollfd bell = {.fd = pusherc_inbox_fd(w->inbox), .events = POLLIN};
    REQUIRE(pc_inbox_depth(w->inbox) == w->waiting_count);
    REQUIRE((poll(&bell, 1, 0) == 1) == (w->waiting_count > 0));
}

static void ask(struct world *w, struct question *q)
{
    if (q->stage != UNUSED && q->stage != ENDED)
        return;
    memset(q, 0, sizeof *q);
    q->letter.message.id = (uint64_t)(q - w->questions) + 1;
    q->letter.message.type = PUSHERC_MESSAGE_AUTHORIZE;
    q->letter.tell_abandoned = true;
    q->letter.unwanted = silenced;
    q->stage = GATHERED;
    w->gathered[w->gathered_count++] = &q->letter;
    pc_lane_add(&w->lane, &q->letter);
}

static void tell(struct world *w, bool always)
{
    if (w->notice_count == NOTICES)
        return;
    struct notice *n = &w->notices[w->notice_count++];
    n->live = true;
    n->letter.unwanted = freed;
    n->letter.message.type = PUSHERC_MESSAGE_LOG;
    if (!w->closed && (always || w->waiting_count < MAX))
        w->waiting[w->waiting_count++] = &n->letter;
    pc_inbox_put(w->inbox, &n->letter, always, &w->stats);
    REQUIRE(n->live == (w->waiting_count > 0 && w->waiting[w->waiting_count - 1] == &n->letter));
}

static void flush(struct world *w)
{
    size_t room = w->closed || w->waiting_count > MAX ? 0 : MAX - w->waiting_count;
    for (size_t i = 0; i < w->gathered_count && i < room; i++) {
        w->waiting[w->waiting_count++] = w->gathered[i];
        PC_CONTAINER(w->gathered[i], struct question, letter)->stage = WAITS;
    }
    REQUIRE(pc_lane_flush(&w->lane) == (w->gathered_count > room));
    for (size_t i = room; i < w->gathered_count; i++)
        REQUIRE(PC_CONTAINER(w->gathered[i], struct question, letter)->stage == ENDED);
    w->gathered_count = 0;
}

static void took(struct world *w, const pusherc_message *message)
{
    struct pc_letter *letter = w->waiting[0];
    forget(w->waiting, &w->waiting_count, letter);
    REQUIRE(message->id == letter->message.id);
    if (!message->id)
        return;
    struct question *q = PC_CONTAINER(letter, struct question, letter);
    REQUIRE(q->answers == 0);
    REQUIRE(message->type ==
            (q->stage == TOLD ? PUSHERC_MESSAGE_ABANDONED : PUSHERC_MESSAGE_AUTHORIZE));
    if (q->stage == WAITS)
        q->stage = HELD;
    else
        q->stage = HELD, q->abandoned = true;
}

static void take(struct world *w, size_t capacity)
{
    pusherc_message out[8];
    if (w->closed)
        return;
    size_t expected = w->waiting_count < capacity ? w->waiting_count : capacity;
    REQUIRE(pusherc_inbox_take(w->inbox, out, sizeof *out, capacity, 0) == expected);
    for (size_t i = 0; i < expected; i++)
        took(w, &out[i]);
}

/* What leave() in pending.c does: at most once, and not after the answer. */
static void abandon(struct world *w, struct question *q)
{
    enum stage before = q->stage;
    if (before == UNUSED || before == ENDED || before == TOLD || q->abandoned)
        return;
    if (before == GATHERED)
        forget(w->gathered, &w->gathered_count, &q->letter);
    else if (before == WAITS)
        forget(w->waiting, &w->waiting_count, &q->letter);
    else if (!w->closed)
        w->waiting[w->waiting_count++] = &q->letter;
    q->abandoned = before == HELD && w->closed;
    if (before == HELD && !w->closed)
        q->stage = TOLD;
    pc_letter_abandon(&q->letter);
    REQUIRE(q->answers == (before == GATHERED || before == WAITS));
}

static void answer(struct world *w, struct question *q)
{
    if (q->stage != HELD && q->stage != TOLD)
        return;
    if (q->stage == TOLD)
        forget(w->waiting, &w->waiting_count, &q->letter);
    q->answers++;
    q->stage = ENDED;
    pc_letter_answered(&q->letter);
}

static void free_inbox(struct world *w)
{
    if (w->closed)
        return;
    for (size_t i = 0; i < QUESTIONS; i++) /* the host has not heard of the end, and never will */
        if (w->questions[i].stage == TOLD) {
            w->questions[i].stage = HELD;
            w->questions[i].abandoned = true;
        }
    w->closed = true;
    w->waiting_count = 0;
    pusherc_inbox_free(w->inbox);
}

static void end(struct world *w)
{
    flush(w);
    for (size_t i = 0; i < QUESTIONS; i++)
        answer(w, &w->questions[i]);
    free_inbox(w);
    pc_inbox_unref(w->inbox);
    for (size_t i = 0; i < QUESTIONS; i++) {
        const struct question *q = &w->questions[i];
        REQUIRE(q->stage == UNUSED || (q->stage == ENDED && q->answers == 1));
    }
    for (size_t i = 0; i < w->notice_count; i++)
        REQUIRE(!w->notices[i].live);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    struct world *w = &world;
    struct pc_mem mem = pc_mem_make(NULL);
    memset(w, 0, sizeof *w);
    REQUIRE(pc_inbox_new(&w->inbox, &mem, MAX) == 0);
    pc_inbox_ref(w->inbox); /* the server's */
    pc_lane_init(&w->lane, w->inbox, &w->stats);
    for (size_t i = 0; i < size; i++) {
        struct question *q = &w->questions[data[i] % QUESTIONS];
        switch (data[i] / QUESTIONS) {
        case 0:
        case 1:
        case 2:
            ask(w, q);
            break;
        case 3:
        case 4:
            flush(w);
            break;
        case 5:
        case 6:
        case 7:
            take(w, 1 + data[i] % 8);
            break;
        case 8:
        case 9:
        case 10:
            abandon(w, q);
            break;
        case 11:
        case 12:
        case 13:
            answer(w, q);
            break;
        case 14:
            tell(w, data[i] % QUESTIONS == 0);
            break;
        case 15:
            if (data[i] == 0xff)
                free_inbox(w);
            break;
        default:
            break;
        }
        check(w);
    }
    end(w);
    return 0;
}
