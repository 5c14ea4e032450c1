/*
 * failover: several carriers in the order of preference. A batch goes to the first that is not known to be away, and on
 * to the next if that one does not take it. A carrier that was away is tried again after a pause. What a carrier refuses
 * is refused: another one would have to refuse it as well.
 */
#include "broadcast/carrier.h"

#include <pusherc/error.h>

#define REST_MS                                                                                    \
    10000 /* how long a carrier that was away is passed over, unless it says for how long */

struct failover;

struct choice {
    struct failover *failover;
    struct pc_carrier *carrier; /* owned */
    uint64_t away_until_ms;
    bool said_away; /* a line in the log says it */
};

struct failover {
    struct pc_carrier carrier;
    struct choice choices[PC_BROADCAST_MAX_CARRIERS];
    uint32_t count;
    bool ending;
};

static uint64_t now_ms(const struct failover *f)
{
    return uv_now(f->carrier.home->uv);
}

static uint32_t first_choice(const struct failover *f)
{
    for (uint32_t i = 0; i < f->count; i++)
        if (f->choices[i].away_until_ms <= now_ms(f))
            return i;
    return 0;
}

static void send_by(struct failover *f, struct pc_broadcast_batch *batch, uint32_t nth)
{
    batch->nth = nth;
    batch->tried++;
    pc_carrier_send(f->choices[nth].carrier, batch);
}

static void failover_send(struct pc_carrier *carrier, struct pc_broadcast_batch *batch)
{
    struct failover *f = PC_CONTAINER(carrier, struct failover, carrier);
    send_by(f, batch, first_choice(f));
}

static void set_away(struct choice *choice, uint32_t nth, const struct pc_broadcast_answer *answer)
{
    const struct failover *f = choice->failover;
    uint32_t rest = answer->retry_after_ms ? answer->retry_after_ms : REST_MS;
    choice->away_until_ms = now_ms(f) + rest;
    if (!choice->said_away)
        PC_LOG(&f->carrier.home->log, WARN, ((struct pc_log_about){.subject = "broadcast"}),
               "carrier %u of failover: takes nothing: %.*s", nth + 1, (int)answer->reason.len,
               answer->reason.ptr ? answer->reason.ptr : "");
    choice->said_away = true;
}

static void set_back(struct choice *choice, uint32_t nth)
{
    choice->away_until_ms = 0;
    if (choice->said_away)
        PC_LOG(&choice->failover->carrier.home->log, INFO,
               ((struct pc_log_about){.subject = "broadcast"}), "carrier %u of failover: is back",
               nth + 1);
    choice->said_away = false;
}

static void on_answer(void *owner, struct pc_broadcast_batch *batch,
                      const struct pc_broadcast_answer *answer)
{
    struct failover *f = owner;
    const uint32_t nth = batch->nth;
    bool taken =
        answer->outcome == PC_BROADCAST_ACCEPTED || answer->outcome == PC_BROADCAST_REFUSED;
    if (taken)
        set_back(&f->choices[nth], nth);
    else if (answer->outcome == PC_BROADCAST_AWAY && !f->ending)
        set_away(&f->choices[nth], nth, answer);
    if (taken || f->ending || batch->tried >= f->count)
        pc_carrier_answer(&f->carrier, batch, answer);
    else
        send_by(f, batch, (nth + 1) % f->count);
}

static void failover_turn(struct pc_carrier *carrier)
{
    struct failover *f = PC_CONTAINER(carrier, struct failover, carrier);
    for (uint32_t i = 0; i < f->count; i++)
        if (f->choices[i].carrier->ops->turn)
            f->choices[i].carrier->ops->turn(f->choices[i].carrier);
}

static bool failover_ended(struct pc_carrier *carrier)
{
    struct failover *f = PC_CONTAINER(carrier, struct failover, carrier);
    bool all = true;
    f->ending = true;
    for (uint32_t i = 0; i < f->count; i++)
        all &= pc_carrier_ended(f->choices[i].carrier);
    return all;
}

static void failover_free(struct pc_carrier *carrier)
{
    struct failover *f = PC_CONTAINER(carrier, struct failover, carrier);
    for (uint32_t i = 0; i < f->count; i++)
        f->choices[i].carrier->ops->free(f->choices[i].carrier);
    pc_free(&carrier->home->mem, f);
}

/* 0 = as the options say. */
static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a && (!b || a < b) ? a : b;
}

static int add(struct failover *f, pusherc_slice setting, const char **why)
{
    struct choice *choice = &f->choices[f->count];
    *why = "failover: takes at most 8 settings";
    if (f->count == PC_BROADCAST_MAX_CARRIERS)
        return PUSHERC_EINVAL;
    int err = f->carrier.home->make(&choice->carrier, f->carrier.home, setting, true, why);
    if (err)
        return err;
    choice->failover = f;
    choice->carrier->answered = on_answer;
    choice->carrier->owner = f;
    f->carrier.max_events = smaller(f->carrier.max_events, choice->carrier->max_events);
    f->carrier.max_under_way = smaller(f->carrier.max_under_way, choice->carrier->max_under_way);
    f->count++;
    return 0;
}

int pc_carrier_new_failover(struct pc_carrier **out, struct pc_carrier_home *home,
                            struct pc_broadcast_url *url, const char **why)
{
    static const struct pc_carrier_kind_ops ops = {.send = failover_send,
                                                   .turn = failover_turn,
                                                   .ended = failover_ended,
                                                   .free = failover_free};
    struct failover *f = pc_alloc_zero(&home->mem, sizeof *f);
    pusherc_slice list = url->rest, one;
    int err = 0;
    if (!f)
        return PUSHERC_ENOMEM;
    f->carrier = (struct pc_carrier){.ops = &ops, .home = home};
    while (err == 0 && pc_broadcast_url_next(&list, &one))
        err = add(f, one, why);
    if (err)
        failover_free(&f->carrier);
    else
        *out = &f->carrier;
    return err;
}
