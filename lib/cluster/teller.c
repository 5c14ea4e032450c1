#include "cluster/teller.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "fanout/notice.h"
#include "session/app_request.h"

#define TELL_MS       250    /* between two readings of the list, while edges have a reader */
#define TELL_LIMIT    200    /* edges in one answer */
#define CHECK_LIMIT   100    /* of what was told, in one question */
#define REMEMBERED    100000 /* of all partitions */
#define REMEMBERED_MS 600000
#define MAX_KEY       1024

/* An edge that was noted, and is not off the list yet. Those of a channel, and of a member, leave the list in their order:
 * otherwise another teller would tell one that is over. */
struct noted {
    struct pc_map_node node; /* key: its id */
    struct pc_map_node
        last; /* key: as of what is remembered; the last of its channel or user is in the table */
    struct noted *before, *after; /* of the same; NULL = none */
    struct pc_list in_order;
    struct pc_acceptance *acceptance; /* counted; NULL = no endpoint can wait */
    bool asked;                       /* TOLD is under way */
};

/* What was told last of a channel or a member. */
struct remembered {
    struct pc_map_node node; /* key: "<bytes of the channel>:<channel><user>" */
    struct pc_list in_order; /* told longest ago first */
    bool there;
    uint64_t told_ms;
    pusherc_slice channel, user; /* in the key */
};

/* -- who wants to hear -- */

static uint64_t wants_of_app(const struct pc_engine *engine, const struct pc_app *app,
                             bool is_presence)
{
    const uint32_t edges = PUSHERC_WEBHOOK_CHANNEL_OCCUPIED | PUSHERC_WEBHOOK_CHANNEL_VACATED |
                           PUSHERC_WEBHOOK_MEMBER_ADDED | PUSHERC_WEBHOOK_MEMBER_REMOVED;
    if (!is_presence && app->options.subscription_count_events &&
        pc_noticed(&engine->observer, app, PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT))
        return PC_TELLER_WANTS_ALL;
    return engine->hooks.on_channel || pc_noticed(&engine->observer, app, edges);
}

uint64_t pc_teller_wants(const struct pc_remote *remote)
{
    const struct pusherc_link *node = pc_remote_node(remote);
    if (remote->class.kind == PUSHERC_CHANNEL_USER)
        return 0;
    struct pc_app *app = pc_key_app(pc_remote_node(remote), remote->node.key);
    if (!app) /* it was removed, or no client here has asked */
        return PC_TELLER_WANTS_ALL;
    uint64_t wants = wants_of_app(node->engine, app, pc_remote_is_presence(remote));
    pc_app_unref(app);
    return wants;
}

static void put_key(struct pc_buf *key, pusherc_slice channel, pusherc_slice user)
{
    pc_buf_put_u64(key, channel.len);
    pc_buf_put_char(key, ':');
    pc_buf_put(key, channel);
    pc_buf_put(key, user);
}

/* -- what waits for endpoints -- */

static void noted_free(struct pc_node_part *part, struct noted *noted)
{
    if (noted->before)
        noted->before->after = noted->after;
    if (noted->after)
        noted->after->before = noted->before;
    else
        pc_map_remove(&part->teller.noted_last, &noted->last);
    pc_map_remove(&part->teller.noted, &noted->node);
    pc_list_remove(&noted->in_order);
    pc_acceptance_unref(noted->acceptance);
    pc_free(&part->node->engine->mem, noted);
}

/* NULL: out of memory. */
static struct noted *noted_new(struct pc_node_part *part, pusherc_slice id, pusherc_slice key)
{
    struct pc_teller *t = &part->teller;
    struct pc_mem *mem = &part->node->engine->mem;
    struct noted *noted = pc_alloc_zero(mem, sizeof *noted + id.len + key.len);
    if (!noted)
        return NULL;
    char *at = (char *)(noted + 1);
    noted->node.key = pc_pack(&at, id);
    noted->last.key = pc_pack(&at, key);
    if (pc_map_insert(&t->noted, &noted->node)) {
        pc_free(mem, noted);
        return NULL;
    }
    struct pc_map_node *found = pc_map_find(&t->noted_last, key);
    if (found)
        pc_map_remove(&t->noted_last, found);
    if (pc_map_insert(&t->noted_last, &noted->last)) { /* it was empty before as well */
        pc_map_remove(&t->noted, &noted->node);
        pc_free(mem, noted);
        return NULL;
    }
    noted->before = found ? PC_CONTAINER(found, struct noted, last) : NULL;
    if (noted->before)
        noted->before->after = noted;
    pc_list_push_back(&t->noted_in_order, &noted->in_order);
    return noted;
}

static bool is_done(const struct pc_node_part *part, const struct noted *noted)
{
    if (noted->before && !noted->before->asked)
        return false;
    return part->teller.leaving || !noted->acceptance || pc_acceptance_is_done(noted->acceptance);
}

static void on_told(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    (void)r;
    (void)values;
    (void)count;
    part->teller.acknowledging = false;
    PC_LIST_EACH_SAFE(l, next, &part->teller.noted_in_order) {
        struct noted *noted = PC_CONTAINER(l, struct noted, in_order);
        if (noted->asked)
            noted_free(part, noted);
    }
}

static void on_told_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->teller.acknowledging = false;
    PC_LIST_EACH(l, &part->teller.noted_in_order) {
        PC_CONTAINER(l, struct noted, in_order)->asked = false;
    }
}

static const struct pc_request_kind told_kind = {PUSHERC_STEP_TOLD, on_told, on_told_forgotten};

/* Takes what is done off the list. */
static void acknowledge(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    struct pc_values args;
    size_t count = 0;
    if (t->acknowledging || pc_list_empty(&t->noted_in_order))
        return;
    pc_values_init(&args, &part->node->engine->mem);
    pc_part_put_guard(part, &args);
    PC_LIST_EACH(l, &t->noted_in_order) {
        struct noted *noted = PC_CONTAINER(l, struct noted, in_order);
        if (count == TELL_LIMIT)
            break;
        if (!is_done(part, noted))
            continue;
        noted->asked = true;
        count++;
        pc_values_put(&args, noted->node.key);
    }
    if (count == 0)
        pc_values_free(&args);
    else if (pc_request_send(part, pc_request_new(part->node, &told_kind), &args))
        t->acknowledging = true;
    else
        on_told_forgotten(part, NULL);
}

/* -- what was told -- */

static void remembered_free(struct pc_node_part *part, struct remembered *r)
{
    pc_map_remove(&part->teller.remembered, &r->node);
    pc_list_remove(&r->in_order);
    pc_free(&part->node->engine->mem, r);
}

static void forget_old(struct pc_node_part *part, size_t most)
{
    struct pc_teller *t = &part->teller;
    uint64_t now_ms = pc_node_now(part->node);
    while (!pc_list_empty(&t->remembered_in_order)) {
        struct remembered *r =
            PC_CONTAINER(t->remembered_in_order.next, struct remembered, in_order);
        if (t->remembered.count <= most && now_ms - r->told_ms < REMEMBERED_MS)
            return;
        remembered_free(part, r);
    }
}

static struct remembered *remembered_find(struct pc_node_part *part, pusherc_slice key)
{
    struct pc_map_node *found = pc_map_find(&part->teller.remembered, key);
    return found ? PC_CONTAINER(found, struct remembered, node) : NULL;
}

/* NULL: out of memory. */
static struct remembered *remembered_new(struct pc_node_part *part, pusherc_slice key,
                                         pusherc_slice channel, pusherc_slice user)
{
    struct remembered *r = pc_alloc_zero(&part->node->engine->mem, sizeof *r + key.len);
    if (!r)
        return NULL;
    char *at = (char *)(r + 1);
    r->node.key = pc_pack(&at, key);
    r->user = pc_slice_skip(r->node.key, key.len - user.len);
    r->channel = pc_slice(r->user.ptr - channel.len, channel.len);
    pc_list_init(&r->in_order);
    if (pc_map_insert(&part->teller.remembered, &r->node) == 0)
        return r;
    pc_free(&part->node->engine->mem, r);
    return NULL;
}

/* False: the same was told last. What memory runs out for is told. */
static bool remember(struct pc_node_part *part, pusherc_slice channel, pusherc_slice user,
                     bool there)
{
    struct pc_teller *t = &part->teller;
    char stack[MAX_KEY];
    struct pc_buf key;
    pc_buf_init_in(&key, &part->node->engine->mem, SIZE_MAX, stack, sizeof stack);
    put_key(&key, channel, user);
    bool known = pc_buf_status(&key) == 0;
    struct remembered *r = known ? remembered_find(part, pc_buf_slice(&key)) : NULL;
    bool same = r && r->there == there;
    if (!r && known)
        r = remembered_new(part, pc_buf_slice(&key), channel, user);
    pc_buf_free(&key);
    if (!r)
        return true;
    r->there = there;
    r->told_ms = pc_node_now(part->node);
    pc_list_remove(&r->in_order);
    pc_list_push_back(&t->remembered_in_order, &r->in_order);
    forget_old(part, REMEMBERED / part->node->part_count + 1);
    return !same;
}

static void forget_noted(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    while (!pc_list_empty(&t->noted_in_order))
        noted_free(part, PC_CONTAINER(t->noted_in_order.next, struct noted, in_order));
    t->read = (struct pc_log_id){0, 0};
}

/* Another node may have told since. */
static void forget_told(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    while (!pc_list_empty(&t->remembered_in_order))
        remembered_free(part,
                        PC_CONTAINER(t->remembered_in_order.next, struct remembered, in_order));
    forget_noted(part);
    t->is = false;
}

/* -- telling -- */

static const struct edge_kind {
    const char *word;
    uint32_t webhook;
    pusherc_channel_event_type type;
    bool there;
} kinds[] = {
    {"occupied", PUSHERC_WEBHOOK_CHANNEL_OCCUPIED, PUSHERC_CHANNEL_OCCUPIED, true},
    {"vacated", PUSHERC_WEBHOOK_CHANNEL_VACATED, PUSHERC_CHANNEL_VACATED, false},
    {"added", PUSHERC_WEBHOOK_MEMBER_ADDED, PUSHERC_MEMBER_ADDED, true},
    {"removed", PUSHERC_WEBHOOK_MEMBER_REMOVED, PUSHERC_MEMBER_REMOVED, false},
    {"counted", PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT, PUSHERC_SUBSCRIPTION_COUNT, true},
};

static const struct edge_kind *kind_of(pusherc_slice word)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (pc_slice_eq(word, pc_slice_of(kinds[i].word)))
            return &kinds[i];
    }
    return NULL;
}

static bool is_count(const struct edge_kind *kind)
{
    return kind->type == PUSHERC_SUBSCRIPTION_COUNT;
}

static void tell_host(const struct pusherc_link *node, const struct edge_kind *kind,
                      const struct pc_notice *notice, uint64_t sequence)
{
    const pusherc_hooks *hooks = node->worker->hooks;
    if (!hooks->on_channel || is_count(kind))
        return;
    pusherc_channel_event event = {.struct_size = sizeof event,
                                   .type = kind->type,
                                   .scope = PUSHERC_SCOPE_CLUSTER,
                                   .app_id = notice->app->id,
                                   .channel = notice->channel,
                                   .user_id = notice->user_id,
                                   .sequence = sequence};
    hooks->on_channel(&event, hooks->user_data);
}

static void on_app_found(struct pc_await *await, struct pc_pending *answer)
{
    (void)await;
    (void)answer; /* the edge is read again */
}

/* An app that was not asked for here yet. True: the host is asked for it. */
static bool finds_app(struct pusherc_link *node, pusherc_slice id)
{
    static const struct pc_address none = {0};
    struct pusherc_app_request *request;
    if (node->find_app.pending)
        return true;
    if (node->app_is_late) {
        node->app_is_late = false;
        return false;
    }
    node->find_app.resume = on_app_found;
    node->find_app_ms = pc_node_now(node);
    int err = pc_find_app_new(&request, node->worker, &node->find_app, none, id, PC_S(""));
    if (err == 0)
        pc_find_app_ask(request);
    return err != PUSHERC_ENOENT;
}

static void stop_finding(struct pusherc_link *node)
{
    if (!node->find_app.pending ||
        pc_node_now(node) - node->find_app_ms < node->engine->options.identify_timeout_ms)
        return;
    pc_await_expire(&node->find_app);
    node->app_is_late = true;
}

/* Tells the observer and the host. `user`: of a total, the total. */
static void tell(struct pc_node_part *part, const struct edge_kind *kind, pusherc_slice key,
                 pusherc_slice user, struct pc_log_id id, struct pc_acceptance *acceptance)
{
    struct pusherc_link *node = part->node;
    const struct pc_observer *observer = &node->engine->observer;
    struct pc_app *app = pc_key_app(part->node, key);
    if (!app)
        return;
    struct pc_notice notice = {.kind = kind->webhook,
                               .app = app,
                               .acceptance = acceptance,
                               .channel = pc_key_channel(key),
                               .user_id = is_count(kind) ? PC_S("") : user};
    bool ok = notice.channel.len > 0 &&
              (!is_count(kind) || pc_slice_to_u64(user, &notice.subscription_count));
    if (ok && pc_noticed(observer, app, kind->webhook) && observer->note(observer->ctx, &notice))
        observer->wake(observer->ctx);
    if (ok)
        tell_host(node, kind, &notice, id.at_ms << 20 | id.nth);
    pc_app_unref(app);
}

/* A later total of the same channel stands in the answer. */
static bool is_outdated(const pusherc_slice *edge, const pusherc_slice *end)
{
    for (const pusherc_slice *later = edge + 4; later < end; later += 4) {
        if (pc_slice_eq(later[1], edge[1]) && pc_slice_eq(later[2], edge[2]))
            return true;
    }
    return false;
}

static bool is_known(struct pc_node_part *part, pusherc_slice key)
{
    struct pc_app *app = pc_key_app(part->node, key);
    pc_app_unref(app);
    return app != NULL;
}

/* Notes an edge, behind those of the same channel or user. */
static struct noted *note(struct pc_node_part *part, const struct edge_kind *kind,
                          const pusherc_slice *edge)
{
    char stack[MAX_KEY];
    struct pc_buf key;
    pc_buf_init_in(&key, &part->node->engine->mem, SIZE_MAX, stack, sizeof stack);
    if (is_count(kind))
        pc_buf_put_char(&key, '#');
    put_key(&key, edge[2], is_count(kind) ? PC_S("") : edge[3]);
    struct noted *noted = pc_buf_status(&key) ? NULL : noted_new(part, edge[0], pc_buf_slice(&key));
    pc_buf_free(&key);
    return noted;
}

/* id, kind, channel, user. False: the edge is to be told later, because memory has run out, or the host is asked for the
 * app. */
static bool take_edge(struct pc_node_part *part, const pusherc_slice *edge,
                      const pusherc_slice *end)
{
    struct pc_teller *t = &part->teller;
    const struct edge_kind *kind = kind_of(edge[1]);
    struct pc_log_id id;
    if (!kind || !pc_log_id_parse(edge[0], &id)) {
        pc_node_refuse(part->node, "an edge");
        return true;
    }
    if (!pc_map_find(&t->noted, edge[0])) {
        if (!is_known(part, edge[2]) && !t->leaving &&
            finds_app(part->node, pc_slice_first(edge[2], pc_slice_find(edge[2], '/'))))
            return false;
        struct noted *noted = note(part, kind, edge);
        if (!noted)
            return false;
        bool news = is_count(kind) ? !is_outdated(edge, end)
                                   : remember(part, edge[2], edge[3], kind->there);
        if (news) {
            noted->acceptance = pc_acceptance_new(&part->node->engine->mem);
            tell(part, kind, edge[2], edge[3], id, noted->acceptance);
        }
    }
    t->read = id;
    return true;
}

static void ask(struct pc_node_part *part);

/* Others may have buried this node since it asked, and told what follows. */
static bool is_too_late(const struct pc_node_part *part, const struct pc_request *r)
{
    const pusherc_cluster_options *o = &part->node->options;
    return pc_node_now(part->node) - r->number >= (o->lease_ms - o->renew_ms) * 6 / 7;
}

static void on_edges(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                     size_t count)
{
    struct pusherc_link *node = part->node;
    struct pc_teller *t = &part->teller;
    t->asking = false;
    if (pc_slice_eq(values[0], PC_S("NOT_OWNER"))) {
        forget_told(part);
        return;
    }
    if (count % 4 != 1) {
        pc_node_refuse(node, "the answer to a TELL");
        return;
    }
    if (is_too_late(part, r))
        return;
    bool all = true;
    for (size_t i = 1; i < count && all; i += 4)
        all = take_edge(part, values + i, values + count);
    node->has_edges |= count > 1 && (node->engine->observer.note || node->engine->hooks.on_channel);
    t->over = t->leaving && count < 1 + 4 * TELL_LIMIT;
    acknowledge(part);
    if (all && count > 4 * TELL_LIMIT)
        ask(part);
}

static void on_edges_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->teller.asking = false;
}

static const struct pc_request_kind tell_kind = {PUSHERC_STEP_TELL, on_edges, on_edges_forgotten};

static void ask(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    struct pc_teller *t = &part->teller;
    struct pc_values args;
    t->at_ms = pc_node_now(node) + (node->has_edges ? TELL_MS : node->options.renew_ms);
    pc_values_init(&args, &node->engine->mem);
    pc_part_put_guard(part, &args);
    pc_log_id_put(&args, t->read);
    pc_values_put_u64(&args, TELL_LIMIT);
    struct pc_request *r = pc_request_new(node, &tell_kind);
    if (r)
        r->number = pc_node_now(node);
    t->asking = pc_request_send(part, r, &args);
}

/* -- looking whether it is so -- */

static void check_over(struct pc_node_part *part, bool lost)
{
    struct pc_teller *t = &part->teller;
    t->unchecked |= lost;
    if (--t->checks == 0)
        t->doubtful = t->unchecked;
}

/* The channels and users of the question stand in it as "<length>:<bytes>". */
static bool next_text(pusherc_slice *rest, pusherc_slice *out)
{
    uint64_t len;
    size_t colon = pc_slice_find(*rest, ':');
    if (!pc_slice_to_u64(pc_slice_first(*rest, colon), &len))
        return false;
    *out = pc_slice_first(pc_slice_skip(*rest, colon + 1), (size_t)len);
    *rest = pc_slice_skip(*rest, colon + 1 + (size_t)len);
    return true;
}

static const struct edge_kind *correction(bool of_member, bool there)
{
    return &kinds[(of_member ? 2 : 0) + (there ? 0 : 1)];
}

/* What was told and is not so any more: the data went back, and no other node will say it. */
static void on_checked(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    pusherc_slice rest = pc_buf_slice(&r->text), channel, user;
    for (size_t i = 1; i + 1 < count && next_text(&rest, &channel) && next_text(&rest, &user);
         i += 2) {
        bool there = pc_slice_eq(values[i], PC_S("1")),
             waits = pc_slice_eq(values[i + 1], PC_S("1"));
        char stack[MAX_KEY];
        struct pc_buf key;
        pc_buf_init_in(&key, &part->node->engine->mem, SIZE_MAX, stack, sizeof stack);
        put_key(&key, channel, user);
        const struct remembered *told = remembered_find(part, pc_buf_slice(&key));
        pc_buf_free(&key);
        if (!waits && told && told->there != there && remember(part, channel, user, there))
            tell(part, correction(user.len > 0, there), channel, user, part->teller.read, NULL);
    }
    check_over(part, false);
}

static void on_check_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    check_over(part, true);
}

static const struct pc_request_kind check_kind = {PUSHERC_STEP_CHECK, on_checked,
                                                  on_check_forgotten};

static void put_text(struct pc_request *r, struct pc_values *args, pusherc_slice text)
{
    pc_values_put(args, text);
    if (!r)
        return;
    pc_buf_put_u64(&r->text, text.len);
    pc_buf_put_char(&r->text, ':');
    pc_buf_put(&r->text, text);
}

/* Asks for some, from *at on, which it moves. False: it could not be asked. */
static bool check_some(struct pc_node_part *part, struct pc_list **at)
{
    struct pc_teller *t = &part->teller;
    struct pc_request *r = pc_request_new(part->node, &check_kind);
    struct pc_values args;
    pc_values_init(&args, &part->node->engine->mem);
    pc_values_put(&args, pc_slice_of(part->epoch));
    for (size_t i = 0; i < CHECK_LIMIT && *at != &t->remembered_in_order; i++, *at = (*at)->next) {
        const struct remembered *told = PC_CONTAINER(*at, struct remembered, in_order);
        put_text(r, &args, told->channel);
        put_text(r, &args, told->user);
    }
    if (r && pc_buf_status(&r->text)) {
        pc_request_free(part->node, r);
        r = NULL;
    }
    bool asked = pc_request_send(part, r, &args);
    t->checks += asked;
    return asked;
}

void pc_teller_settled(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    if (!t->doubtful || t->checks > 0 || !pc_part_is_up(part))
        return;
    struct pc_list *at = t->remembered_in_order.next;
    t->unchecked = false;
    while (at != &t->remembered_in_order && !t->unchecked)
        t->unchecked = !check_some(part, &at);
    if (t->checks == 0)
        t->doubtful = t->unchecked;
}

void pc_teller_doubts(struct pc_node_part *part)
{
    part->teller.doubtful = true;
    forget_noted(part); /* they are read again, and known by what was told */
}

void pc_teller_fenced(struct pc_node_part *part)
{
    forget_told(part);
}

/* -- life -- */

void pc_teller_renewed(struct pc_node_part *part, bool is)
{
    if (!is && !part->teller.doubtful)
        forget_told(part);
    part->teller.is = is;
}

void pc_teller_tick(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    if (!t->is || !pc_part_is_up(part) || t->asking || t->leaving ||
        pc_node_now(part->node) < t->at_ms)
        return;
    stop_finding(part->node);
    forget_old(part, SIZE_MAX);
    acknowledge(part);
    ask(part);
}

bool pc_teller_leave(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    if (!t->is)
        return true;
    t->leaving = true;
    if (!t->asking && !t->over)
        ask(part);
    acknowledge(part);
    return t->over && pc_list_empty(&t->noted_in_order);
}

void pc_tellers_init(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++) {
        struct pc_teller *t = &node->parts[i].teller;
        pc_map_init(&t->noted, &node->engine->mem, node->engine->seed);
        pc_map_init(&t->noted_last, &node->engine->mem, node->engine->seed);
        pc_map_init(&t->remembered, &node->engine->mem, node->engine->seed);
        pc_list_init(&t->noted_in_order);
        pc_list_init(&t->remembered_in_order);
    }
    node->engine->told_by_link = true;
}

void pc_tellers_free(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++) {
        forget_told(&node->parts[i]);
        pc_map_free(&node->parts[i].teller.noted);
        pc_map_free(&node->parts[i].teller.noted_last);
        pc_map_free(&node->parts[i].teller.remembered);
    }
    pc_await_abandon(&node->find_app);
    node->engine->told_by_link = false;
}
