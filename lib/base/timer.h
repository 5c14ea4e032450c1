/*
 * Deadlines of one worker: a wheel of slots, so that arming is O(1) whatever the number of timers.
 * A timer fires at the first pc_timers_run() whose time is at or after its deadline, never before;
 * at most PC_TIMER_SLOT_MS late if run as pc_timers_next() says. One thread.
 */
#ifndef PC_BASE_TIMER_H
#define PC_BASE_TIMER_H

#include <stdint.h>

#include "base/list.h"
#include "base/mem.h"

#define PC_TIMER_SLOT_MS 32
#define PC_TIMER_SLOTS   4096 /* 131 s; later deadlines wait for another round */

struct pc_timer;
typedef void (*pc_timer_fn)(struct pc_timer *timer, uint64_t now_ms);

struct pc_timer {
    struct pc_list link;
    uint64_t due_ms;
    pc_timer_fn fire; /* the timer is unarmed when called; it may arm, stop or free anything */
};

struct pc_timers {
    struct pc_list slots[PC_TIMER_SLOTS];
    uint64_t occupied[PC_TIMER_SLOTS / 64]; /* hint: a set bit may be stale */
    uint64_t done_ms;                       /* all timers due before have fired */
    uint64_t next_ms;                       /* when to run next; may be early after a stop */
    uint64_t count;                         /* armed */
};

void pc_timers_init(struct pc_timers *timers, uint64_t now_ms);
void pc_timer_init(struct pc_timer *timer, pc_timer_fn fire);
/* An armed timer moves to the new deadline. */
void pc_timer_arm(struct pc_timers *timers, struct pc_timer *timer, uint64_t due_ms);
void pc_timer_stop(struct pc_timers *timers, struct pc_timer *timer); /* unarmed: harmless */
static inline bool pc_timer_armed(const struct pc_timer *timer)
{
    return !pc_list_empty(&timer->link);
}

/* Fires the timers that are due. A timer armed by a callback fires in a later run, even if it is due already. */
void pc_timers_run(struct pc_timers *timers, uint64_t now_ms);
/* When to call pc_timers_run() next, in ms from now; UINT64_MAX = nothing armed. May be early,
 * never later than PC_TIMER_SLOT_MS after the first deadline: one wake-up serves a slot. */
uint64_t pc_timers_next(const struct pc_timers *timers, uint64_t now_ms);

#endif
