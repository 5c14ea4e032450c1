#include "cluster/teller.h"

#include <pusherc/error.h>

#include "cluster/noted.h"
#include "cluster/told.h"
#include "fanout/notice.h"
#include "session/app_request.h"

#define TELL_MS    250   /* between two readings of the list, at least */
#define TELL_LIMIT 200   /* edges in one answer */
#define FIRST_EDGE 2     /* value of an answer, behind the word and the time */
#define UNKNOWN_MS 30000 /* edges of an app stay so long for a node that knows it */

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

/* -- apps that are not known yet -- */

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

/* -- reading the list -- */

static void soon(struct pc_teller *t)
{
    uint64_t at_ms = t->asked_ms + TELL_MS;
    t->at_ms = at_ms < t->at_ms ? at_ms : t->at_ms;
}

static void forget_noted(struct pc_node_part *part)
{
    pc_noted_forget(part);
    part->teller.read = (struct pc_log_id){0, 0};
    part->teller.leaves = false;
    soon(&part->teller);
}

/* Another node may have told since. */
static void forget(struct pc_node_part *part)
{
    pc_told_forget(part);
    forget_noted(part);
    part->teller.is = false;
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

/* The app is not known here. True: another node may know it. `now_ms`: by the authority's clock. A node that seems to be
 * alone hears with the next renewal of the one that has made the edge. */
static bool is_left(struct pc_node_part *part, struct pc_log_id id, uint64_t now_ms)
{
    struct pc_teller *t = &part->teller;
    const uint64_t left_ms = part->alive < 2 ? 2 * part->node->options.renew_ms : UNKNOWN_MS;
    if (now_ms >= id.at_ms + left_ms)
        return false;
    if (!t->leaves)
        t->leaves_ms = pc_node_now(part->node);
    t->leaves = true;
    return true;
}

/* id, kind, channel, user. False: the edge is to be told later, because memory has run out, or the host is asked for the
 * app. */
static bool take_edge(struct pc_node_part *part, const pusherc_slice *edge,
                      const pusherc_slice *end, uint64_t now_ms)
{
    struct pc_teller *t = &part->teller;
    const struct pc_edge_kind *kind = pc_edge_kind_of(edge[1]);
    struct pc_log_id id;
    if (!kind || !pc_log_id_parse(edge[0], &id)) {
        pc_node_refuse(part->node, "an edge");
        return true;
    }
    bool known = is_known(part, edge[2]);
    if (!pc_noted_has(part, edge[0])) {
        if (!known && !t->leaving &&
            finds_app(part->node, pc_slice_first(edge[2], pc_slice_find(edge[2], '/'))))
            return false;
        if (!known && is_left(part, id, now_ms)) {
            t->read = id;
            return true;
        }
        struct pc_acceptance **acceptance = pc_noted_add(part, kind, edge);
        if (!acceptance)
            return false;
        bool news = pc_edge_is_total(kind)
                        ? !is_outdated(edge, end)
                        : pc_told_remember(part, edge[2], edge[3], pc_edge_is_there(kind));
        if (news) {
            *acceptance = pc_acceptance_new(&part->node->engine->mem);
            pc_edge_tell(part, kind, edge[2], edge[3], id, *acceptance);
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
    uint64_t now_ms;
    t->asking = false;
    if (count > FIRST_EDGE || !t->at_rest)
        soon(t);
    if (pc_slice_eq(values[0], PC_S("NOT_OWNER"))) {
        forget(part);
        return;
    }
    if (count % 4 != FIRST_EDGE || !pc_slice_to_u64(values[1], &now_ms)) {
        pc_node_refuse(node, "the answer to a TELL");
        return;
    }
    if (is_too_late(part, r))
        return;
    bool all = true;
    for (size_t i = FIRST_EDGE; i < count && all; i += 4)
        all = take_edge(part, values + i, values + count, now_ms);
    if (t->leaves)
        soon(t); /* the list is not empty, so it is not called */
    t->over = t->leaving && count < FIRST_EDGE + 4 * TELL_LIMIT;
    pc_noted_acknowledge(part, t->leaving);
    if (all && count >= FIRST_EDGE + 4 * TELL_LIMIT)
        ask(part);
}

static void on_edges_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->teller.asking = false;
    soon(&part->teller);
}

static const struct pc_request_kind tell_kind = {PUSHERC_STEP_TELL, on_edges, on_edges_forgotten};

static void ask(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    struct pc_teller *t = &part->teller;
    struct pc_values args;
    t->at_rest = pc_list_empty(&t->noted.in_order);
    t->asked_ms = pc_node_now(node);
    t->at_ms =
        t->asked_ms + node->options.sweep_ms; /* unless there is something, or it is called */
    pc_values_init(&args, &node->engine->mem);
    pc_part_put_guard(part, &args);
    pc_log_id_put(&args, t->read);
    pc_values_put_u64(&args, TELL_LIMIT);
    struct pc_request *r = pc_request_new(node, &tell_kind);
    if (r)
        r->number = pc_node_now(node);
    t->asking = pc_request_send(part, r, &args);
    if (!t->asking)
        soon(t);
}

/* -- life -- */

void pc_teller_doubts(struct pc_node_part *part)
{
    pc_told_doubt(part);
    forget_noted(part); /* they are read again, and known by what was told */
}

void pc_teller_settled(struct pc_node_part *part)
{
    pc_told_check(part);
}

void pc_teller_fenced(struct pc_node_part *part)
{
    forget(part);
}

void pc_teller_renewed(struct pc_node_part *part, bool is)
{
    if (!is && !part->teller.told.doubtful)
        forget(part);
    if (is && !part->teller.is) {
        part->teller.office_ms = pc_node_now(part->node);
        soon(&part->teller);
    }
    part->teller.is = is;
}

/* Another node may know more apps. Not at once, so that nodes that all do not know an app do not pass the office round
 * without an end. */
static bool wants_to_go(const struct pc_node_part *part)
{
    const struct pc_teller *t = &part->teller;
    return t->leaves && pc_node_now(part->node) - t->office_ms >= part->node->options.renew_ms;
}

/* What waits for an endpoint would be told again by the next one. */
static bool may_go(const struct pc_node_part *part)
{
    const struct pc_teller *t = &part->teller;
    return wants_to_go(part) && !t->asking &&
           (pc_list_empty(&t->noted.in_order) ||
            pc_node_now(part->node) - t->leaves_ms >= part->node->options.lease_ms);
}

uint64_t pc_teller_office(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    if (!t->is || t->leaving || !may_go(part))
        return 1;
    t->is = false;
    t->gave_up_ms = pc_node_now(part->node);
    return 0;
}

bool pc_teller_hears(struct pc_node_part *part, pusherc_slice message)
{
    const struct pc_teller *t = &part->teller;
    bool calls = pc_slice_eq(message, PC_S("T")), vacant = pc_slice_eq(message, PC_S("V"));
    uint64_t now_ms = pc_node_now(part->node);
    if (calls)
        pc_teller_called(part);
    /* who has given it up lately lets others go first */
    if (vacant && (!t->gave_up_ms || now_ms - t->gave_up_ms >= UNKNOWN_MS))
        part->renew_at_ms = now_ms;
    return calls || vacant;
}

void pc_teller_called(struct pc_node_part *part)
{
    soon(&part->teller);
    pc_teller_tick(part);
}

void pc_teller_tick(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    uint64_t now_ms = pc_node_now(part->node);
    if (!t->is || !pc_part_is_up(part) || t->asking || t->leaving || now_ms < t->at_ms)
        return;
    stop_finding(part->node);
    pc_told_forget_old(part);
    pc_noted_acknowledge(part, t->leaving);
    if (!wants_to_go(part)) {
        ask(part);
        return;
    }
    t->at_ms = now_ms + TELL_MS; /* the endpoints have to accept what is noted */
    if (may_go(part))
        part->renew_at_ms = now_ms;
}

bool pc_teller_leave(struct pc_node_part *part)
{
    struct pc_teller *t = &part->teller;
    if (!t->is)
        return true;
    t->leaving = true;
    if (!t->asking && !t->over)
        ask(part);
    pc_noted_acknowledge(part, t->leaving);
    return t->over && pc_list_empty(&t->noted.in_order);
}

void pc_tellers_init(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++) {
        pc_noted_init(&node->parts[i]);
        pc_told_init(&node->parts[i]);
    }
    node->engine->told_by_link = true;
}

void pc_tellers_free(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++) {
        pc_noted_free(&node->parts[i]);
        pc_told_free(&node->parts[i]);
    }
    pc_await_abandon(&node->find_app);
    node->engine->told_by_link = false;
}
