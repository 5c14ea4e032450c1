#include "fanout/inbox.h"

#include <string.h>

#include "base/stat.h"

int pc_inbox_new(struct pusherc_inbox **out, const struct pc_mem *mem, uint32_t max)
{
    struct pusherc_inbox *inbox = *out = pc_alloc_zero(mem, sizeof *inbox);
    if (!inbox)
        return PUSHERC_ENOMEM;
    inbox->mark = pc_fork_mark_new();
    if (!inbox->mark || !pc_doorbell_open(&inbox->bell)) {
        int err = inbox->mark ? PUSHERC_EIO : PUSHERC_ENOMEM;
        pc_fork_mark_unref(inbox->mark);
        pc_free(mem, inbox);
        *out = NULL;
        return err;
    }
    inbox->mem = *mem;
    inbox->max = max;
    atomic_init(&inbox->refs, 1);
    pthread_mutex_init(&inbox->mutex, NULL);
    pc_list_init(&inbox->letters);
    pc_list_init(&inbox->taken);
    return 0;
}

void pc_inbox_ref(struct pusherc_inbox *inbox)
{
    atomic_fetch_add_explicit(&inbox->refs, 1, memory_order_relaxed);
}

void pc_inbox_unref(struct pusherc_inbox *inbox)
{
    if (atomic_fetch_sub_explicit(&inbox->refs, 1, memory_order_acq_rel) != 1)
        return;
    if (!pc_forked(inbox->mark))
        pthread_mutex_destroy(&inbox->mutex);
    pc_fork_mark_unref(inbox->mark);
    struct pc_mem mem = inbox->mem;
    pc_free(&mem, inbox);
}

uint32_t pc_inbox_depth(struct pusherc_inbox *inbox)
{
    pthread_mutex_lock(&inbox->mutex);
    uint32_t count = inbox->count;
    pthread_mutex_unlock(&inbox->mutex);
    return count;
}

static struct pc_letter *first_of(struct pc_list *letters)
{
    return PC_CONTAINER(letters->next, struct pc_letter, link);
}

/* -- in and out, locked -- */

static void append(struct pusherc_inbox *inbox, struct pc_letter *letter,
                   enum pc_letter_state state)
{
    letter->state = state;
    pc_list_push_back(&inbox->letters, &letter->link);
    if (inbox->count++ == 0)
        pc_doorbell_ring(&inbox->bell);
}

static void take_out(struct pusherc_inbox *inbox, struct pc_letter *letter)
{
    letter->state = PC_LETTER_OUT;
    pc_list_remove(&letter->link);
    if (--inbox->count == 0)
        pc_doorbell_hush(&inbox->bell);
}

static bool has_room(const struct pusherc_inbox *inbox)
{
    return !inbox->closed && inbox->count < inbox->max;
}

/* -- putting -- */

static void refuse(struct pc_letter *letter, struct pc_inbox_stats *stats)
{
    pc_stat_add_shared(letter->message.id ? &stats->refused : &stats->dropped, 1);
    letter->unwanted(letter);
}

void pc_inbox_put(struct pusherc_inbox *inbox, struct pc_letter *notice, bool always,
                  struct pc_inbox_stats *stats)
{
    if (pc_forked(inbox->mark)) {
        notice->unwanted(notice);
        return;
    }
    pthread_mutex_lock(&inbox->mutex);
    bool fits = has_room(inbox) || (always && !inbox->closed);
    if (fits)
        append(inbox, notice, PC_LETTER_WAITS);
    pthread_mutex_unlock(&inbox->mutex);
    if (!fits)
        refuse(notice, stats);
}

void pc_lane_init(struct pc_lane *lane, struct pusherc_inbox *inbox, struct pc_inbox_stats *stats)
{
    lane->inbox = inbox;
    lane->stats = stats;
    pc_list_init(&lane->letters);
}

void pc_lane_add(struct pc_lane *lane, struct pc_letter *letter)
{
    if (letter->message.id) {
        letter->inbox = lane->inbox;
        pc_inbox_ref(lane->inbox);
    }
    letter->state = PC_LETTER_GATHERED; /* no other thread knows it yet */
    pc_list_push_back(&lane->letters, &letter->link);
}

bool pc_lane_flush(struct pc_lane *lane)
{
    struct pusherc_inbox *inbox = lane->inbox;
    struct pc_list *letters = &lane->letters;
    if (pc_list_empty(letters) || pc_forked(inbox->mark))
        return false;
    pthread_mutex_lock(&inbox->mutex);
    while (!pc_list_empty(letters) && has_room(inbox)) {
        struct pc_letter *letter = first_of(letters);
        pc_list_remove(&letter->link);
        append(inbox, letter, PC_LETTER_WAITS);
    }
    PC_LIST_EACH(l, letters)
        PC_CONTAINER(l, struct pc_letter, link)->state = PC_LETTER_OUT;
    pthread_mutex_unlock(&inbox->mutex);
    bool refused = !pc_list_empty(letters);
    while (!pc_list_empty(letters)) {
        struct pc_letter *letter = first_of(letters);
        pc_list_remove(&letter->link);
        refuse(letter, lane->stats);
    }
    return refused;
}

/* -- taking -- */

static void free_taken(struct pusherc_inbox *inbox)
{
    while (!pc_list_empty(&inbox->taken)) {
        struct pc_letter *notice = first_of(&inbox->taken);
        pc_list_remove(&notice->link);
        notice->unwanted(notice);
    }
}

/* As many bytes as both know. */
static void write_out(const pusherc_message *message, void *out, size_t size)
{
    const size_t known = size < sizeof *message ? size : sizeof *message;
    memcpy(out, message, known);
    memset((char *)out + known, 0, size - known);
    if (size >= sizeof known)
        memcpy(out, &known, sizeof known);
}

static pusherc_message abandoned(const pusherc_message *question)
{
    return (pusherc_message){.type = PUSHERC_MESSAGE_ABANDONED,
                             .id = question->id,
                             .user_data = question->user_data,
                             .server = question->server};
}

size_t pc_inbox_take(struct pusherc_inbox *inbox, void *out, size_t message_size, size_t capacity)
{
    size_t n = 0;
    if (pc_forked(inbox->mark))
        return 0;
    free_taken(inbox);
    pthread_mutex_lock(&inbox->mutex);
    for (; n < capacity && inbox->count > 0; n++) {
        struct pc_letter *letter = first_of(&inbox->letters);
        const pusherc_message again = abandoned(&letter->message);
        bool told_before = letter->state == PC_LETTER_ABANDONED;
        write_out(told_before ? &again : &letter->message, (char *)out + n * message_size,
                  message_size);
        take_out(inbox, letter);
        if (!letter->message.id)
            pc_list_push_back(&inbox->taken, &letter->link);
    }
    pthread_mutex_unlock(&inbox->mutex);
    return n;
}

/* -- questions that end -- */

void pc_letter_abandon(struct pc_letter *letter)
{
    struct pusherc_inbox *inbox = letter->inbox;
    bool take_back = false;
    pthread_mutex_lock(&inbox->mutex);
    switch (letter->state) {
    case PC_LETTER_GATHERED:
        letter->state = PC_LETTER_OUT;
        pc_list_remove(&letter->link);
        take_back = true;
        break;
    case PC_LETTER_WAITS:
        take_out(inbox, letter);
        take_back = true;
        break;
    case PC_LETTER_OUT:
        if (letter->tell_abandoned && !inbox->closed)
            append(inbox, letter, PC_LETTER_ABANDONED);
        break;
    case PC_LETTER_ABANDONED:
    case PC_LETTER_ANSWERED:
        break;
    }
    pthread_mutex_unlock(&inbox->mutex);
    if (take_back)
        letter->unwanted(letter);
}

void pc_letter_answered(struct pc_letter *letter)
{
    struct pusherc_inbox *inbox = letter->inbox;
    if (!pc_forked(inbox->mark)) {
        pthread_mutex_lock(&inbox->mutex);
        if (letter->state == PC_LETTER_ABANDONED)
            take_out(inbox, letter);
        letter->state = PC_LETTER_ANSWERED;
        pthread_mutex_unlock(&inbox->mutex);
    }
    pc_inbox_unref(inbox);
}

/* Refuses what waits. */
static void empty(struct pusherc_inbox *inbox)
{
    struct pc_list mine;
    pc_list_init(&mine);
    pthread_mutex_lock(&inbox->mutex);
    while (inbox->count > 0) {
        struct pc_letter *letter = first_of(&inbox->letters);
        bool told_before = letter->state == PC_LETTER_ABANDONED;
        take_out(inbox, letter);
        if (!told_before) /* otherwise it is the host's, who may be answering it */
            pc_list_push_back(&mine, &letter->link);
    }
    inbox->closed = true;
    pc_doorbell_close(&inbox->bell);
    pthread_mutex_unlock(&inbox->mutex);
    while (!pc_list_empty(&mine)) {
        struct pc_letter *letter = first_of(&mine);
        pc_list_remove(&letter->link);
        letter->unwanted(letter);
    }
    free_taken(inbox);
}

void pc_inbox_close(struct pusherc_inbox *inbox)
{
    if (pc_forked(inbox->mark))
        pc_doorbell_close(&inbox->bell); /* the letters are the parent's */
    else
        empty(inbox);
    pc_inbox_unref(inbox);
}
