/* Steps about the life of incarnations, and what they hold. Each means what the method of the same name in
 * tests/cluster/model/authority.py says, and tests/cluster/compare.py holds the two together. */
#include "cluster/step.h"

#include <pusherc/error.h>

static void put_word(struct pc_step *s, const char *word)
{
    pc_values_put(&s->answer, pc_slice_of(word));
}

static void put_flag(struct pc_step *s, bool flag)
{
    pc_values_put(&s->answer, flag ? PC_S("1") : PC_S("0"));
}

/* -- messages; pc_step_reserve() has made room -- */

static void begin_message(struct pc_step *s, pusherc_topic topic, pusherc_slice key)
{
    char kind = (char)topic;
    pc_values_put(&s->messages, pc_slice(&kind, 1));
    pc_values_put(&s->messages, key);
}

/* Every incarnation has said what it holds, and the time is over: removals are told from now on. */
static void settle(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    if (!p->unsettled_until_ms || s->now_ms < p->unsettled_until_ms)
        return;
    PC_LIST_EACH(l, &p->by_name) {
        if (PC_CONTAINER(l, struct pc_incarnation, by_name)->unsynced)
            return;
    }
    p->unsettled_until_ms = 0;
    begin_message(s, PUSHERC_TOPIC_PARTITION, PC_S(""));
    size_t begin = s->messages.bytes.len;
    pc_buf_put(&s->messages.bytes, PC_S("S "));
    pc_buf_put(&s->messages.bytes, pc_slice_of(p->epoch));
    pc_values_end(&s->messages, begin);
}

static int reserve_settle(struct pc_step *s)
{
    return pc_step_reserve(s, 1, pc_slice_of(s->partition->epoch).len);
}

/* Numbers a change of a roster, chains it to the one before, and publishes it. `info` is that of a new member. */
static void change(struct pc_step *s, struct pc_occupied *channel, char sign, pusherc_slice user,
                   pusherc_slice info)
{
    struct pc_partition *p = s->partition;
    begin_message(s, PUSHERC_TOPIC_CHANNEL, channel->node.key);
    struct pc_buf *text = &s->messages.bytes;
    size_t begin = text->len;
    pc_buf_put_u64(text, ++p->counter);
    pc_buf_put_char(text, ' ');
    pc_buf_put_u64(text, channel->last);
    pc_buf_put_char(text, ' ');
    pc_buf_put(text, pc_slice_of(p->epoch));
    pc_buf_put_char(text, '\n');
    pc_buf_put_char(text, sign);
    pc_buf_put_u64(text, user.len);
    pc_buf_put_char(text, ':');
    pc_buf_put(text, user);
    pc_buf_put(text, info);
    pc_values_end(&s->messages, begin);
    channel->last = p->counter;
}

static int reserve_change(struct pc_step *s, pusherc_slice channel, size_t member_size)
{
    return pc_step_reserve(s, 1, channel.len + member_size + pc_slice_of(s->partition->epoch).len);
}

static void tell_total(struct pc_step *s, const struct pc_occupied *channel)
{
    begin_message(s, PUSHERC_TOPIC_CHANNEL, channel->node.key);
    size_t begin = s->messages.bytes.len;
    pc_buf_put(&s->messages.bytes, PC_S("C "));
    pc_buf_put_u64(&s->messages.bytes, channel->total);
    pc_values_end(&s->messages, begin);
}

/* -- the life of an incarnation -- */

static bool is_run(const struct pc_partition *p, pusherc_slice run)
{
    return p->run && pc_slice_eq(pc_slice_of(p->run), run);
}

static void tell_partition(struct pc_step *s, const char *word)
{
    begin_message(s, PUSHERC_TOPIC_PARTITION, PC_S(""));
    pc_values_put(&s->messages, pc_slice_of(word));
}

/* The teller may rest while the list is empty: it hears of the first edge. */
static void push_edge(struct pc_step *s, struct pc_edge *edge, const char *kind)
{
    struct pc_partition *p = s->partition;
    bool was_empty = p->edge_count == 0;
    pc_edge_push(p, edge, s->now_ms, kind);
    if (was_empty && p->edge_count > 0)
        tell_partition(s, "T");
}

/* Room for what push_edge() says in this step. */
static int reserve_push(struct pc_step *s)
{
    return pc_step_reserve(s, 1, 0);
}

/* The data is not where it was, so it may be old: every incarnation says again what it holds. */
static void begin_epoch(struct pc_step *s, char *epoch, char *run, uint64_t settle_ms)
{
    struct pc_partition *p = s->partition;
    pc_free(&p->mem, p->epoch);
    pc_free(&p->mem, p->run);
    p->epoch = epoch;
    p->run = run;
    p->unsettled_until_ms = s->now_ms + settle_ms;
    PC_LIST_EACH(l, &p->by_name) {
        struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        inc->unsynced = inc->alive;
        inc->since_ms = s->now_ms;
    }
}

int pc_step_attach(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    pusherc_slice run = s->args[1], have = s->args[5];
    struct pc_incarnation *inc = pc_incarnation_get(p, s->args[0]);
    char *new_epoch = NULL, *new_run = NULL;
    bool moved = !is_run(p, run);
    if (!inc)
        return PUSHERC_ENOMEM;
    if (moved) {
        new_epoch = pc_dup(&p->mem, s->args[4]);
        new_run = pc_dup(&p->mem, run);
    }
    if ((moved && (!new_epoch || !new_run)) ||
        pc_values_reserve(&s->answer, 4, s->args[4].len + 64)) {
        pc_free(&p->mem, new_epoch);
        pc_free(&p->mem, new_run);
        pc_incarnation_settle(p, inc);
        return PUSHERC_ENOMEM;
    }
    if (moved)
        begin_epoch(s, new_epoch, new_run, pc_step_number(s, 3));
    if (inc->dying || (!inc->alive && pc_partition_is_epoch(p, have))) {
        /* It was declared dead meanwhile, and what it believes to hold was taken away. */
        put_word(s, "FENCED");
        pc_incarnation_settle(p, inc);
        return 0;
    }
    if (!inc->alive || inc->lease_end_ms < s->now_ms)
        inc->since_ms = s->now_ms;
    inc->alive = true;
    inc->lease_end_ms = s->now_ms + pc_step_number(s, 2);
    inc->unsynced = have.len && !pc_partition_is_epoch(p, have);
    put_word(s, "OK");
    pc_values_put(&s->answer, pc_slice_of(p->epoch));
    pc_values_put_u64(&s->answer, p->counter);
    put_flag(s, p->unsettled_until_ms > 0);
    return 0;
}

static bool has_lapsed(const struct pc_incarnation *inc, uint64_t now_ms)
{
    return inc->alive && inc->lease_end_ms < now_ms;
}

/* The incarnations that have to be buried, or may have to be. */
static void put_gone(struct pc_step *s, const struct pc_incarnation *asking, uint64_t lease_ms)
{
    bool may_judge = s->now_ms - asking->since_ms >= lease_ms;
    PC_LIST_EACH(l, &s->partition->by_name) {
        const struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        if (inc->dying)
            pc_values_put(&s->answer, inc->node.key);
    }
    PC_LIST_EACH(l, &s->partition->by_name) {
        const struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        if (may_judge && !inc->dying && has_lapsed(inc, s->now_ms))
            pc_values_put(&s->answer, inc->node.key);
    }
}

static bool is_teller(const struct pc_partition *p, const struct pc_incarnation *inc)
{
    return p->teller && pc_slice_eq(pc_slice_of(p->teller), inc->node.key);
}

static bool teller_is_gone(const struct pc_partition *p)
{
    const struct pc_incarnation *inc =
        p->teller ? pc_incarnation_find(p, pc_slice_of(p->teller)) : NULL;
    return !inc || !inc->alive;
}

/* Bytes that the names of all incarnations have; *count: how many are alive. */
static size_t size_of_names(const struct pc_partition *p, uint64_t *count)
{
    size_t size = 0;
    *count = 0;
    PC_LIST_EACH(l, &p->by_name) {
        const struct pc_incarnation *inc = PC_CONTAINER(l, struct pc_incarnation, by_name);
        size += inc->node.key.len;
        *count += inc->alive;
    }
    return size;
}

int pc_step_renew(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    struct pc_incarnation *inc = pc_step_guard(s);
    if (!inc)
        return 0;
    if (!is_run(p, s->args[2])) {
        put_word(s, "EPOCH");
        return 0;
    }
    uint64_t lease_ms = pc_step_number(s, 3), alive;
    size_t names = size_of_names(p, &alive);
    bool office = pc_step_number(s, 4) > 0;
    bool takes = office && teller_is_gone(p), gives = !office && is_teller(p, inc);
    char *teller = takes ? pc_dup(&p->mem, inc->node.key) : NULL;
    if ((takes && !teller) || reserve_settle(s) || pc_step_reserve(s, gives, 0) ||
        pc_values_reserve(&s->answer, 4 + p->incarnations.count, names + 64)) {
        pc_free(&p->mem, teller);
        return PUSHERC_ENOMEM;
    }
    if (takes || gives) {
        pc_free(&p->mem, p->teller);
        p->teller = teller;
    }
    if (has_lapsed(inc, s->now_ms))
        inc->since_ms = s->now_ms; /* it has vouched for no other, and none for it */
    inc->lease_end_ms = s->now_ms + lease_ms;
    settle(s);
    if (gives)
        tell_partition(s, "V");
    put_word(s, "OK");
    put_flag(s, p->unsettled_until_ms > 0);
    put_flag(s, is_teller(p, inc));
    pc_values_put_u64(&s->answer, alive);
    put_gone(s, inc, lease_ms);
    return 0;
}

int pc_step_synced(struct pc_step *s)
{
    struct pc_incarnation *inc = pc_step_guard(s);
    if (!inc)
        return 0;
    if (reserve_settle(s))
        return PUSHERC_ENOMEM;
    inc->unsynced = false;
    settle(s);
    put_word(s, "OK");
    put_flag(s, s->partition->unsettled_until_ms > 0);
    return 0;
}

int pc_step_detach(struct pc_step *s)
{
    struct pc_incarnation *inc = pc_step_guard(s);
    if (!inc)
        return 0;
    if (reserve_settle(s))
        return PUSHERC_ENOMEM;
    inc->unsynced = false;
    if (inc->held.count || inc->counted.count)
        inc->lease_end_ms = s->now_ms - 1; /* it is buried as a dead one is */
    else
        inc->alive = false;
    pc_incarnation_settle(s->partition, inc);
    settle(s);
    put_word(s, "OK");
    return 0;
}

/* Up to `limit` holds and up to `limit` counts, each list with its length in front. */
static void put_holdings(struct pc_step *s, const struct pc_incarnation *inc, uint64_t limit,
                         bool with_counts)
{
    uint64_t held = inc ? inc->held.count : 0, counted = inc ? inc->counted.count : 0, n = 0;
    pc_values_put_u64(&s->answer, held < limit ? held : limit);
    for (struct pc_list *l = held ? inc->held_in_order.next : NULL; n < held && n < limit;
         l = l->next, n++) {
        const struct pc_held *h = PC_CONTAINER(l, struct pc_held, in_order);
        pc_values_put(&s->answer, h->entry->channel->node.key);
        pc_values_put(&s->answer, h->entry->node.key);
    }
    n = 0;
    pc_values_put_u64(&s->answer, counted < limit ? counted : limit);
    for (struct pc_list *l = counted ? inc->counted_in_order.next : NULL; n < counted && n < limit;
         l = l->next, n++) {
        const struct pc_counted *c = PC_CONTAINER(l, struct pc_counted, in_order);
        pc_values_put(&s->answer, c->channel->node.key);
        if (with_counts)
            pc_values_put_u64(&s->answer, c->count);
    }
}

int pc_step_mine(struct pc_step *s)
{
    const struct pc_incarnation *inc = pc_step_guard(s);
    if (!inc)
        return 0;
    put_word(s, "OK");
    put_holdings(s, inc, UINT64_MAX, true);
    return 0;
}

int pc_step_peek(struct pc_step *s)
{
    put_word(s, "OK");
    put_holdings(s, pc_incarnation_find(s->partition, s->args[0]), pc_step_number(s, 1), false);
    return 0;
}

/* -- rosters -- */

/* What a join makes; all of it may be there already. */
struct joining {
    struct pc_occupied *channel;
    struct pc_entry *entry;
    struct pc_held *held;
    struct pc_edge *edge;
};

/* Takes back what was made. */
static void forget(struct pc_step *s, struct joining *j)
{
    pc_edge_free(s->partition, j->edge);
    if (j->entry)
        pc_entry_settle(s->partition, j->entry);
    if (j->channel)
        pc_occupied_settle(s->partition, j->channel);
}

static bool wants(const struct pc_step *s, size_t i)
{
    return pc_step_number(s, i) > 0;
}

/* Totals are told as edges are. */
static bool wants_totals(const struct pc_step *s, size_t i)
{
    return pc_step_number(s, i) >= 2;
}

static int prepare_join(struct pc_step *s, struct pc_incarnation *inc, struct joining *j)
{
    struct pc_partition *p = s->partition;
    pusherc_slice channel = s->args[2], user = s->args[3], info = s->args[4];
    j->channel = pc_occupied_get(p, channel);
    j->entry = j->channel ? pc_entry_get(p, j->channel, user, info) : NULL;
    if (j->entry && j->entry->holders == 0 && wants(s, 7)) {
        j->edge = pc_edge_new(p, channel, user);
        if (!j->edge)
            return PUSHERC_ENOMEM;
    }
    if (!j->entry || reserve_change(s, channel, user.len + info.len) || reserve_push(s))
        return PUSHERC_ENOMEM;
    j->held = pc_held_new(p, inc, j->entry); /* last: what is held stays */
    return j->held ? 0 : PUSHERC_ENOMEM;
}

int pc_step_join(struct pc_step *s)
{
    struct joining j = {.channel = pc_occupied_find(s->partition, s->args[2])};
    struct pc_incarnation *inc = pc_step_guard(s);
    if (!inc)
        return 0;
    j.entry = j.channel ? pc_entry_find(j.channel, s->args[3]) : NULL;
    uint64_t members = j.channel ? j.channel->members.count : 0;
    if (!j.entry && members >= pc_step_number(s, 5) && !wants(s, 6)) {
        put_word(s, "FULL");
        return 0;
    }
    bool first = false;
    if (!pc_held_find(inc, j.entry)) {
        int err = prepare_join(s, inc, &j);
        if (err) {
            forget(s, &j);
            return err;
        }
        first = j.entry->holders++ == 0;
    }
    if (first) {
        change(s, j.channel, '+', j.entry->node.key, j.entry->info);
        j.entry->number = j.channel->last;
        if (j.edge)
            push_edge(s, j.edge, "added");
    }
    put_word(s, "OK");
    pc_values_put_u64(&s->answer, j.channel->last);
    put_flag(s, first);
    return 0;
}

/* Takes a hold away. True: it was the user's last one. Consumes the edge. */
static bool drop(struct pc_step *s, struct pc_incarnation *inc, pusherc_slice channel,
                 pusherc_slice user, struct pc_edge *edge)
{
    struct pc_partition *p = s->partition;
    struct pc_occupied *listed = pc_occupied_find(p, channel);
    struct pc_entry *entry = listed ? pc_entry_find(listed, user) : NULL;
    struct pc_held *held = pc_held_find(inc, entry);
    if (held)
        pc_held_free(p, inc, held);
    if (!held || --entry->holders > 0) {
        pc_edge_free(p, edge);
        return false;
    }
    change(s, listed, '-', entry->node.key, PC_S(""));
    pc_entry_settle(p, entry);
    if (listed->members.count == 0)
        listed->last = 0; /* the chain begins anew with prev 0 */
    if (edge)
        push_edge(s, edge, "removed");
    pc_occupied_settle(p, listed);
    return true;
}

int pc_step_leave(struct pc_step *s)
{
    pusherc_slice channel = s->args[2], user = s->args[3];
    struct pc_incarnation *inc = pc_step_guard(s);
    struct pc_edge *edge = NULL;
    if (!inc)
        return 0;
    if (wants(s, 4) && !(edge = pc_edge_new(s->partition, channel, user)))
        return PUSHERC_ENOMEM;
    if (reserve_change(s, channel, user.len) || reserve_push(s)) {
        pc_edge_free(s->partition, edge);
        return PUSHERC_ENOMEM;
    }
    bool last = drop(s, inc, channel, user, edge);
    put_word(s, "OK");
    put_flag(s, last);
    return 0;
}

int pc_step_fetch(struct pc_step *s)
{
    struct pc_partition *p = s->partition;
    if (!pc_step_reads(s))
        return 0;
    const struct pc_occupied *channel = pc_occupied_find(p, s->args[1]);
    /* An empty roster has no last change: everything up to now is behind it. */
    pc_values_put_u64(&s->answer, channel && channel->last ? channel->last : p->counter);
    put_flag(s, p->unsettled_until_ms > 0);
    if (!channel)
        return 0;
    PC_LIST_EACH(l, &channel->members_in_order) {
        const struct pc_entry *entry = PC_CONTAINER(l, struct pc_entry, in_order);
        pc_values_put(&s->answer, entry->node.key);
        pc_values_put_u64(&s->answer, entry->number);
        pc_values_put(&s->answer, entry->info);
    }
    return 0;
}

int pc_step_verify(struct pc_step *s)
{
    if (!pc_step_reads(s))
        return 0;
    for (size_t i = 1; i < s->arg_count; i += 3) {
        const struct pc_occupied *channel = pc_occupied_find(s->partition, s->args[i]);
        uint64_t members = channel ? channel->members.count : 0;
        if (members != pc_step_number(s, i + 2) ||
            (members > 0 && channel->last != pc_step_number(s, i + 1)))
            pc_values_put(&s->answer, s->args[i]);
    }
    return 0;
}

/* -- counts -- */

/* Sets an absolute number, and tells the channel's edges. Consumes `edge`, and `total` for the channel's new total; both
 * may be NULL. */
static void count(struct pc_step *s, struct pc_counted *counted, uint64_t n, struct pc_edge *edge,
                  struct pc_edge *total)
{
    struct pc_occupied *channel = counted->channel;
    uint64_t before = channel->total, after = before + n - counted->count;
    bool changed = n != counted->count;
    counted->count = n;
    channel->total = after;
    if (edge && (before == 0) != (after == 0))
        push_edge(s, edge, after ? "occupied" : "vacated");
    else
        pc_edge_free(s->partition, edge);
    if (total && changed && after > 0) {
        pc_edge_set_total(total, after);
        push_edge(s, total, "counted");
    } else {
        pc_edge_free(s->partition, total);
    }
}

#define COUNT_FIRST 3 /* argument of the list; each item has five */
#define COUNT_ITEM  5

/* Frees what the items of a count do not need. */
static void settle_counts(struct pc_step *s, struct pc_incarnation *inc)
{
    struct pc_partition *p = s->partition;
    for (size_t i = COUNT_FIRST; i < s->arg_count; i += COUNT_ITEM) {
        struct pc_occupied *channel = pc_occupied_find(p, s->args[i + 1]);
        struct pc_counted *counted = pc_counted_find(inc, channel);
        if (counted)
            pc_counted_settle(p, inc, counted);
        if (channel)
            pc_occupied_settle(p, channel);
    }
}

/* Makes what the items need, and an edge for each in the list. */
static int prepare_counts(struct pc_step *s, struct pc_incarnation *inc, struct pc_list *edges)
{
    struct pc_partition *p = s->partition;
    size_t items = (s->arg_count - COUNT_FIRST) / COUNT_ITEM, size = 0;
    for (size_t i = COUNT_FIRST; i < s->arg_count; i += COUNT_ITEM) {
        pusherc_slice name = s->args[i + 1];
        struct pc_occupied *channel = pc_occupied_get(p, name);
        if (!channel || !pc_counted_get(p, inc, channel) ||
            pc_occupied_set_index(p, channel, s->args[i]))
            return PUSHERC_ENOMEM;
        for (uint64_t k = 0; k < pc_step_number(s, 2) && k < 2;
             k++) { /* the second for the total */
            const char room[PC_U64_DIGITS] = {0};
            struct pc_edge *edge = pc_edge_new(p, name, pc_slice(room, k ? sizeof room : 0));
            if (!edge)
                return PUSHERC_ENOMEM;
            pc_list_push_back(edges, &edge->in_order);
        }
        size += name.len;
    }
    if (reserve_push(s) || pc_step_reserve(s, items, size))
        return PUSHERC_ENOMEM;
    return pc_values_reserve(&s->answer, 1 + 2 * items, 4 + 2 * items * PC_U64_DIGITS);
}

static struct pc_edge *take_edge(struct pc_list *edges)
{
    if (pc_list_empty(edges))
        return NULL;
    struct pc_edge *edge = PC_CONTAINER(edges->next, struct pc_edge, in_order);
    pc_list_remove(&edge->in_order);
    return edge;
}

static void free_edges(struct pc_step *s, struct pc_list *edges)
{
    for (struct pc_edge *edge; (edge = take_edge(edges));)
        pc_edge_free(s->partition, edge);
}

/* With a limit no more is granted than fits, and never less than the incarnation has. */
static uint64_t granted(const struct pc_counted *counted, uint64_t wanted, uint64_t most)
{
    uint64_t total = counted->channel->total, mine = counted->count;
    uint64_t fits = mine + (most > total ? most - total : 0);
    if (wanted <= mine)
        return wanted;
    return wanted < fits ? wanted : fits;
}

int pc_step_count(struct pc_step *s)
{
    struct pc_incarnation *inc = pc_step_guard(s);
    struct pc_list edges;
    if (!inc)
        return 0;
    pc_list_init(&edges);
    int err = prepare_counts(s, inc, &edges);
    if (err == 0)
        put_word(s, "OK");
    for (size_t i = COUNT_FIRST; i < s->arg_count && err == 0; i += COUNT_ITEM) {
        struct pc_counted *counted =
            pc_counted_find(inc, pc_occupied_find(s->partition, s->args[i + 1]));
        uint64_t n = pc_step_number(s, i + 2);
        if (s->args[i + 3].len)
            n = granted(counted, n, pc_step_number(s, i + 3));
        struct pc_edge *edge = take_edge(&edges);
        count(s, counted, n, edge, wants_totals(s, 2) ? take_edge(&edges) : NULL);
        pc_values_put_u64(&s->answer, n);
        pc_values_put_u64(&s->answer, counted->channel->total);
        if (wants(s, i + 4))
            tell_total(s, counted->channel);
    }
    free_edges(s, &edges);
    settle_counts(s, inc);
    return err;
}

/* -- the dead -- */

#define REAP_HELD 5 /* argument: how many holds follow */

/* What a batch takes away, in the arguments. */
struct batch {
    const pusherc_slice *held, *counted; /* channel and user of each; channel of each */
    size_t held_count, counted_count;
    struct pc_list edges; /* one for each, in order, if they are wanted */
};

/* False: the arguments do not fit together. */
static bool read_batch(const struct pc_step *s, struct batch *b)
{
    uint64_t held = pc_step_number(s, REAP_HELD), counted;
    size_t left = s->arg_count - REAP_HELD - 1;
    if (held > left / 2 || left < 2 * held + 1)
        return false;
    b->held = &s->args[REAP_HELD + 1];
    b->held_count = (size_t)held;
    left -= 2 * b->held_count + 1;
    if (!pc_slice_to_u64(b->held[2 * b->held_count], &counted) || counted != left)
        return false;
    b->counted = &b->held[2 * b->held_count + 1];
    b->counted_count = (size_t)counted;
    return true;
}

static int add_edge(struct pc_step *s, struct batch *b, pusherc_slice channel, pusherc_slice user)
{
    if (!wants(s, 4))
        return 0;
    struct pc_edge *edge = pc_edge_new(s->partition, channel, user);
    if (edge)
        pc_list_push_back(&b->edges, &edge->in_order);
    return edge ? 0 : PUSHERC_ENOMEM;
}

static int prepare_batch(struct pc_step *s, struct batch *b)
{
    int err = reserve_settle(s);
    err = err ? err : reserve_push(s);
    for (size_t i = 0; i < b->held_count && err == 0; i++) {
        pusherc_slice channel = b->held[2 * i], user = b->held[2 * i + 1];
        err = add_edge(s, b, channel, user);
        err = err ? err : reserve_change(s, channel, user.len);
    }
    const char room[PC_U64_DIGITS] = {0};
    for (size_t i = 0; i < b->counted_count && err == 0; i++) {
        err = add_edge(s, b, b->counted[i], PC_S(""));
        if (err == 0 && wants_totals(s, 4))
            err = add_edge(s, b, b->counted[i], pc_slice(room, sizeof room));
        if (err == 0 && wants_totals(s, 4))
            err = pc_step_reserve(s, 1, b->counted[i].len);
    }
    return err;
}

static void take_away(struct pc_step *s, struct pc_incarnation *dead, struct batch *b)
{
    struct pc_partition *p = s->partition;
    for (size_t i = 0; i < b->held_count; i++)
        drop(s, dead, b->held[2 * i], b->held[2 * i + 1], take_edge(&b->edges));
    for (size_t i = 0; i < b->counted_count; i++) {
        struct pc_occupied *channel = pc_occupied_find(p, b->counted[i]);
        struct pc_counted *counted = pc_counted_find(dead, channel);
        struct pc_edge *edge = take_edge(&b->edges);
        struct pc_edge *total = wants_totals(s, 4) ? take_edge(&b->edges) : NULL;
        if (!counted) {
            pc_edge_free(p, edge);
            pc_edge_free(p, total);
            continue;
        }
        count(s, counted, 0, edge, total);
        if (wants_totals(s, 4))
            tell_total(s, channel);
        pc_counted_settle(p, dead, counted);
        pc_occupied_settle(p, channel);
    }
}

/* NULL: it may be reaped. Otherwise why not. */
static const char *objection(const struct pc_step *s, const struct pc_incarnation *reaper,
                             const struct pc_incarnation *dead)
{
    if (!dead->alive)
        return NULL;
    if (!has_lapsed(dead, s->now_ms))
        return "ALIVE";
    /* A reaper that has lapsed itself may have slept on what it knew. */
    if (s->now_ms - reaper->since_ms < pc_step_number(s, 2) || has_lapsed(reaper, s->now_ms))
        return "DENIED";
    return NULL;
}

int pc_step_reap(struct pc_step *s)
{
    struct pc_incarnation *inc = pc_step_guard(s);
    struct batch b = {0};
    if (!inc)
        return 0;
    if (!read_batch(s, &b))
        return PUSHERC_EINVAL;
    struct pc_incarnation *dead = pc_incarnation_find(s->partition, s->args[3]);
    const char *why_not = dead ? objection(s, inc, dead) : NULL;
    if (why_not || !dead) {
        put_word(s, why_not ? why_not : "OK");
        if (!why_not)
            put_flag(s, false); /* another incarnation has finished */
        return 0;
    }
    pc_list_init(&b.edges);
    int err = prepare_batch(s, &b);
    if (err == 0) {
        dead->alive = dead->unsynced = false;
        dead->dying = true; /* fenced: what it still asks for is refused from now on */
        take_away(s, dead, &b);
        uint64_t left = dead->held.count + dead->counted.count;
        dead->dying = left > 0;
        pc_incarnation_settle(s->partition, dead);
        settle(s);
        put_word(s, "OK");
        pc_values_put_u64(&s->answer, left);
    }
    free_edges(s, &b.edges);
    return err;
}

/* -- lists -- */

int pc_step_channels(struct pc_step *s)
{
    pusherc_slice index = s->args[0], prefix = s->args[1];
    uint64_t cursor = pc_step_number(s, 2), limit = pc_step_number(s, 3), found = 0, last = 0;
    put_word(s, "OK");
    PC_LIST_EACH(l, &s->partition->by_number) {
        const struct pc_occupied *channel = PC_CONTAINER(l, struct pc_occupied, by_number);
        if (channel->number <= cursor || channel->total == 0 ||
            !pc_slice_eq(pc_slice_of(channel->index), index) ||
            !pc_slice_starts(channel->node.key, prefix))
            continue;
        if (found++ == limit)
            break;
        last = channel->number;
        pc_values_put(&s->answer, channel->node.key);
        pc_values_put_u64(&s->answer, channel->total);
        pc_values_put_u64(&s->answer, channel->members.count);
    }
    pc_values_put_u64(&s->answer, found > limit ? last : 0);
    return 0;
}

int pc_step_totals(struct pc_step *s)
{
    put_word(s, "OK");
    for (size_t i = 0; i < s->arg_count; i++) {
        const struct pc_occupied *channel = pc_occupied_find(s->partition, s->args[i]);
        pc_values_put_u64(&s->answer, channel ? channel->total : 0);
        pc_values_put_u64(&s->answer, channel ? channel->members.count : 0);
    }
    return 0;
}
