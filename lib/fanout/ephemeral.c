#include "fanout/ephemeral.h"

#include <string.h>

#include "base/pack.h"
#include "base/stat.h"

struct lane {
    struct pc_list of_table;
    uint32_t ttl_ms;
    struct pc_list states; /* the one that is over first comes first */
};

struct pc_ephemeral {
    struct pc_map_node node;
    struct pc_said *said; /* counted */
    struct lane *lane;
    struct pc_list link; /* in its lane, or in `left` */
    bool left;           /* it is in `left` */
    bool said_by_several;
    uint64_t ends_ms;
    struct pc_list holds;
};

#define STATE(link_)    PC_CONTAINER(link_, struct pc_ephemeral, link)
#define LANE(link_)     PC_CONTAINER(link_, struct lane, of_table)
#define OF_STATE(link_) PC_CONTAINER(link_, struct pc_ephemeral_hold, of_state)

/* -- what is said -- */

struct pc_said *pc_said_new(const struct pc_mem *mem, pusherc_slice event, pusherc_slice who,
                            pusherc_slice key, pusherc_slice data)
{
    const uint32_t lens[] = {(uint32_t)event.len, (uint32_t)who.len};
    const size_t id_len = sizeof lens + event.len + who.len + key.len;
    struct pc_said *said = pc_alloc_zero(mem, sizeof *said + id_len + data.len);
    if (!said)
        return NULL;
    char *at = said->text;
    atomic_init(&said->refs, 1);
    said->mem = *mem;
    said->id = pc_slice(at, id_len);
    pc_pack(&at, pc_slice((const char *)lens, sizeof lens));
    said->event = pc_pack(&at, event);
    said->who = pc_pack(&at, who);
    said->key = pc_pack(&at, key);
    said->data = pc_pack(&at, data);
    return said;
}

void pc_said_ref(struct pc_said *said)
{
    atomic_fetch_add_explicit(&said->refs, 1, memory_order_relaxed);
}

void pc_said_unref(struct pc_said *said)
{
    /* acquire: the thread that frees sees everything the other holders did */
    if (!said || atomic_fetch_sub_explicit(&said->refs, 1, memory_order_acq_rel) != 1)
        return;
    struct pc_mem mem = said->mem;
    pc_free(&mem, said);
}

static uint64_t bytes_of(const struct pc_said *said)
{
    return sizeof(struct pc_ephemeral) + sizeof *said + said->id.len + said->data.len;
}

/* -- the app's share -- */

static bool take_share(struct pc_ephemera_table *table, uint64_t bytes, uint32_t max)
{
    _Atomic uint64_t *held = &table->share->bytes;
    if (atomic_fetch_add_explicit(held, bytes, memory_order_relaxed) + bytes <= max)
        return true;
    atomic_fetch_sub_explicit(held, bytes, memory_order_relaxed);
    return false;
}

static void give_share(struct pc_ephemera_table *table, uint64_t bytes)
{
    atomic_fetch_sub_explicit(&table->share->bytes, bytes, memory_order_relaxed);
}

/* -- lanes and holds -- */

static void lane_settle(struct pc_ephemera_table *table, struct lane *lane)
{
    if (!pc_list_empty(&lane->states))
        return;
    pc_list_remove(&lane->of_table);
    pc_free(table->mem, lane);
}

/* The lane, which may be new and empty; NULL = out of memory. */
static struct lane *lane_get(struct pc_ephemera_table *table, uint32_t ttl_ms)
{
    PC_LIST_EACH(link, &table->lanes)
        if (LANE(link)->ttl_ms == ttl_ms)
            return LANE(link);
    struct lane *lane = pc_alloc(table->mem, sizeof *lane);
    if (!lane)
        return NULL;
    lane->ttl_ms = ttl_ms;
    pc_list_init(&lane->of_table);
    pc_list_init(&lane->states);
    pc_list_push_back(&table->lanes, &lane->of_table);
    return lane;
}

/* Takes the state out of its lane, or of `left`. */
static void unlink_state(struct pc_ephemera_table *table, struct pc_ephemeral *state)
{
    pc_list_remove(&state->link);
    if (!state->left)
        lane_settle(table, state->lane);
}

static void hold_free(struct pc_ephemera_table *table, struct pc_ephemeral_hold *hold)
{
    pc_list_remove(&hold->of_state);
    *hold->at = hold->next;
    if (hold->next)
        hold->next->at = hold->at;
    give_share(table, sizeof *hold);
    pc_free(table->mem, hold);
}

static void hold_add(struct pc_ephemeral_hold *hold, struct pc_ephemeral_hold **holder,
                     struct pc_ephemeral *state)
{
    hold->state = state;
    pc_list_push_back(&state->holds, &hold->of_state);
    hold->next = *holder;
    hold->at = holder;
    if (hold->next)
        hold->next->at = &hold->next;
    *holder = hold;
}

/* -- the table -- */

void pc_ephemera_init(struct pc_ephemera_table *table, const struct pc_mem *mem,
                      const uint64_t seed[2], struct pc_ephemeral_share *share)
{
    table->mem = mem;
    table->share = share;
    pc_map_init(&table->by_id, mem, seed);
    pc_list_init(&table->lanes);
    pc_list_init(&table->left);
}

static struct pc_ephemeral *find(const struct pc_ephemera_table *table, pusherc_slice id)
{
    struct pc_map_node *node = pc_map_find(&table->by_id, id);
    return node ? PC_CONTAINER(node, struct pc_ephemeral, node) : NULL;
}

static void end(struct pc_ephemera_table *table, struct pc_ephemeral *state)
{
    pc_map_remove(&table->by_id, &state->node);
    while (!pc_list_empty(&state->holds))
        hold_free(table, OF_STATE(state->holds.next));
    unlink_state(table, state);
    give_share(table, bytes_of(state->said));
    pc_stat_add_shared(&table->share->ended, 1);
    pc_said_unref(state->said);
    pc_free(table->mem, state);
}

static void end_node(struct pc_map_node *node, void *ctx)
{
    end(ctx, PC_CONTAINER(node, struct pc_ephemeral, node));
}

void pc_ephemera_free(struct pc_ephemera_table *table)
{
    pc_map_each(&table->by_id, end_node, table);
    pc_map_free(&table->by_id);
}

static int full(struct pc_ephemera_table *table, struct pc_ephemeral_bounds *bounds,
                const char *setting)
{
    bounds->full = setting;
    pc_stat_add_shared(&table->share->refused, 1);
    return PUSHERC_ELIMIT;
}

/* How many states the connection holds; *has: this one is among them. */
static uint32_t count_holds(struct pc_ephemeral_hold **holder, const struct pc_ephemeral *state,
                            bool *has)
{
    uint32_t count = 0;
    *has = false;
    for (const struct pc_ephemeral_hold *h = holder ? *holder : NULL; h; h = h->next, count++)
        *has |= h->state == state;
    return count;
}

/* What a put is made of, before anything has changed. */
struct putting {
    struct pc_ephemeral *state;     /* a new one */
    struct pc_ephemeral_hold *hold; /* a new one */
    uint64_t taken;                 /* of the share */
};

static int prepare(struct pc_ephemera_table *table, const struct pc_ephemeral *old, bool holds,
                   const struct pc_said *said, struct pc_ephemeral_bounds *bounds,
                   struct putting *out)
{
    out->taken = bytes_of(said) + (holds ? sizeof *out->hold : 0);
    if (!take_share(table, out->taken, bounds->max_bytes)) {
        out->taken = 0;
        return full(table, bounds, "max_ephemeral_bytes");
    }
    if (!old && !(out->state = pc_alloc_zero(table->mem, sizeof *out->state)))
        return PUSHERC_ENOMEM;
    if (holds && !(out->hold = pc_alloc_zero(table->mem, sizeof *out->hold)))
        return PUSHERC_ENOMEM;
    if (old)
        return 0;
    pc_list_init(&out->state->link);
    pc_list_init(&out->state->holds);
    out->state->node.key = said->id;
    return pc_map_insert(&table->by_id, &out->state->node);
}

static void say(struct pc_ephemera_table *table, struct pc_ephemeral *state, struct pc_said *said,
                struct lane *lane, uint64_t now_ms)
{
    if (state->said) {
        const pusherc_socket_id a = state->said->by, b = said->by;
        state->said_by_several |= a.a != b.a || a.b != b.b;
        give_share(table, bytes_of(state->said));
        pc_list_remove(&state->link);
        if (!state->left && state->lane != lane)
            lane_settle(table, state->lane);
        state->node.key = said->id; /* the same text */
        pc_said_unref(state->said);
    }
    pc_said_ref(said);
    state->said = said;
    state->lane = lane;
    state->left = false;
    state->ends_ms = now_ms + lane->ttl_ms;
    pc_list_push_back(&lane->states, &state->link);
}

int pc_ephemera_put(struct pc_ephemera_table *table, struct pc_said *said,
                    struct pc_ephemeral_bounds *bounds, struct pc_ephemeral_hold **holder,
                    uint64_t now_ms)
{
    struct putting new = {.state = NULL};
    struct pc_ephemeral *state = find(table, said->id);
    const bool begins = !state;
    bool has;
    const uint32_t held = count_holds(holder, state, &has);
    const bool holds = holder && !has;
    if (begins && table->by_id.count >= bounds->rule->max_states)
        return full(table, bounds, "max_states");
    if (holds && held >= bounds->rule->max_keys)
        return full(table, bounds, "max_keys");
    struct lane *lane = lane_get(table, bounds->rule->ttl_ms);
    int err = lane ? prepare(table, state, holds, said, bounds, &new) : PUSHERC_ENOMEM;
    if (err) {
        give_share(table, new.taken);
        pc_free(table->mem, new.hold);
        pc_free(table->mem, new.state);
        if (lane)
            lane_settle(table, lane);
        return err;
    }
    state = begins ? new.state : state;
    say(table, state, said, lane, now_ms);
    if (new.hold)
        hold_add(new.hold, holder, state);
    pc_stat_add_shared(&table->share->begun, begins);
    return 0;
}

bool pc_ephemera_end(struct pc_ephemera_table *table, pusherc_slice id)
{
    struct pc_ephemeral *state = find(table, id);
    if (state)
        end(table, state);
    return state != NULL;
}

struct pc_said *pc_ephemera_find(const struct pc_ephemera_table *table, pusherc_slice id)
{
    const struct pc_ephemeral *state = find(table, id);
    return state ? state->said : NULL;
}

void pc_ephemera_let_go(struct pc_ephemera_table *table, struct pc_ephemeral_hold **holder)
{
    while (*holder) {
        struct pc_ephemeral *state = (*holder)->state;
        hold_free(table, *holder);
        if (!pc_list_empty(&state->holds))
            continue;
        unlink_state(table, state);
        state->left = true;
        pc_list_push_back(&table->left, &state->link);
    }
}

/* -- ends -- */

static struct pc_ephemeral *first_over(const struct pc_ephemera_table *table, uint64_t now_ms)
{
    if (!pc_list_empty(&table->left))
        return STATE(table->left.next);
    PC_LIST_EACH(link, &table->lanes) {
        struct pc_ephemeral *state = STATE(LANE(link)->states.next);
        if (state->ends_ms <= now_ms)
            return state;
    }
    return NULL;
}

struct pc_said *pc_ephemera_over(const struct pc_ephemera_table *table, uint64_t now_ms,
                                 pusherc_socket_id *except)
{
    const struct pc_ephemeral *state = first_over(table, now_ms);
    if (!state)
        return NULL;
    *except = state->said_by_several ? (pusherc_socket_id){0} : state->said->by;
    return state->said;
}

bool pc_ephemera_end_over(struct pc_ephemera_table *table, const struct pc_said *said,
                          uint64_t now_ms, bool at_once)
{
    struct pc_ephemeral *state = find(table, said->id);
    if (!state || state->said != said || !(at_once || state->left || state->ends_ms <= now_ms))
        return false;
    end(table, state);
    return true;
}

bool pc_ephemera_is_left(const struct pc_ephemera_table *table, pusherc_slice id)
{
    const struct pc_ephemeral *state = find(table, id);
    return state && state->left;
}

uint64_t pc_ephemera_due(const struct pc_ephemera_table *table, uint64_t now_ms)
{
    uint64_t due = UINT64_MAX;
    if (!pc_list_empty(&table->left))
        return 0;
    PC_LIST_EACH(link, &table->lanes) {
        const uint64_t ends_ms = STATE(LANE(link)->states.next)->ends_ms;
        due = ends_ms < due ? ends_ms : due;
    }
    return due <= now_ms ? 0 : due;
}

void pc_ephemera_each(const struct pc_ephemera_table *table, pc_ephemera_visit_fn visit, void *ctx)
{
    PC_LIST_EACH(lane, &table->lanes)
        PC_LIST_EACH(link, &LANE(lane)->states)
            visit(STATE(link)->said, STATE(link)->ends_ms, ctx);
}
