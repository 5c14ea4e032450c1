/*
 * A plain model of the events that have receipts (lib/channel/receipts.h), driven by bytes: events are published and reach
 * users, some by a reference from before they were forgotten, time passes, and memory runs out. A user is told of an event
 * once for each kind while it is known, and never of a forgotten one; what makes room is the oldest. The model does not use
 * cmocka, because a fuzzer includes it: what is wrong ends the process.
 */
#ifndef TESTS_RECEIPT_MODEL_H
#define TESTS_RECEIPT_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/slice.h"
#include "base/stat.h"
#include "channel/receipts.h"
#include "require.h"
#include "unit/failing_alloc.h"

#define RECEIPT_EVENTS  8
#define RECEIPT_USERS   4
#define RECEIPT_KEEP_MS 1000

struct receipt_event {
    bool known;
    uint64_t ends_ms, turn; /* of its publishing */
    uint32_t told[RECEIPT_USERS];
    struct pc_tracked *held; /* counted, of this publishing or of one before */
    uint64_t held_turn;
};

struct receipt_model {
    const uint8_t *data;
    size_t size;
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_receipts table;
    struct receipt_event events[RECEIPT_EVENTS];
    uint64_t now_ms, turn, forgotten, lost, told[3];
    size_t max_bytes;
};

static inline uint32_t receipt_byte(struct receipt_model *m)
{
    if (m->size == 0)
        return 0;
    m->size--;
    return *m->data++;
}

static inline struct pc_receipt_name receipt_name(uint32_t index, char room[16])
{
    snprintf(room, 16, "%u", (unsigned)(index / 4)); /* the rest differs by channel and rule */
    return (struct pc_receipt_name){index & 1 ? PC_S("private-a") : PC_S("private-b"),
                                    index & 2 ? PC_S("made") : PC_S(""), pc_slice_of(room)};
}

/* The event is remembered, or it is not; the caller's reference is released. */
static inline bool receipt_is_known(struct receipt_model *m, uint32_t index)
{
    char room[16];
    const struct pc_receipt_name name = receipt_name(index, room);
    struct pc_tracked *found = pc_receipts_find(&m->table, &name, m->now_ms);
    pc_tracked_unref(found);
    return found != NULL;
}

/* Takes over what the table has forgotten: what was over, and for want of memory the oldest, but not `kept`. */
static inline void receipt_sync(struct receipt_model *m, const struct receipt_event *kept)
{
    uint64_t last = 0;
    for (uint32_t i = 0; i < RECEIPT_EVENTS; i++) {
        struct receipt_event *event = &m->events[i];
        const bool known = receipt_is_known(m, i), over = event->ends_ms <= m->now_ms;
        REQUIRE(!known || (event->known && !over));
        if (event->known && !known && !over) {
            m->forgotten++;
            last = event->turn > last ? event->turn : last;
            REQUIRE(event != kept);
        }
        event->known = known;
    }
    for (uint32_t i = 0; i < RECEIPT_EVENTS; i++)
        REQUIRE(!m->events[i].known || m->events[i].turn > last || &m->events[i] == kept);
    REQUIRE(pc_stat_get(&m->table.forgotten) == m->forgotten);
    REQUIRE(pc_stat_get(&m->table.lost) == m->lost);
    REQUIRE(pc_stat_get(&m->table.written) == m->told[PUSHERC_RECEIPT_WRITTEN]);
    REQUIRE(pc_stat_get(&m->table.shown) == m->told[PUSHERC_RECEIPT_SHOWN]);
    REQUIRE(pc_stat_get(&m->table.bytes) <= m->max_bytes);
}

static inline void receipt_publish(struct receipt_model *m, uint32_t index, bool fails, bool small)
{
    char room[16];
    const struct pc_receipt_name name = receipt_name(index, room);
    struct receipt_event *event = &m->events[index];
    const struct pc_receipt_bounds bounds = {small ? 600 : 2400, RECEIPT_KEEP_MS};
    struct pc_tracked *got;
    const bool was_known = event->known && event->ends_ms > m->now_ms;
    m->alloc.fail_at = fails ? m->alloc.requests + 1 : 0;
    int err = pc_receipts_add(&m->table, &bounds, &name, PC_S("app"), PC_S("made"), PC_S("{}"),
                              m->now_ms, &got);
    m->alloc.fail_at = 0;
    REQUIRE((err != 0) == fails && (got == NULL) == fails);
    if (err)
        return;
    if (!was_known) {
        m->max_bytes = bounds.max_bytes;
        for (uint32_t u = 0; u < RECEIPT_USERS; u++)
            event->told[u] = 0;
        event->ends_ms = m->now_ms + RECEIPT_KEEP_MS;
        event->turn = ++m->turn;
        event->known = got->known; /* it may be larger than all that may be remembered */
        m->forgotten += !got->known;
    }
    pc_tracked_unref(event->held);
    event->held = got;
    event->held_turn = event->turn;
    REQUIRE(pc_slice_eq(got->channel, name.channel) && pc_slice_eq(got->id, name.id));
    receipt_sync(m, event->known ? event : NULL);
}

static inline void receipt_reach(struct receipt_model *m, uint32_t index, uint32_t user,
                                 pusherc_receipt_kind kind, bool fails)
{
    struct receipt_event *event = &m->events[index];
    char id[16];
    if (!event->held)
        return;
    snprintf(id, sizeof id, "user %u", (unsigned)user);
    const bool tells =
        event->known && event->ends_ms > m->now_ms && event->held_turn == event->turn;
    const bool is_new = event->told[user] == 0;
    m->alloc.fail_at = fails ? m->alloc.requests + 1 : 0;
    const uint64_t lost = pc_stat_get(&m->table.lost);
    const bool told = pc_tracked_reached(event->held, pc_slice_of(id), kind, m->now_ms);
    m->alloc.fail_at = 0;
    const bool is_lost = pc_stat_get(&m->table.lost) > lost;
    REQUIRE(!is_lost || (tells && is_new));
    REQUIRE(!(fails && tells && is_new) || is_lost);
    REQUIRE(told == (tells && !is_lost && !(event->told[user] & (1u << kind))));
    m->lost += is_lost;
    m->told[kind] += told;
    if (told)
        event->told[user] |= 1u << kind;
    receipt_sync(m, tells ? event : NULL);
}

static inline void receipt_step(struct receipt_model *m)
{
    const uint32_t what = receipt_byte(m), which = receipt_byte(m);
    struct receipt_event *event = &m->events[which % RECEIPT_EVENTS];
    switch (what & 7) {
    case 0:
    case 1:
        receipt_publish(m, which % RECEIPT_EVENTS, what > 240, (what >> 3 & 7) == 0);
        break;
    case 2:
        m->now_ms += which * 4;
        break;
    case 3:
        pc_tracked_unref(event->held);
        event->held = NULL;
        break;
    default:
        receipt_reach(m, which % RECEIPT_EVENTS, which >> 3 & 3,
                      which & 128 ? PUSHERC_RECEIPT_SHOWN : PUSHERC_RECEIPT_WRITTEN, what > 240);
    }
}

static inline void receipt_model_run(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = {1, 2};
    struct receipt_model *m = calloc(1, sizeof *m);
    REQUIRE(m);
    *m = (struct receipt_model){.data = data, .size = size, .now_ms = 1000, .max_bytes = 2400};
    pusherc_allocator allocator = failing_alloc_init(&m->alloc, 0);
    m->mem = pc_mem_make(&allocator);
    pc_receipts_init(&m->table, &m->mem, seed);
    while (m->size)
        receipt_step(m);
    pc_receipts_free(&m->table);
    for (uint32_t i = 0; i < RECEIPT_EVENTS; i++)
        pc_tracked_unref(m->events[i].held); /* may be the last */
    REQUIRE(failing_alloc_live(&m->alloc) == 0);
    free(m);
}

#endif
