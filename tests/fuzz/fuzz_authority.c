/*
 * Steps of several processes on one authority, in any order. After every step the state fits together: totals are the
 * sums of what incarnations count, a member has as many holders as incarnations hold it, and a roster's changes are
 * chained without a gap. At the end all incarnations are buried, and nothing is left.
 */
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "cluster/step.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define NAMES    4
#define LEASE_MS 100

struct input {
    const uint8_t *data;
    size_t size;
};

struct world {
    pusherc_authority *authority;
    struct pc_partition *p; /* its state */
    struct input in;
    uint64_t now_ms;
    pusherc_slice args[32];
    size_t arg_count;
    char numbers[32][PC_U64_DIGITS];
    char epoch[32];
    unsigned epochs;
    uint64_t last[NAMES]; /* of each channel, by the changes published */
    bool answered;
};

static uint8_t next(struct world *w)
{
    if (w->in.size == 0)
        return 0;
    w->in.size--;
    return *w->in.data++;
}

static void add(struct world *w, const char *text)
{
    w->args[w->arg_count++] = pc_slice_of(text);
}

static void add_number(struct world *w, uint64_t n)
{
    char *at = w->numbers[w->arg_count];
    w->args[w->arg_count++] = pc_slice(at, pc_format_u64(n, at));
}

static const char *pick(struct world *w, const char *const names[NAMES])
{
    return names[next(w) % NAMES];
}

static const char *const incs[NAMES] = {"a.0", "b.0", "b.1", "c.0"};
static const char *const channels[NAMES] = {"app/a", "app/b", "app/presence-c", "app/"};
static const char *const users[NAMES] = {"u", "v", "", "1:u"};
static const char *const runs[NAMES] = {"r", "r", "r", "s"};

static void add_epoch(struct world *w)
{
    bool right = next(w) % 8 > 0;
    add(w, right && w->p->epoch ? strcpy(w->epoch, w->p->epoch) : "e0");
}

/* A change of a roster is chained to the one before. */
static void on_message(pusherc_topic topic, pusherc_slice key, pusherc_slice message,
                       void *user_data)
{
    struct world *w = user_data;
    uint64_t number, before;
    size_t space = pc_slice_find(message, ' ');
    if (topic != PUSHERC_TOPIC_CHANNEL || !pc_slice_to_u64(pc_slice_first(message, space), &number))
        return;
    pusherc_slice rest = pc_slice_skip(message, space + 1);
    REQUIRE(pc_slice_to_u64(pc_slice_first(rest, pc_slice_find(rest, ' ')), &before));
    for (size_t i = 0; i < NAMES; i++) {
        if (!pc_slice_eq(key, pc_slice_of(channels[i])))
            continue;
        const struct pc_occupied *channel = pc_occupied_find(w->p, key);
        REQUIRE(before == w->last[i] && number > before);
        w->last[i] = channel && channel->members.count ? number : 0;
    }
}

static void on_answer(const pusherc_slice *values, size_t count, void *user_data)
{
    struct world *w = user_data;
    REQUIRE(count > 0 && values[0].len > 0);
    w->answered = true;
}

static void execute(struct world *w, pusherc_step step)
{
    w->answered = false;
    int err = pusherc_authority_execute(w->authority, w->now_ms * 1000, step, w->args, w->arg_count,
                                        on_message, on_answer, w);
    REQUIRE(w->answered == (err == 0));
    REQUIRE(err == 0 || err == PUSHERC_EINVAL);
    w->arg_count = 0;
}

static void add_batch(struct world *w, unsigned most_held)
{
    unsigned held = next(w) % (most_held + 1), counted = next(w) % 3;
    add_number(w, held);
    for (unsigned i = 0; i < held; i++) {
        add(w, pick(w, channels));
        add(w, pick(w, users));
    }
    add_number(w, counted);
    for (unsigned i = 0; i < counted; i++)
        add(w, pick(w, channels));
}

/* A batch changes rosters more than once, so on_message() cannot look at the end of it: one member at a time. */
static void reap(struct world *w)
{
    add(w, pick(w, incs));
    add_epoch(w);
    add_number(w, LEASE_MS);
    add(w, pick(w, incs));
    add_number(w, next(w) % 2);
    add_batch(w, 1);
    execute(w, PUSHERC_STEP_REAP);
}

static void attach(struct world *w)
{
    static const char *const fresh[] = {"e1", "e2", "e3", "e4", "e5", "e6", "e7", "e8"};
    add(w, pick(w, incs));
    add(w, pick(w, runs));
    add_number(w, LEASE_MS);
    add_number(w, 50);
    add(w, fresh[w->epochs++ % 8]);
    if (next(w) % 2)
        add_epoch(w);
    else
        add(w, "");
    execute(w, PUSHERC_STEP_ATTACH);
}

static void count(struct world *w)
{
    unsigned items = next(w) % 3 + 1;
    add(w, pick(w, incs));
    add_epoch(w);
    add_number(w, next(w) % 2);
    for (unsigned i = 0; i < items; i++) {
        add(w, "app:o");
        add(w, pick(w, channels));
        add_number(w, next(w) % 4);
        if (next(w) % 3)
            add(w, "");
        else
            add_number(w, next(w) % 8);
        add_number(w, next(w) % 2);
    }
    execute(w, PUSHERC_STEP_COUNT);
}

static void step(struct world *w)
{
    uint8_t kind = next(w) % 16;
    w->now_ms += next(w) % 32 == 0 ? LEASE_MS : next(w) % 4;
    if (kind < 2) {
        attach(w);
    } else if (kind < 4) {
        add(w, pick(w, incs));
        add_epoch(w);
        add(w, pick(w, runs));
        add_number(w, LEASE_MS);
        add_number(w, next(w) % 4 > 0);
        execute(w, PUSHERC_STEP_RENEW);
    } else if (kind < 8) {
        add(w, pick(w, incs));
        add_epoch(w);
        add(w, pick(w, channels));
        add(w, pick(w, users));
        add(w, "{}");
        add_number(w, next(w) % 4);
        add_number(w, next(w) % 2);
        add_number(w, next(w) % 2);
        execute(w, PUSHERC_STEP_JOIN);
    } else if (kind < 11) {
        add(w, pick(w, incs));
        add_epoch(w);
        add(w, pick(w, channels));
        add(w, pick(w, users));
        add_number(w, next(w) % 2);
        execute(w, PUSHERC_STEP_LEAVE);
    } else if (kind < 13) {
        count(w);
    } else if (kind < 15) {
        reap(w);
    } else {
        /* any arguments for any step */
        pusherc_step any = (pusherc_step)(next(w) % (PUSHERC_STEP_TOTALS + 2));
        unsigned extra = next(w) % 4;
        add(w, pick(w, incs));
        add_epoch(w);
        for (unsigned i = 0; i < extra; i++)
            add_number(w, next(w) % 4);
        if (next(w) % 2)
            add_batch(w, 3);
        if (any != PUSHERC_STEP_REAP)
            execute(w, any);
        w->arg_count = 0;
    }
}

/* -- what has to hold -- */

static void check(const struct world *w)
{
    uint64_t counted = 0, held = 0, totals = 0, holders = 0;
    PC_LIST_EACH(l, &w->p->by_name) {
        const struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        REQUIRE(inc->alive || inc->dying);
        held += inc->held.count;
        PC_LIST_EACH(c, &inc->counted_in_order) {
            uint64_t n = PC_CONTAINER(c, struct pc_counted, in_order)->count;
            REQUIRE(n > 0);
            counted += n;
        }
    }
    PC_LIST_EACH(l, &w->p->by_number) {
        const struct pc_occupied *channel = PC_CONTAINER(l, struct pc_occupied, by_number);
        REQUIRE(channel->total || channel->members.count);
        REQUIRE((channel->last > 0) == (channel->members.count > 0));
        REQUIRE(channel->last <= w->p->counter);
        totals += channel->total;
        PC_LIST_EACH(m, &channel->members_in_order) {
            const struct pc_entry *entry = PC_CONTAINER(m, struct pc_entry, in_order);
            REQUIRE(entry->holders > 0 && entry->number <= channel->last);
            holders += entry->holders;
        }
    }
    REQUIRE(counted == totals && held == holders);
}

/* The first hold or count of a dying or lapsed incarnation is taken away. */
static void bury(struct world *w, const struct pc_incarnation *dead)
{
    add(w, "reaper");
    w->args[w->arg_count++] = pc_slice_of(w->p->epoch);
    add_number(w, LEASE_MS);
    w->args[w->arg_count++] = dead->node.key;
    add_number(w, 1);
    if (dead->held.count) {
        const struct pc_held *held =
            PC_CONTAINER(dead->held_in_order.next, struct pc_held, in_order);
        add_number(w, 1);
        w->args[w->arg_count++] = held->entry->channel->node.key;
        w->args[w->arg_count++] = held->entry->node.key;
        add_number(w, 0);
    } else {
        const struct pc_counted *counted =
            PC_CONTAINER(dead->counted_in_order.next, struct pc_counted, in_order);
        add_number(w, 0);
        add_number(w, dead->counted.count ? 1 : 0);
        if (dead->counted.count)
            w->args[w->arg_count++] = counted->channel->node.key;
    }
    execute(w, PUSHERC_STEP_REAP);
}

static void renew_reaper(struct world *w)
{
    add(w, "reaper");
    w->args[w->arg_count++] = pc_slice_of(w->p->epoch);
    w->args[w->arg_count++] = pc_slice_of(w->p->run);
    add_number(w, LEASE_MS);
    add_number(w, 1);
    execute(w, PUSHERC_STEP_RENEW);
}

static void bury_all(struct world *w)
{
    char *run = strdup(w->p->run ? w->p->run : "r"); /* attaching changes it */
    REQUIRE(run);
    add(w, "reaper");
    add(w, run);
    add_number(w, LEASE_MS);
    add_number(w, 50);
    add(w, "last");
    add(w, "");
    execute(w, PUSHERC_STEP_ATTACH);
    for (int i = 0; i < 4; i++) {
        w->now_ms += LEASE_MS - 1;
        renew_reaper(w);
    }
    PC_LIST_EACH_SAFE(l, following, &w->p->by_name) {
        struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        if (pc_slice_eq(inc->node.key, PC_S("reaper")))
            continue;
        for (size_t left = inc->held.count + inc->counted.count + 1, n = 0; n < left; n++) {
            bool over = pc_incarnation_find(w->p, inc->node.key) == NULL;
            if (over)
                break;
            bool last = inc->held.count + inc->counted.count <= 1;
            bury(w, inc);
            check(w);
            if (last)
                break;
        }
    }
    renew_reaper(w);
    REQUIRE(w->p->incarnations.count == 1 && w->p->channels.count == 0);
    REQUIRE(w->p->unsettled_until_ms == 0);
    free(run);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct world w = {.in = {data, size}, .now_ms = 1000};
    REQUIRE(pusherc_authority_new(&w.authority, NULL) == 0);
    w.p = (struct pc_partition *)w.authority; /* its first member */
    while (w.in.size > 0) {
        step(&w);
        check(&w);
    }
    bury_all(&w);
    pusherc_authority_free(w.authority);
    return 0;
}
