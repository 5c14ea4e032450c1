#include "cluster/search.h"
#include "cluster/relay.h"

#include <pusherc/error.h>

#include "codec/json.h"
#include "fanout/elsewhere.h"

#define CHANNELS_LIMIT 1000 /* in one step */
#define MAX_FOUND      (64u << 20)

static void go_on(struct pusherc_link *node, struct pc_search *search);

static void finish(struct pc_search *search, int err)
{
    search->err = err ? err : pc_buf_status(&search->found);
    (void)pc_pending_answer(&search->pending);
}

/* Waits for the next try. */
static void wait(struct pusherc_link *node, struct pc_search *search)
{
    pc_list_push_back(&node->searches, &search->in_order);
}

static void on_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    finish(r->search, PUSHERC_ETIMEDOUT);
}

static void send(struct pc_node_part *part, struct pc_search *search,
                 const struct pc_request_kind *kind, struct pc_values *args)
{
    struct pc_request *r = pc_request_new(part->node, kind);
    if (r)
        r->search = search;
    if (!pc_request_send(part, r, args))
        wait(part->node, search);
}

/* "app/channel" */
static void put_key(struct pc_values *args, const struct pc_search *search, pusherc_slice channel)
{
    size_t begin = args->bytes.len;
    pc_buf_put(&args->bytes, pc_buf_slice(&search->app_id));
    pc_buf_put_char(&args->bytes, '/');
    pc_buf_put(&args->bytes, channel);
    pc_values_end(args, begin);
}

static struct pc_node_part *part_of(struct pusherc_link *node, const struct pc_search *search,
                                    pusherc_slice channel)
{
    struct pc_values key;
    pc_values_init(&key, &node->engine->mem);
    put_key(&key, search, channel);
    struct pc_node_part *part =
        pc_values_status(&key) ? NULL : pc_node_part_of(node, pc_values_list(&key)[0]);
    pc_values_free(&key);
    return part;
}

/* -- channels by prefix: each partition in turn, the list of presence channels and that of others -- */

static void on_channels(struct pc_node_part *part, struct pc_request *r,
                        const pusherc_slice *values, size_t count)
{
    struct pc_search *search = r->search;
    size_t skip = search->app_id.len + 1;
    bool sound =
        count >= 2 && (count - 2) % 3 == 0 && pc_slice_to_u64(values[count - 1], &search->cursor);
    for (size_t i = 1; sound && i + 1 < count; i += 3) {
        uint64_t subscriptions, members;
        sound = values[i].len > skip && pc_slice_to_u64(values[i + 1], &subscriptions) &&
                pc_slice_to_u64(values[i + 2], &members);
        if (sound)
            pc_search_add(search, pc_slice_skip(values[i], skip), PC_S(""), subscriptions, members);
    }
    if (!sound) {
        pc_node_refuse(part->node, "a list of channels");
        finish(search, PUSHERC_ETIMEDOUT);
        return;
    }
    if (search->cursor == 0 && search->index++ == 1) {
        search->index = 0;
        search->part++;
    }
    go_on(part->node, search);
}

static const struct pc_request_kind channels_kind = {PUSHERC_STEP_CHANNELS, on_channels,
                                                     on_forgotten};

static void ask_channels(struct pusherc_link *node, struct pc_search *search)
{
    struct pc_node_part *part = &node->parts[search->part];
    struct pc_values args;
    if (search->index == 1 && pc_slice_starts(pc_buf_slice(&search->text), PC_S("presence-"))) {
        search->index = 0; /* not in the other list */
        search->part++;
        go_on(node, search);
        return;
    }
    pc_values_init(&args, &node->engine->mem);
    pc_buf_put(&args.bytes, pc_buf_slice(&search->app_id));
    pc_buf_put(&args.bytes, search->index == 0 ? PC_S(":p") : PC_S(":o"));
    pc_values_end(&args, 0);
    put_key(&args, search, pc_buf_slice(&search->text));
    pc_values_put_u64(&args, search->cursor);
    pc_values_put_u64(&args, CHANNELS_LIMIT);
    send(part, search, &channels_kind, &args);
}

/* -- counts of channels, one after the other -- */

static pusherc_slice line_at(const struct pc_search *search)
{
    pusherc_slice rest = pc_slice_skip(pc_buf_slice(&search->text), search->at);
    return pc_slice_first(rest, pc_slice_find(rest, '\n'));
}

static void on_totals(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                      size_t count)
{
    struct pc_search *search = r->search;
    uint64_t subscriptions, members;
    pusherc_slice name = line_at(search);
    if (count != 3 || !pc_slice_to_u64(values[1], &subscriptions) ||
        !pc_slice_to_u64(values[2], &members)) {
        pc_node_refuse(part->node, "counts");
        finish(search, PUSHERC_ETIMEDOUT);
        return;
    }
    pc_search_add(search, name, PC_S(""), subscriptions, members);
    search->at += name.len + 1;
    go_on(part->node, search);
}

static const struct pc_request_kind totals_kind = {PUSHERC_STEP_TOTALS, on_totals, on_forgotten};

static void ask_totals(struct pc_node_part *part, struct pc_search *search)
{
    struct pc_values args;
    pc_values_init(&args, &part->node->engine->mem);
    put_key(&args, search, line_at(search));
    send(part, search, &totals_kind, &args);
}

/* -- members -- */

static void on_members(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    struct pc_search *search = r->search;
    bool sound = count >= 3 && (count - 3) % 3 == 0;
    for (size_t i = 3; sound && i < count; i += 3) {
        sound = pc_utf8_valid(values[i]) && pc_json_parse(values[i + 2]).type != PC_JSON_NONE;
        pc_search_add(search, values[i], values[i + 2], 0, 0);
    }
    if (!sound)
        pc_node_refuse(part->node, "a roster");
    finish(search, sound ? 0 : PUSHERC_ETIMEDOUT);
}

static const struct pc_request_kind members_kind = {PUSHERC_STEP_FETCH, on_members, on_forgotten};

static void ask_members(struct pc_node_part *part, struct pc_search *search)
{
    struct pc_values args;
    pc_values_init(&args, &part->node->engine->mem);
    pc_values_put(&args, pc_slice_of(part->epoch));
    put_key(&args, search, pc_buf_slice(&search->text));
    send(part, search, &members_kind, &args);
}

/* -- what a cache channel keeps, after its counts -- */

static void on_kept(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    struct pc_search *search = r->search;
    struct pc_heard h;
    uint64_t ttl_ms;
    bool sound = count == 1;
    if (count == 4 && pc_slice_to_u64(values[3], &ttl_ms) &&
        pc_relay_parse(part->node, values[2], &h)) {
        sound = true;
        pc_search_add(search, h.data, PC_S(""), ttl_ms, 0);
    }
    if (!sound)
        pc_node_refuse(part->node, "what a channel keeps");
    finish(search, sound ? 0 : PUSHERC_ETIMEDOUT);
}

static const struct pc_request_kind kept_kind = {PUSHERC_STEP_KEPT, on_kept, on_forgotten};

static void ask_kept(struct pc_node_part *part, struct pc_search *search)
{
    struct pc_values args;
    if (search->at == 0) {
        ask_totals(part, search);
        return;
    }
    pc_values_init(&args, &part->node->engine->mem);
    put_key(&args, search, pc_buf_slice(&search->text));
    send(part, search, &kept_kind, &args);
}

/* -- going on -- */

static bool is_over(const struct pusherc_link *node, const struct pc_search *search)
{
    switch (search->kind) {
    case PC_SEARCH_PREFIX:
        return search->part == node->part_count;
    case PC_SEARCH_COUNTS:
        return search->at >= search->text.len;
    case PC_SEARCH_MEMBERS:
    case PC_SEARCH_KEPT:
        break; /* ends with its last answer */
    }
    return false;
}

static struct pc_node_part *next_part(struct pusherc_link *node, const struct pc_search *search)
{
    if (search->kind == PC_SEARCH_PREFIX)
        return &node->parts[search->part];
    return part_of(node, search,
                   search->kind == PC_SEARCH_COUNTS ? line_at(search)
                                                    : pc_buf_slice(&search->text));
}

static void go_on(struct pusherc_link *node, struct pc_search *search)
{
    if (is_over(node, search)) {
        finish(search, 0);
        return;
    }
    struct pc_node_part *part = next_part(node, search);
    if (!part || !pc_part_is_up(part)) {
        finish(search, part ? PUSHERC_ETIMEDOUT : PUSHERC_ENOMEM);
        return;
    }
    switch (search->kind) {
    case PC_SEARCH_PREFIX:
        ask_channels(node, search);
        break;
    case PC_SEARCH_COUNTS:
        ask_totals(part, search);
        break;
    case PC_SEARCH_MEMBERS:
        ask_members(part, search);
        break;
    case PC_SEARCH_KEPT:
        ask_kept(part, search);
        break;
    }
}

void pc_searches_take(struct pusherc_link *node, struct pc_list *put)
{
    while (!pc_list_empty(put)) {
        struct pc_search *search = PC_CONTAINER(put->next, struct pc_search, in_order);
        pc_list_remove(&search->in_order);
        go_on(node, search);
    }
}

void pc_searches_go_on(struct pusherc_link *node)
{
    struct pc_list waiting;
    pc_list_take(&waiting, &node->searches);
    pc_searches_take(node, &waiting);
}

/* -- on any worker -- */

static int ask(void *ctx, struct pc_search *search)
{
    struct pusherc_link *node = ctx;
    bool up = atomic_load_explicit(&node->worst, memory_order_relaxed) == PC_LINK_UP;
    if (!up)
        return node->options.stale_reads ? 0 : PUSHERC_ETIMEDOUT;
    pc_list_init(&search->in_order);
    search->found.max = MAX_FOUND;
    pthread_mutex_lock(&node->mutex);
    pc_list_push_back(&node->to_search, &search->in_order);
    uint64_t wake = pc_node_mark(node);
    pthread_mutex_unlock(&node->mutex);
    pc_wake_workers(node->engine, wake);
    return PC_SEARCH_ASKED;
}

void pc_searches_init(struct pusherc_link *node)
{
    node->engine->elsewhere = (struct pc_elsewhere){ask, node};
}

void pc_searches_free(struct pusherc_link *node)
{
    struct pc_list left;
    node->engine->elsewhere = (struct pc_elsewhere){.ask = NULL};
    for (int i = 0; i < 2; i++) {
        pc_list_take(&left, i ? &node->to_search : &node->searches);
        while (!pc_list_empty(&left)) {
            struct pc_search *search = PC_CONTAINER(left.next, struct pc_search, in_order);
            pc_list_remove(&search->in_order);
            finish(search, PUSHERC_ETIMEDOUT);
        }
    }
}
