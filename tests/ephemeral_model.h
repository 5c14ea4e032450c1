/*
 * A plain model of ephemeral states (lib/fanout/ephemeral.h), driven by bytes: a few connections of a few users say and
 * end states of a few keys under two rules, leave, and time passes. After each step the table has to hold exactly the
 * states of the model, and what is over in the model is over in the table. The model does not use cmocka, because a
 * fuzzer includes it: what is wrong ends the process.
 */
#ifndef TESTS_EPHEMERAL_MODEL_H
#define TESTS_EPHEMERAL_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/stat.h"
#include "fanout/ephemeral.h"
#include "require.h"
#include "unit/failing_alloc.h"

#define EPHEMERAL_USERS  3
#define EPHEMERAL_CONNS  6 /* two of each user */
#define EPHEMERAL_KEYS   4
#define EPHEMERAL_RULES  2
#define EPHEMERAL_STATES (EPHEMERAL_USERS * EPHEMERAL_KEYS * EPHEMERAL_RULES)
#define EPHEMERAL_MAX    4096 /* bytes of the app */

struct ephemeral_state {
    bool there, left;
    uint64_t ends_ms;
    bool holds[EPHEMERAL_CONNS];
    uint32_t said; /* the number that was said last */
    uint32_t by;   /* who has said it: a connection, EPHEMERAL_CONNS for the host, or several */
};

#define EPHEMERAL_SEVERAL (EPHEMERAL_CONNS + 1)

struct ephemeral_model {
    const uint8_t *data;
    size_t size;
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_ephemeral_rules rules;
    struct pc_ephemeral_share share;
    struct pc_ephemera_table table;
    struct pc_ephemeral_hold *holders[EPHEMERAL_CONNS];
    struct ephemeral_state states[EPHEMERAL_STATES];
    uint64_t now_ms;
    uint32_t number;
    uint64_t begun, ended;
};

static inline uint32_t ephemeral_byte(struct ephemeral_model *m)
{
    if (m->size == 0)
        return 0;
    m->size--;
    return *m->data++;
}

static inline uint32_t ephemeral_index(uint32_t rule, uint32_t user, uint32_t key)
{
    return (rule * EPHEMERAL_USERS + user) * EPHEMERAL_KEYS + key;
}

/* What the state of that number would be said with. */
static inline struct pc_said *ephemeral_said(struct ephemeral_model *m, uint32_t index)
{
    char who[8], key[8], data[64];
    const uint32_t rule = index / (EPHEMERAL_USERS * EPHEMERAL_KEYS);
    snprintf(who, sizeof who, "u%u", (unsigned)(index / EPHEMERAL_KEYS % EPHEMERAL_USERS));
    snprintf(key, sizeof key, "%u", (unsigned)(index % EPHEMERAL_KEYS));
    snprintf(data, sizeof data, "%u %*s", (unsigned)m->number, (int)(m->number % 40), "");
    return pc_said_new(&m->mem, m->rules.items[rule].event, pc_slice_of(who), pc_slice_of(key),
                       pc_slice_of(data));
}

static inline void ephemeral_forget(struct ephemeral_model *m, uint32_t index)
{
    m->states[index] = (struct ephemeral_state){.there = false};
    m->ended++;
}

static inline uint32_t ephemeral_count(const struct ephemeral_model *m, uint32_t conn)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < EPHEMERAL_STATES; i++)
        count += conn < EPHEMERAL_CONNS ? m->states[i].holds[conn] : m->states[i].there;
    return count;
}

/* conn EPHEMERAL_CONNS = the host, for the first user. */
static inline void ephemeral_say(struct ephemeral_model *m, uint32_t conn, uint32_t rule,
                                 uint32_t key)
{
    const bool host = conn == EPHEMERAL_CONNS;
    const uint32_t index = ephemeral_index(rule, host ? 0 : conn % EPHEMERAL_USERS, key);
    struct ephemeral_state *state = &m->states[index];
    struct pc_ephemeral_bounds bounds = {.rule = &m->rules.items[rule], .max_bytes = EPHEMERAL_MAX};
    m->number++;
    struct pc_said *said = ephemeral_said(m, index);
    if (!said)
        return;
    said->by.a = host ? 0 : conn + 1;
    int err = pc_ephemera_put(&m->table, said, &bounds, host ? NULL : &m->holders[conn], m->now_ms);
    const bool channel_full =
        !state->there && ephemeral_count(m, EPHEMERAL_CONNS) >= bounds.rule->max_states;
    const bool conn_full =
        !host && !state->holds[conn] && ephemeral_count(m, conn) >= bounds.rule->max_keys;
    if (err == PUSHERC_ELIMIT) {
        REQUIRE(!strcmp(bounds.full, "max_states") == channel_full);
        REQUIRE(channel_full || !strcmp(bounds.full, "max_keys") == conn_full);
    } else if (err) {
        REQUIRE(err == PUSHERC_ENOMEM && m->alloc.fail_at);
    } else {
        REQUIRE(!channel_full && !conn_full);
        m->begun += !state->there;
        state->by = !state->there || state->by == conn ? conn : EPHEMERAL_SEVERAL;
        state->there = true;
        state->left = false;
        state->said = m->number;
        state->ends_ms = m->now_ms + bounds.rule->ttl_ms;
        if (!host)
            state->holds[conn] = true;
    }
    pc_said_unref(said);
}

static inline void ephemeral_end(struct ephemeral_model *m, uint32_t index)
{
    struct pc_said *said = ephemeral_said(m, index);
    if (!said)
        return;
    const bool ended = pc_ephemera_end(&m->table, said->id);
    REQUIRE(ended == m->states[index].there);
    if (ended)
        ephemeral_forget(m, index);
    pc_said_unref(said);
}

static inline void ephemeral_leave(struct ephemeral_model *m, uint32_t conn)
{
    pc_ephemera_let_go(&m->table, &m->holders[conn]);
    for (uint32_t i = 0; i < EPHEMERAL_STATES; i++) {
        struct ephemeral_state *state = &m->states[i];
        bool held = false;
        if (!state->holds[conn])
            continue;
        state->holds[conn] = false;
        for (uint32_t c = 0; c < EPHEMERAL_CONNS; c++)
            held |= state->holds[c];
        state->left = !held;
    }
}

static inline uint32_t ephemeral_index_of(const struct ephemeral_model *m,
                                          const struct pc_said *said)
{
    const uint32_t rule = pc_slice_eq(said->event, m->rules.items[1].event);
    return ephemeral_index(rule, (uint32_t)(said->who.ptr[1] - '0'),
                           (uint32_t)(said->key.ptr[0] - '0'));
}

/* Ends up to `max` that are over, some of them too late: they were renewed meanwhile. */
static inline void ephemeral_tell(struct ephemeral_model *m, uint32_t max, bool late)
{
    pusherc_socket_id except;
    struct pc_said *said;
    while (max-- && (said = pc_ephemera_over(&m->table, m->now_ms, &except)) != NULL) {
        const uint32_t index = ephemeral_index_of(m, said);
        const struct ephemeral_state *state = &m->states[index];
        REQUIRE(state->there && (state->left || state->ends_ms <= m->now_ms));
        REQUIRE(except.a == (state->by < EPHEMERAL_CONNS ? state->by + 1 : 0));
        pc_said_ref(said);
        if (late && !state->left) {
            const uint32_t before = state->said;
            ephemeral_say(m, EPHEMERAL_CONNS, index / (EPHEMERAL_USERS * EPHEMERAL_KEYS),
                          index % EPHEMERAL_KEYS); /* of the first user only */
            const bool renewed = state->said != before;
            REQUIRE(pc_ephemera_end_over(&m->table, said, m->now_ms, m->number & 1) == !renewed);
            if (!renewed)
                ephemeral_forget(m, index);
        } else {
            REQUIRE(pc_ephemera_end_over(&m->table, said, m->now_ms, false));
            ephemeral_forget(m, index);
        }
        pc_said_unref(said);
    }
}

static inline void ephemeral_visit(struct pc_said *said, uint64_t ends_ms, void *ctx)
{
    struct ephemeral_model *m = ctx;
    const struct ephemeral_state *state = &m->states[ephemeral_index_of(m, said)];
    REQUIRE(state->there && !state->left && state->ends_ms == ends_ms);
    uint64_t number;
    REQUIRE(pc_slice_to_u64(pc_slice_first(said->data, pc_slice_find(said->data, ' ')), &number));
    REQUIRE(number == state->said);
}

static inline void ephemeral_check(struct ephemeral_model *m)
{
    uint64_t due = UINT64_MAX;
    uint32_t there = 0;
    for (uint32_t i = 0; i < EPHEMERAL_STATES; i++) {
        const struct ephemeral_state *state = &m->states[i];
        const uint64_t ends_ms = state->left || state->ends_ms <= m->now_ms ? 0 : state->ends_ms;
        there += state->there;
        if (state->there && ends_ms < due)
            due = ends_ms;
    }
    REQUIRE(m->table.by_id.count == there);
    REQUIRE(pc_ephemera_due(&m->table, m->now_ms) == due);
    REQUIRE(pc_stat_get(&m->share.bytes) <= EPHEMERAL_MAX);
    REQUIRE(pc_stat_get(&m->share.begun) == m->begun && pc_stat_get(&m->share.ended) == m->ended);
    pc_ephemera_each(&m->table, ephemeral_visit, m);
}

static inline void ephemeral_step(struct ephemeral_model *m)
{
    const uint32_t what = ephemeral_byte(m), which = ephemeral_byte(m);
    const uint32_t conn = which % (EPHEMERAL_CONNS + 1);
    switch (what % 8) {
    case 0:
    case 1:
    case 2:
        ephemeral_say(m, conn, what >> 3 & 1, which >> 4 & (EPHEMERAL_KEYS - 1));
        break;
    case 3:
        ephemeral_end(m, which % EPHEMERAL_STATES);
        break;
    case 4:
        ephemeral_leave(m, which % EPHEMERAL_CONNS);
        break;
    case 5:
        m->now_ms += which;
        break;
    case 6:
        ephemeral_tell(m, 1 + which % 4, what >> 3 & 1);
        break;
    case 7:
        m->alloc.fail_at = which & 1 ? m->alloc.requests + 1 + which % 8 : 0;
        break;
    }
    ephemeral_check(m);
}

static inline void ephemeral_model_run(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = {1, 2};
    struct ephemeral_model *m = calloc(1, sizeof *m);
    REQUIRE(m);
    *m = (struct ephemeral_model){.data = data, .size = size, .now_ms = 1000};
    pusherc_allocator allocator = failing_alloc_init(&m->alloc, 0);
    m->mem = pc_mem_make(&allocator);
    REQUIRE(pc_ephemeral_rules_read(&m->rules, &m->mem,
                                    PC_S("room.{id} event=client-a ttl_ms=100 max_keys=3 ; "
                                         "room.{id} event=client-b ttl_ms=300 max_states=9")) == 0);
    pc_ephemera_init(&m->table, &m->mem, seed, &m->share);
    while (m->size)
        ephemeral_step(m);
    m->alloc.fail_at = 0;
    for (uint32_t i = 0; i < EPHEMERAL_CONNS; i++)
        ephemeral_leave(m, i);
    m->now_ms += 1000;
    ephemeral_tell(m, UINT32_MAX, false);
    ephemeral_check(m);
    REQUIRE(m->table.by_id.count == 0 && pc_stat_get(&m->share.bytes) == 0);
    pc_ephemera_free(&m->table);
    pc_ephemeral_rules_free(&m->rules, &m->mem);
    REQUIRE(failing_alloc_live(&m->alloc) == 0);
    free(m);
}

#endif
