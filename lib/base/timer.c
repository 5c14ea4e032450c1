#include "base/timer.h"

#include <stdbool.h>
#include <stddef.h>

#define WORD_BITS 64

/*
 * A wheel of PC_TIMER_SLOTS lists, each for PC_TIMER_SLOT_MS of time: a timer is in the slot of its
 * deadline, modulo the wheel. A slot also holds timers of later rounds, which stay when it is visited.
 * A run visits the slots from done_ms to now, at most all of them once, and skips empty ones 64 at a
 * time by the bits of `occupied`. Invariant: each armed timer is in a slot that a later run visits, and
 * next_ms is not after the end of the first slot that holds one. Arm and stop cost O(1), a run costs the
 * timers in the slots it visits.
 */

static uint64_t slot_number(uint64_t time_ms)
{
    return time_ms / PC_TIMER_SLOT_MS;
}

static bool occupied(const struct pc_timers *timers, size_t index)
{
    return timers->occupied[index / WORD_BITS] >> (index % WORD_BITS) & 1;
}

void pc_timers_init(struct pc_timers *timers, uint64_t now_ms)
{
    *timers = (struct pc_timers){.done_ms = now_ms, .next_ms = UINT64_MAX};
    for (size_t i = 0; i < PC_TIMER_SLOTS; i++)
        pc_list_init(&timers->slots[i]);
}

void pc_timer_init(struct pc_timer *timer, pc_timer_fn fire)
{
    *timer = (struct pc_timer){.fire = fire};
    pc_list_init(&timer->link);
}

void pc_timer_stop(struct pc_timers *timers, struct pc_timer *timer)
{
    if (!pc_timer_armed(timer))
        return;
    pc_list_remove(&timer->link); /* the slot's bit may now be stale */
    timers->count--;
}

/* The end of a slot, when all its timers are due: one wake-up serves them together. */
static uint64_t slot_end_ms(uint64_t slot)
{
    return (slot + 1) * PC_TIMER_SLOT_MS;
}

void pc_timer_arm(struct pc_timers *timers, struct pc_timer *timer, uint64_t due_ms)
{
    pc_timer_stop(timers, timer);
    timer->due_ms = due_ms;
    /* A deadline in the past goes into the first slot that the next run visits. */
    uint64_t at_ms = due_ms > timers->done_ms ? due_ms : timers->done_ms;
    size_t index = slot_number(at_ms) % PC_TIMER_SLOTS;
    pc_list_push_back(&timers->slots[index], &timer->link);
    timers->occupied[index / WORD_BITS] |= (uint64_t)1 << (index % WORD_BITS);
    timers->count++;
    if (slot_end_ms(slot_number(at_ms)) < timers->next_ms)
        timers->next_ms = slot_end_ms(slot_number(at_ms));
}

/* Number of the first slot in from..to (inclusive) whose bit is set; to + 1: no bit is set. */
static uint64_t next_occupied(const struct pc_timers *timers, uint64_t from, uint64_t to)
{
    while (from <= to) {
        size_t index = from % PC_TIMER_SLOTS;
        if (occupied(timers, index))
            return from;
        if (timers->occupied[index / WORD_BITS] == 0)
            from += WORD_BITS - index % WORD_BITS;
        else
            from++;
    }
    return to + 1;
}

/* Moves the timers that are due into `due`; timers of a later round of the wheel stay. */
static void collect(struct pc_timers *timers, size_t index, uint64_t now_ms, struct pc_list *due)
{
    struct pc_list *slot = &timers->slots[index];
    struct pc_list *next;
    for (struct pc_list *link = slot->next; link != slot; link = next) {
        next = link->next;
        if (PC_CONTAINER(link, struct pc_timer, link)->due_ms <= now_ms) {
            pc_list_remove(link);
            pc_list_push_back(due, link);
        }
    }
    if (pc_list_empty(slot))
        timers->occupied[index / WORD_BITS] &= ~((uint64_t)1 << (index % WORD_BITS));
}

/* When the wheel's next slot with a timer ends. */
static uint64_t find_next_ms(const struct pc_timers *timers)
{
    uint64_t first = slot_number(timers->done_ms);
    uint64_t last = first + PC_TIMER_SLOTS - 1;
    uint64_t slot = next_occupied(timers, first, last);
    while (slot <= last && pc_list_empty(&timers->slots[slot % PC_TIMER_SLOTS]))
        slot = next_occupied(timers, slot + 1, last);
    return slot > last ? UINT64_MAX : slot_end_ms(slot);
}

void pc_timers_run(struct pc_timers *timers, uint64_t now_ms)
{
    struct pc_list due;
    uint64_t first = slot_number(timers->done_ms);
    uint64_t last = slot_number(now_ms);

    if (now_ms < timers->done_ms)
        return;
    if (last - first >= PC_TIMER_SLOTS) /* once around sees every slot */
        last = first + PC_TIMER_SLOTS - 1;
    pc_list_init(&due);
    for (uint64_t slot = next_occupied(timers, first, last); slot <= last;
         slot = next_occupied(timers, slot + 1, last))
        collect(timers, slot % PC_TIMER_SLOTS, now_ms, &due);
    timers->done_ms = now_ms;
    timers->next_ms = find_next_ms(timers);

    /* All due timers are collected before the first fires. What a callback arms waits for the next
     * run, so a callback that arms "now" cannot hold the loop. */
    while (!pc_list_empty(&due)) {
        struct pc_timer *timer = PC_CONTAINER(due.next, struct pc_timer, link);
        pc_list_remove(&timer->link);
        timers->count--;
        timer->fire(timer, now_ms);
    }
}

uint64_t pc_timers_next(const struct pc_timers *timers, uint64_t now_ms)
{
    if (timers->count == 0)
        return UINT64_MAX;
    return timers->next_ms > now_ms ? timers->next_ms - now_ms : 0;
}
