/*
 * A plain model of shaping (lib/fanout/shape.h), driven by bytes: a rule, then events of a few keys, steps of time, and
 * turns of the owner, whose sending may take time. What a key's subscribers get has to be in order, the last of it has
 * to arrive, and bounds, rate, windows, longest waits and counters have to hold at each step. The model does not use
 * cmocka, because a fuzzer includes it: what is wrong ends the process.
 */
#ifndef TESTS_SHAPE_MODEL_H
#define TESTS_SHAPE_MODEL_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/timer.h"
#include "channel/shape_rule.h"
#include "codec/json_at.h"
#include "fanout/shape.h"
#include "require.h"
#include "unit/failing_alloc.h"

#define SHAPE_KEYS 6
#define SHAPE_WAIT 16 /* numbers of a key that the model can hold; more are not put */

struct shape_key {
    uint32_t last_in, last_out; /* numbers of its events */
    uint32_t waiting[SHAPE_WAIT * 1024];
    uint32_t waiting_count;     /* a batch has several; otherwise 0 or 1 */
    uint64_t first_ms, last_ms; /* when it began to wait, when its newest event came */
    uint64_t before_ms;         /* last_ms when the owner's turn began */
    uint64_t sent_ms;
    bool was_sent;
};

struct shape_model {
    const uint8_t *data;
    size_t size;
    struct failing_alloc alloc;
    struct pc_mem mem;
    struct pc_shape_rules rules;
    struct pc_shape_rule *rule;
    struct pc_shape shape;
    struct shape_key keys[SHAPE_KEYS];
    uint64_t now_ms, start_ms;
    uint64_t in, out, merged, passed, refused, dropped;
    uint64_t sends; /* tried, whatever came of them */
    size_t largest; /* bytes of one event */
};

static inline uint32_t shape_byte(struct shape_model *m)
{
    if (m->size == 0)
        return 0;
    m->size--;
    return *m->data++;
}

static inline void shape_rule(struct shape_model *m)
{
    static const char *const modes[] = {"conflate", "debounce", "batch"};
    char text[300];
    uint32_t mode = shape_byte(m) % 3, flags = shape_byte(m);
    uint32_t window = 1 + shape_byte(m) * 2, wait = window + shape_byte(m) * 4;
    int len = snprintf(text, sizeof text, "c %s key=/k/0", modes[mode]);
    if (mode || (flags & 1))
        len += snprintf(text + len, sizeof text - (size_t)len, " window_ms=%u", window);
    if (flags & 2)
        len += snprintf(text + len, sizeof text - (size_t)len, " max_wait_ms=%u", wait);
    if ((flags & 4) || (mode == 0 && !(flags & 1)))
        len +=
            snprintf(text + len, sizeof text - (size_t)len, " max_per_s=%u", 1 + shape_byte(m) * 4);
    if (mode < 2 && (flags & 8))
        len += snprintf(text + len, sizeof text - (size_t)len, " leading=%s",
                        flags & 16 ? "yes" : "no");
    if (flags & 32)
        len +=
            snprintf(text + len, sizeof text - (size_t)len, " max_keys=%u", 1 + shape_byte(m) % 8);
    if (flags & 64)
        len +=
            snprintf(text + len, sizeof text - (size_t)len, " max_bytes=%u", 1 + shape_byte(m) * 8);
    if (mode == 2 && (flags & 128))
        snprintf(text + len, sizeof text - (size_t)len, " max_events=%u", 1 + shape_byte(m) % 5);
    REQUIRE(pc_shape_rules_check(pc_slice_of(text), "", NULL) == 0);
    REQUIRE(pc_shape_rules_read(&m->rules, &m->mem, pc_slice_of(text)) == 0);
    m->rule = m->rules.items[0];
}

/* What every key's subscribers have got so far is older. */
static inline void shape_got(struct shape_model *m, uint32_t k, uint32_t number)
{
    REQUIRE(number > m->keys[k].last_out);
    m->keys[k].last_out = number;
}

static inline void shape_put(struct shape_model *m)
{
    uint32_t k = shape_byte(m) % SHAPE_KEYS, fill = shape_byte(m);
    struct shape_key *key = &m->keys[k];
    const bool batch = m->rule->mode == PC_SHAPE_BATCH;
    char data[400], pad[256];
    pusherc_slice found;
    struct pc_buf scratch;
    if (key->waiting_count >= SHAPE_WAIT * 1024)
        return;
    memset(pad, 'x', sizeof pad);
    /* however it is escaped, it is the same key */
    snprintf(data, sizeof data, "{\"k\":[\"%s%u\"],\"i\":%u,\"n\":%u,\"f\":\"%.*s\"}",
             fill % 2 ? "\\u0061" : "a", k, k, ++key->last_in, (int)fill, pad);
    struct pc_shape_event event = {.name = PC_S("e"), .data = pc_slice_of(data)};
    pc_buf_init(&scratch, &m->mem, 100);
    REQUIRE(pc_json_key(event.data, m->rule->key, &scratch, &found));
    enum pc_shape_result result = pc_shape_put(&m->shape, &event, found, m->now_ms);
    pc_buf_free(&scratch);
    m->largest = event.data.len > m->largest ? event.data.len : m->largest;
    m->in++;
    switch (result) {
    case PC_SHAPE_KEPT:
        if (!batch && key->waiting_count) {
            m->merged++;
            key->waiting_count = 0;
        } else if (key->waiting_count == 0) {
            key->first_ms = m->now_ms;
        }
        key->waiting[key->waiting_count++] = key->last_in;
        key->last_ms = m->now_ms;
        break;
    case PC_SHAPE_PASSED:
        REQUIRE(!batch);
        m->passed++;
        m->merged += key->waiting_count;
        key->waiting_count = 0;
        key->was_sent = false; /* its window may be forgotten */
        shape_got(m, k, key->last_in);
        break;
    case PC_SHAPE_FULL:
        REQUIRE(batch);
        m->refused++;
        break;
    case PC_SHAPE_NOMEM:
        REQUIRE(m->in == 0); /* there is memory */
        break;
    }
}

static inline uint32_t shape_number(const char **at, const char *after)
{
    const char *found = strstr(*at, after);
    REQUIRE(found);
    *at = found + strlen(after);
    return (uint32_t)strtoul(*at, NULL, 10);
}

/* An event has come out: which key, and which numbers. */
static inline uint32_t shape_out(struct shape_model *m, const struct pc_shape_event *event, bool ok)
{
    const struct pc_shape_rule *rule = m->rule;
    char text[65536];
    const char *at = text;
    REQUIRE(event->data.len < sizeof text);
    memcpy(text, event->data.ptr, event->data.len);
    text[event->data.len] = '\0';
    REQUIRE(pc_slice_eq(event->name, PC_S("e")));
    uint32_t k = shape_number(&at, "\"i\":");
    REQUIRE(k < SHAPE_KEYS);
    struct shape_key *key = &m->keys[k];
    uint32_t count = 0;
    REQUIRE(key->waiting_count > 0);
    REQUIRE(rule->mode != PC_SHAPE_BATCH || (text[0] == '[' && text[event->data.len - 1] == ']'));
    at = text;
    while (strstr(at, "\"n\":")) {
        uint32_t number = shape_number(&at, "\"n\":");
        REQUIRE(number == key->waiting[count]);
        if (ok)
            shape_got(m, k, number);
        count++;
    }
    REQUIRE(count > 0 && count <= key->waiting_count);
    REQUIRE(count == 1 || rule->mode == PC_SHAPE_BATCH);
    if (rule->mode == PC_SHAPE_BATCH) {
        REQUIRE(count <= rule->max_events);
        REQUIRE(count == 1 || event->data.len <= m->shape.max_data);
    }
    const bool overdue =
        rule->max_wait_ms != PC_SHAPE_NO_WAIT && key->first_ms + rule->max_wait_ms <= m->now_ms;
    if (!m->shape.closing && !overdue && rule->mode == PC_SHAPE_CONFLATE && key->was_sent &&
        rule->leading)
        REQUIRE(key->sent_ms + rule->window_ms <= m->now_ms);
    if (!m->shape.closing && rule->mode == PC_SHAPE_DEBOUNCE && !overdue && !rule->leading &&
        rule->max_per_s == 0) /* one that waits for the rate only has had its silence */
        REQUIRE(key->before_ms + rule->window_ms <= m->now_ms);
    memmove(key->waiting, key->waiting + count,
            (key->waiting_count - count) * sizeof *key->waiting);
    key->waiting_count -= count;
    if (ok)
        m->merged += count - 1;
    else
        m->dropped += count;
    m->out += ok;
    if (key->waiting_count) /* the rest of the batches; when it began is not known exactly */
        key->first_ms = m->now_ms;
    m->sends++;
    return k;
}

/* A turn of the owner. While an event is on its way, others come in and time passes. */
static inline void shape_turn(struct shape_model *m)
{
    struct pc_shape_event event;
    const struct pc_shape_rule *rule = m->rule;
    for (uint32_t k = 0; k < SHAPE_KEYS; k++)
        m->keys[k].before_ms = m->keys[k].last_ms;
    while (pc_shape_next(&m->shape, m->now_ms, &event)) {
        uint32_t during = shape_byte(m);
        struct pc_shape_event none;
        uint32_t k = shape_out(m, &event, during % 16 != 15);
        REQUIRE(!pc_shape_next(&m->shape, m->now_ms, &none));
        REQUIRE(pc_shape_due(&m->shape, m->now_ms) == UINT64_MAX);
        for (uint32_t i = 0; i < during % 4 && m->size; i++)
            shape_put(m);
        m->now_ms += during / 64;
        pc_shape_sent(&m->shape, during % 16 != 15, m->now_ms);
        m->keys[k].sent_ms = m->now_ms;
        m->keys[k].was_sent = true;
    }
    for (uint32_t k = 0; k < SHAPE_KEYS; k++)
        if (m->keys[k].waiting_count && rule->max_wait_ms != PC_SHAPE_NO_WAIT)
            REQUIRE(m->now_ms < m->keys[k].first_ms + rule->max_wait_ms);
    if (!pc_shape_is_empty(&m->shape))
        REQUIRE(pc_shape_due(&m->shape, m->now_ms) > m->now_ms);
    if (rule->max_per_s && rule->max_wait_ms == PC_SHAPE_NO_WAIT && !m->shape.closing) {
        uint64_t us = (m->now_ms - m->start_ms) * 1000 + PC_TIMER_SLOT_MS * 1000;
        REQUIRE(m->sends <= us / (1000000 / rule->max_per_s) + 1);
    }
}

static inline void shape_check(struct shape_model *m)
{
    const struct pc_shape_counts *c = &m->rule->counts;
    uint64_t waiting = 0;
    for (uint32_t k = 0; k < SHAPE_KEYS; k++)
        waiting += m->keys[k].waiting_count;
    REQUIRE(c->in == m->in && c->out == m->out && c->merged == m->merged);
    REQUIRE(c->passed == m->passed && c->refused == m->refused && c->dropped == m->dropped);
    REQUIRE(pc_shape_waiting(c) == waiting);
    REQUIRE(m->shape.count <= m->rule->max_keys);
    /* an event whose key's event before was on its way has been taken although there was no room */
    REQUIRE(m->shape.bytes <= m->rule->max_bytes + (m->shape.count + 1) * m->largest);
}

static inline void shape_model_run(const uint8_t *data, size_t size)
{
    static const uint64_t seed[2] = {1, 2};
    static struct shape_model model; /* large; one thread */
    struct shape_model *m = &model;
    memset(m, 0, sizeof *m);
    m->data = data;
    m->size = size;
    pusherc_allocator allocator = failing_alloc_init(&m->alloc, 0);
    m->mem = pc_mem_make(&allocator);
    m->now_ms = m->start_ms = 1000;
    shape_rule(m);
    pc_shape_init(&m->shape, &m->mem, seed, m->rule, 300);
    while (m->size > 0) {
        uint32_t op = shape_byte(m);
        if (op < 160) {
            shape_put(m);
        } else if (op < 250) {
            m->now_ms += op < 200 ? op - 160 : (op - 199) * 10;
            shape_turn(m);
        } else if (op < 252) {
            pc_shape_drop(&m->shape);
            for (uint32_t k = 0; k < SHAPE_KEYS; k++) {
                m->dropped += m->keys[k].waiting_count;
                m->keys[k].waiting_count = 0;
                m->keys[k].was_sent = false;
            }
        } else {
            shape_turn(m);
        }
        shape_check(m);
    }
    /* the end: all goes */
    m->shape.closing = true;
    shape_turn(m);
    shape_check(m);
    REQUIRE(pc_shape_is_empty(&m->shape) && m->shape.bytes == 0);
    REQUIRE(m->in == m->out + m->merged + m->passed + m->refused + m->dropped);
    for (uint32_t k = 0; k < SHAPE_KEYS; k++)
        REQUIRE(m->keys[k].last_out == m->keys[k].last_in || m->refused || m->dropped);
    pc_shape_free(&m->shape);
    pc_shape_rules_free(&m->rules, &m->mem);
    REQUIRE(failing_alloc_live(&m->alloc) == 0);
}

#endif
