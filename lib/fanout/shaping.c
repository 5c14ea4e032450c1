#include "fanout/shaping.h"

#include <pusherc/error.h>

#include "codec/json_at.h"
#include "fanout/channel_timer.h"

#define PORTION                                                                                    \
    256 /* events sent in one turn, so that a channel does not keep the worker from others */

/* One rule's part of a shaper. */
struct part {
    struct part *next;
    struct pc_shape shape;
};

struct pc_shaper {
    struct pc_owned_timer owned; /* holds the channel and the app */
    pc_shaping_send_fn send;
    uint64_t serial;    /* of the newest settings that events came under */
    struct part *parts; /* the one that was made first comes first */
};

/* -- rules -- */

static struct pc_shape_rule *counted(struct pc_shape_rule *rule)
{
    if (rule)
        pc_shape_rule_ref(rule);
    return rule;
}

/* A rule that settings before had: its events that wait go first. */
static struct pc_shape_rule *rule_before(const struct pc_shaper *shaper, pusherc_slice event)
{
    for (const struct part *p = shaper ? shaper->parts : NULL; p; p = p->next)
        if (p->shape.rule->event.len == 0 || pc_slice_eq(p->shape.rule->event, event))
            return p->shape.rule;
    return NULL;
}

struct pc_shape_rule *pc_shaping_rule(const struct pc_app *app, struct pc_channel *channel,
                                      pusherc_slice event)
{
    const struct pc_shape_rules *rules = &app->shaping;
    uint32_t covering = channel->shaped_by;
    if (channel->shaped_serial != rules->serial) {
        covering = pc_shape_rules_covering(rules, channel->name);
        channel->shaped_by = covering;
        channel->shaped_serial = rules->serial;
    }
    struct pc_shape_rule *rule = pc_shape_rules_pick(rules, covering, event);
    return counted(rule ? rule : rule_before(channel->shaper, event));
}

static bool has_rule(const struct pc_app *app, const struct pc_shape_rule *rule)
{
    for (uint32_t i = 0; i < app->shaping.count; i++)
        if (app->shaping.items[i] == rule)
            return true;
    return false;
}

/* -- sending -- */

static void log_lost(struct pc_engine *engine, const struct pc_app *app,
                     const struct pc_channel *channel, int err)
{
    PC_LOG(&engine->log, WARN, ((struct pc_log_about){.subject = "fanout", .app_id = app->id}),
           "an event on %.*s did not reach all subscribers after shaping: %s",
           (int)channel->name.len, channel->name.ptr, pusherc_strerror(err));
}

/* Locked, and unlocked while it sends. Sends what may go; *left counts down. */
static void send_part(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel,
                      struct part *part, uint32_t *left)
{
    struct pc_shape_event event;
    while (*left && pc_shape_next(&part->shape, worker->now_ms, &event)) {
        pc_shaping_send_fn send = channel->shaper->send;
        pthread_mutex_unlock(&channel->shard->mutex);
        int err = send(worker, app, channel, &event);
        if (err)
            log_lost(worker->engine, app, channel, err);
        pthread_mutex_lock(&channel->shard->mutex);
        pc_shape_sent(&part->shape, err == 0, worker->now_ms);
        --*left;
    }
}

static void part_free(const struct pc_mem *mem, struct part *part)
{
    pc_shape_free(&part->shape);
    pc_free(mem, part);
}

/* Locked. When the timer is to fire; 0: the shaper is empty and no mail is under way. */
static uint64_t next_ms(const struct pc_shaper *shaper, uint64_t now_ms)
{
    uint64_t next = UINT64_MAX;
    for (const struct part *p = shaper->parts; p; p = p->next) {
        uint64_t due = pc_shape_due(&p->shape, now_ms);
        next = due < next ? due : next;
    }
    if (next == UINT64_MAX)
        return shaper->owned.mailed ? now_ms + PC_GATHER_MS : 0;
    return next > now_ms ? next : now_ms + 1; /* a portion is left: another turn */
}

/* On the owner's thread. */
static uint64_t run(struct pc_worker *worker, struct pc_app *app, struct pc_channel *channel)
{
    const bool all = pc_engine_is_draining(worker->engine);
    uint32_t left = all ? UINT32_MAX : PORTION;
    pthread_mutex_lock(&channel->shard->mutex);
    struct pc_shaper *shaper = channel->shaper;
    for (struct part **at = &shaper->parts; *at;) {
        struct part *part = *at;
        part->shape.closing |= all;
        send_part(worker, app, channel, part, &left);
        if (pc_shape_is_over(&part->shape, worker->now_ms)) {
            *at = part->next;
            part_free(worker->mem, part);
        } else {
            at = &part->next;
        }
    }
    const uint64_t due_ms = next_ms(shaper, worker->now_ms);
    shaper->owned.due_ms = due_ms;
    if (due_ms == 0)
        channel->shaper = NULL;
    pc_shard_unlock(channel->shard);
    return due_ms;
}

/* -- its life -- */

/* The timer ends, with what still waits if the worker is gone. */
static void on_over(struct pc_channel_timer *timer)
{
    struct pc_shaper *shaper = PC_CONTAINER(timer, struct pc_shaper, owned.timer);
    pthread_mutex_lock(&timer->channel->shard->mutex);
    if (timer->channel->shaper == shaper)
        timer->channel->shaper = NULL;
    while (shaper->parts) {
        struct part *part = shaper->parts;
        shaper->parts = part->next;
        part_free(timer->worker->mem, part);
    }
    pc_shard_unlock(timer->channel->shard);
}

/* Locked. NULL: out of memory, or the server stops. */
static struct pc_shaper *shaper_of(struct pc_engine *engine, const struct pc_app *app,
                                   struct pc_channel *channel, pc_shaping_send_fn send,
                                   uint64_t *wake)
{
    struct pc_shaper *shaper = channel->shaper;
    if (shaper || pc_engine_is_draining(engine))
        return shaper;
    shaper = pc_alloc_zero(&engine->mem, sizeof *shaper);
    if (!shaper)
        return NULL;
    shaper->send = send;
    shaper->serial = app->shaping.serial;
    if (pc_owned_timer_begin(&shaper->owned, engine, (struct pc_app *)app, channel, run, on_over,
                             shaper, wake)) {
        pc_free(&engine->mem, shaper);
        return NULL;
    }
    channel->shaper = shaper;
    return shaper;
}

static uint32_t batch_bytes(const struct pc_engine *engine, const struct pc_app *app)
{
    const uint32_t max = app->options.max_event_payload_bytes;
    const uint32_t hard = engine->options.out_hard_bytes / 2;
    return max < hard ? max : hard;
}

/* Locked. The rule's shape, at the end of the list if it is new. NULL: out of memory, or the event came under settings
 * that newer ones have replaced. */
static struct pc_shape *shape_of(struct pc_engine *engine, const struct pc_app *app,
                                 struct pc_shaper *shaper, struct pc_shape_rule *rule)
{
    struct part **end = &shaper->parts;
    if (app->shaping.serial > shaper->serial) {
        shaper->serial = app->shaping.serial;
        for (struct part *p = shaper->parts; p; p = p->next)
            p->shape.closing |= !has_rule(app, p->shape.rule);
    }
    for (; *end; end = &(*end)->next)
        if ((*end)->shape.rule == rule)
            return &(*end)->shape;
    if (app->shaping.serial < shaper->serial || !has_rule(app, rule))
        return NULL;
    struct part *part = pc_alloc(&engine->mem, sizeof *part);
    if (!part)
        return NULL;
    part->next = NULL;
    pc_shape_init(&part->shape, &engine->mem, engine->seed, rule, batch_bytes(engine, app));
    *end = part;
    return &part->shape;
}

/* -- events that come in -- */

static int pass(struct pc_shape_rule *rule)
{
    pc_stat_add_shared(&rule->counts.in, 1);
    pc_stat_add_shared(&rule->counts.passed, 1);
    return PC_SHAPING_PASSES;
}

/* Locked. */
static int put(struct pc_engine *engine, struct pc_shaper *shaper, struct pc_shape *shape,
               const struct pc_shape_event *event, pusherc_slice key, uint64_t now_ms,
               uint64_t *wake)
{
    switch (pc_shape_put(shape, event, key, now_ms)) {
    case PC_SHAPE_KEPT:
        break;
    case PC_SHAPE_PASSED:
        return PC_SHAPING_PASSES;
    case PC_SHAPE_FULL:
        return PUSHERC_EBACKLOG;
    case PC_SHAPE_NOMEM:
        return PUSHERC_ENOMEM;
    }
    /* If the owner is gone, it has sent all that there was, and this goes with the server. */
    if (pc_engine_is_draining(engine) || pc_shape_due(shape, now_ms) < shaper->owned.due_ms)
        (void)pc_owned_timer_ask(&shaper->owned, wake);
    return 0;
}

int pc_shaping_take(struct pc_engine *engine, const struct pc_app *app, struct pc_channel *channel,
                    struct pc_shape_rule *rule, const struct pc_shape_event *event, uint64_t now_ms,
                    pc_shaping_send_fn send)
{
    char stack[256];
    struct pc_buf scratch;
    pusherc_slice key;
    uint64_t wake = 0;
    int result = PC_SHAPING_PASSES;
    pc_buf_init_in(&scratch, &engine->mem, SIZE_MAX, stack, sizeof stack);
    if (!pc_json_key(event->data, rule->key, &scratch, &key)) {
        pc_buf_free(&scratch);
        return pass(rule);
    }
    struct pc_shard *shard = channel->shard;
    pthread_mutex_lock(&shard->mutex);
    struct pc_shaper *shaper = shaper_of(engine, app, channel, send, &wake);
    struct pc_shape *shape = shaper ? shape_of(engine, app, shaper, rule) : NULL;
    result = shape ? put(engine, shaper, shape, event, key, now_ms, &wake) : pass(rule);
    if (result != PC_SHAPING_PASSES) {
        channel->holders--;
        pc_channel_settle(&engine->directory, channel);
    }
    pc_shard_unlock(shard);
    pc_wake_workers(engine, wake);
    pc_buf_free(&scratch);
    return result;
}

/* -- ends -- */

uint64_t pc_shaping_vacated(struct pc_engine *engine, struct pc_channel *channel)
{
    uint64_t wake = 0;
    struct pc_shaper *shaper = channel->shaper;
    for (struct part *p = shaper ? shaper->parts : NULL; p; p = p->next) {
        if (engine->relay.prepare)
            p->shape.closing = true;
        else
            pc_shape_drop(&p->shape);
    }
    if (shaper && engine->relay.prepare)
        (void)pc_owned_timer_ask(&shaper->owned, &wake);
    return wake;
}

void pc_shaping_flush(struct pc_worker *worker)
{
    pc_channel_timers_fire(worker, run);
}
