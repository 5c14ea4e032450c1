/* The life of a node in each partition: attaching, renewing, what the authority says about other nodes. */
#include "cluster/node.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "cluster/isolation.h"
#include "cluster/kept.h"
#include "cluster/mirror.h"
#include "cluster/once.h"
#include "cluster/orders.h"
#include "cluster/relay.h"
#include "cluster/search.h"
#include "cluster/seats.h"
#include "cluster/teller.h"
#include "cluster/totals.h"
#include "cluster/wants.h"
#include "codec/crypto.h"

#define MAX_NAMES 1024 /* incarnations in one answer; more are buried later */

static const struct pc_log_about about = {.subject = "cluster"};

/* -- for other threads -- */

static void update_info(struct pusherc_link *node)
{
    enum pc_link_state worst = PC_LINK_UP;
    uint64_t alive = 0;
    bool unsettled = false;
    for (uint32_t i = 0; i < node->part_count; i++) {
        const struct pc_node_part *part = &node->parts[i];
        worst = part->state < worst ? part->state : worst;
        alive = part->alive > alive ? part->alive : alive;
        unsettled |= part->unsettled;
    }
    /* relaxed: readers see a change a little later */
    atomic_store_explicit(&node->worst, (int)worst, memory_order_relaxed);
    atomic_store_explicit(&node->alive, (uint32_t)alive, memory_order_relaxed);
    atomic_store_explicit(&node->unsettled, unsettled, memory_order_relaxed);
}

static bool is_word(pusherc_slice value, const char *word)
{
    return pc_slice_eq(value, pc_slice_of(word));
}

static void is_settled(struct pc_node_part *part)
{
    bool was = part->unsettled;
    pc_mirrors_settled(part);
    pc_teller_settled(part);
    if (was && !part->unsettled && part->index == 0 && pc_part_is_up(part))
        pc_orders_up(part);
}

/* -- attaching -- */

/* What was answered makes no sense, so it is not known what the rest of the answers belongs to. */
static void give_up(struct pc_node_part *part)
{
    (void)part->node->ops.reset(part->node->self, part->index, part->session);
}

static void ask_mine(struct pc_node_part *part);
static void attach(struct pc_node_part *part);

static void set_state(struct pc_node_part *part, enum pc_link_state state)
{
    part->state = state;
    update_info(part->node);
    pc_isolation_look(part->node);
}

static void forget_dead(struct pc_node_part *part)
{
    part->renewing = part->reaping = false;
    pc_names_free(part->node, &part->gone);
    pc_names_free(part->node, &part->lapsed);
}

static bool is_of_no_epoch(pusherc_step step)
{
    return step == 0 || step == PUSHERC_STEP_KEEP ||
           (step >= PUSHERC_STEP_ONCE_BEGIN && step <= PUSHERC_STEP_ONCE_UNDO);
}

/* Fenced, or the data is another: attaches again on the same connection. Publications are answered all the same. */
static void attach_anew(struct pc_node_part *part)
{
    PC_LIST_EACH(l, &part->requests) {
        struct pc_request *r = PC_CONTAINER(l, struct pc_request, in_order);
        if (r->stale || is_of_no_epoch(r->kind->step))
            continue;
        r->stale = true;
        r->kind->forgotten(part, r);
    }
    forget_dead(part);
    part->must_sync = part->awaited = false;
    pc_wants_unknown(part);
    attach(part);
}

static void is_fenced(struct pc_node_part *part)
{
    PC_LOG(
        &part->node->engine->log, WARN, about,
        "partition %u: other nodes have declared this one dead while it was away; it begins anew",
        part->index);
    pc_stat_add(&part->node->stats.fenced, 1);
    part->incarnation++;
    part->announced[0] = '\0';
    pc_teller_fenced(part);
    attach_anew(part);
}

static void begin_up(struct pc_node_part *part)
{
    set_state(part, PC_LINK_UP);
    part->sweep_at_ms = pc_node_now(part->node) + part->node->options.sweep_ms;
    if (part->index == 0)
        pc_orders_up(part);
    pc_relay_send(part);
    pc_wants_look_all(part);
    pc_searches_go_on(part->node);
    pc_onces_go_on(part->node);
}

static void on_attached(struct pc_node_part *part, struct pc_request *r,
                        const pusherc_slice *values, size_t count)
{
    struct pusherc_link *node = part->node;
    part->awaited = false;
    if (count != 4 || values[1].len == 0 || values[1].len > PC_MAX_EPOCH) {
        pc_node_refuse(node, "the answer to an ATTACH");
        give_up(part);
        return;
    }
    bool known = pc_slice_eq(values[1], pc_slice_of(part->announced));
    bool other = part->epoch[0] && !pc_slice_eq(values[1], pc_slice_of(part->epoch));
    bool away = pc_node_now(node) - part->confirmed_ms >= node->options.lease_ms;
    part->confirmed_ms = r->number;
    if (part->index == 0)
        pc_orders_attached(part, other, away);
    if (other) {
        pc_stat_add(&node->stats.epochs, 1);
        pc_teller_doubts(part);
        pc_kept_other_data(part);
        PC_LOG(&node->engine->log, WARN, about,
               "partition %u: the data is another, all nodes say again what they hold",
               part->index);
    }
    memcpy(part->epoch, values[1].ptr, values[1].len);
    part->epoch[values[1].len] = '\0';
    part->unsettled = is_word(values[3], "1");
    part->renew_at_ms =
        pc_node_now(node) + node->options.renew_ms * (uint64_t)(part->index + 1) / node->part_count;
    if (known) {
        begin_up(part);
    } else if (!part->said && !part->announced[0]) {
        memcpy(part->announced, part->epoch, sizeof part->announced);
        begin_up(part);
    } else {
        set_state(part, PC_LINK_RECONCILING);
        ask_mine(part);
    }
}

static void on_await_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->awaited = false;
}

static const struct pc_request_kind attach_kind = {PUSHERC_STEP_ATTACH, on_attached,
                                                   on_await_forgotten};

static void attach(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    struct pc_values args;
    char fresh[PC_MAX_EPOCH];
    int len =
        snprintf(fresh, sizeof fresh, "%s-%llu", node->id, (unsigned long long)++node->epochs);
    set_state(part, PC_LINK_ATTACHING);
    pc_values_init(&args, &node->engine->mem);
    pc_part_put_incarnation(part, &args);
    pc_values_put(&args, pc_slice_of(part->run));
    pc_values_put_u64(&args, node->options.lease_ms);
    pc_values_put_u64(&args, node->options.settle_ms);
    pc_values_put(&args, pc_slice(fresh, (size_t)len));
    pc_values_put(&args, pc_slice_of(part->announced));
    struct pc_request *r = pc_request_new(node, &attach_kind);
    if (r)
        r->number = pc_node_now(node);
    part->awaited = pc_request_send(part, r, &args);
}

/* -- reconciling -- */

static void on_synced(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                      size_t count)
{
    (void)r;
    memcpy(part->announced, part->epoch, sizeof part->announced);
    if (count == 2 && is_word(values[1], "0"))
        is_settled(part);
}

static void on_sync_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->must_sync = part->state >= PC_LINK_RECONCILING;
}

static const struct pc_request_kind synced_kind = {PUSHERC_STEP_SYNCED, on_synced,
                                                   on_sync_forgotten};

/* Behind everything that it holds, on the same connection. */
static void sync_if_said(struct pc_node_part *part)
{
    struct pc_values args;
    if (!part->must_sync || part->asks_again || !pc_part_is_up(part))
        return;
    pc_values_init(&args, &part->node->engine->mem);
    pc_part_put_guard(part, &args);
    part->must_sync = !pc_request_send(part, pc_request_new(part->node, &synced_kind), &args);
}

static void on_mine(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                    size_t count)
{
    (void)r;
    part->awaited = false;
    if (!pc_wants_mine(part, values + 1, count - 1)) {
        part->asks_again = true; /* it is asked again at the next tick */
        return;
    }
    part->must_sync = true;
    part->asks_again = false;
    begin_up(part);
    sync_if_said(part);
}

static const struct pc_request_kind mine_kind = {PUSHERC_STEP_MINE, on_mine, on_await_forgotten};

static void ask_mine(struct pc_node_part *part)
{
    struct pc_values args;
    pc_values_init(&args, &part->node->engine->mem);
    pc_part_put_guard(part, &args);
    part->awaited = pc_request_send(part, pc_request_new(part->node, &mine_kind), &args);
}

/* -- the dead -- */

static void bury_next(struct pc_node_part *part);

static void on_reaped(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                      size_t count)
{
    part->reaping = false;
    bool done = count == 2 && is_word(values[0], "OK") && is_word(values[1], "0");
    if (done)
        pc_stat_add(&part->node->stats.reaped, 1);
    if (count == 2 && is_word(values[0], "OK") && !done) /* in front */
        (void)pc_names_add(part->node, part->gone.next, pc_buf_slice(&r->text));
    bury_next(part);
}

static void on_reap_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->reaping = false;
}

static const struct pc_request_kind reap_kind = {PUSHERC_STEP_REAP, on_reaped, on_reap_forgotten};

/* What the dead one holds is named in REAP. */
static void on_peeked(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                      size_t count)
{
    struct pusherc_link *node = part->node;
    struct pc_request *reap = pc_request_new(node, &reap_kind);
    struct pc_values args;
    if (reap) {
        reap->text = r->text; /* the name */
        pc_buf_init(&r->text, &node->engine->mem, SIZE_MAX);
    }
    pc_values_init(&args, &node->engine->mem);
    pc_part_put_guard(part, &args);
    pc_values_put_u64(&args, node->options.lease_ms);
    pc_values_put(&args, reap ? pc_buf_slice(&reap->text) : PC_S(""));
    pc_values_put_u64(&args, PC_TELLER_WANTS_ALL); /* its apps may be others */
    for (size_t i = 1; i < count; i++)
        pc_values_put(&args, values[i]);
    part->reaping = pc_request_send(part, reap, &args);
}

static const struct pc_request_kind peek_kind = {PUSHERC_STEP_PEEK, on_peeked, on_reap_forgotten};

static void bury_next(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    struct pc_values args;
    if (part->reaping || pc_list_empty(&part->gone) || !pc_part_is_up(part))
        return;
    struct pc_name *name = PC_CONTAINER(part->gone.next, struct pc_name, in_order);
    struct pc_request *r = pc_request_new(node, &peek_kind);
    if (r)
        pc_buf_put(&r->text, name->text);
    if (r && pc_buf_status(&r->text)) {
        pc_request_free(node, r);
        r = NULL;
    }
    pc_values_init(&args, &node->engine->mem);
    pc_values_put(&args, name->text);
    pc_values_put_u64(&args, PC_REAP_BATCH);
    part->reaping = pc_request_send(part, r, &args);
    if (!part->reaping)
        return;
    pc_name_free(node, name);
}

/* -- renewing -- */

/* Once for all partitions. */
static void say_gone(struct pusherc_link *node, pusherc_slice incarnation)
{
    char id[PC_NODE_ID + 1];
    (void)snprintf(id, sizeof id, "%.*s", (int)pc_slice_find(incarnation, '.'), incarnation.ptr);
    if (strcmp(id, node->gone) == 0)
        return;
    memcpy(node->gone, id, sizeof id);
    PC_LOG(&node->engine->log, WARN, about,
           "server %s has not been heard of for a lease: its members leave", id);
}

/* An incarnation that has just lapsed may only be late: after the authority stood still all have. So it is buried if two
 * renewals in a row have found it. */
static void note_gone(struct pc_node_part *part, const pusherc_slice *names, size_t count)
{
    struct pusherc_link *node = part->node;
    struct pc_list before;
    pc_list_take(&before, &part->lapsed);
    pc_names_free(node, &part->gone);
    for (size_t i = 0; i < count && i < MAX_NAMES; i++) {
        (void)pc_names_add(node, &part->lapsed, names[i]);
        if (pc_names_have(&before, names[i]) && pc_names_add(node, &part->gone, names[i]))
            say_gone(node, names[i]);
    }
    pc_names_free(node, &before);
}

static void on_renewed(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    part->renewing = false;
    part->confirmed_ms = r->number;
    /* Counted from the answer: the request may have been under way for long, and others have to renew meanwhile. */
    part->renew_at_ms = pc_node_now(part->node) + part->node->options.renew_ms;
    if (count < 4 || !pc_slice_to_u64(values[3], &part->alive)) {
        pc_node_refuse(part->node, "the answer to a RENEW");
        return;
    }
    pc_teller_renewed(part, is_word(values[2], "1"));
    if (is_word(values[1], "0"))
        is_settled(part);
    note_gone(part, values + 4, count - 4);
    if (part->index == 0)
        pc_orders_renewed(part);
    update_info(part->node);
    bury_next(part);
}

static void on_renew_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)r;
    part->renewing = false;
}

static const struct pc_request_kind renew_kind = {PUSHERC_STEP_RENEW, on_renewed,
                                                  on_renew_forgotten};

static void renew(struct pc_node_part *part)
{
    struct pc_values args;
    pc_values_init(&args, &part->node->engine->mem);
    pc_part_put_guard(part, &args);
    pc_values_put(&args, pc_slice_of(part->run));
    pc_values_put_u64(&args, part->node->options.lease_ms);
    pc_values_put_u64(&args, pc_teller_office(part));
    struct pc_request *r = pc_request_new(part->node, &renew_kind);
    if (r)
        r->number = pc_node_now(part->node);
    part->renewing = pc_request_send(part, r, &args);
}

/* -- reports -- */

static void subscribe_partition(struct pc_node_part *part)
{
    struct pusherc_link *node = part->node;
    if (part->topic_asked)
        return;
    part->topic_asked =
        pc_part_took(part, node->ops.subscribe(node->self, part->index, part->session,
                                               PUSHERC_TOPIC_PARTITION, PC_S("")));
    if (part->topic_asked && part->index == 0)
        part->topic_asked = pc_orders_subscribe(part);
}

static void is_lost(struct pc_node_part *part, bool topics_only)
{
    struct pusherc_link *node = part->node;
    part->topic_asked = false;
    if (part->index == 0)
        pc_orders_lost(node);
    if (topics_only) {
        pc_wants_unsubscribed(part);
        if (part->state != PC_LINK_DOWN) {
            subscribe_partition(part);
            pc_wants_look_all(part);
        }
        return;
    }
    if (part->state == PC_LINK_DOWN)
        return;
    part->lost_ms = pc_node_now(node);
    pc_stat_add(&node->stats.losses, 1);
    /* The last first: publications go back in front of those that wait. */
    while (!pc_list_empty(&part->requests)) {
        struct pc_request *r = PC_CONTAINER(part->requests.prev, struct pc_request, in_order);
        pc_list_remove(&r->in_order);
        if (!r->stale)
            r->kind->forgotten(part, r);
        pc_request_free(node, r);
    }
    part->request_count = 0;
    if (node->started)
        pc_relay_lost(part);
    part->must_sync = part->awaited = false;
    forget_dead(part);
    set_state(part, PC_LINK_DOWN);
    pc_wants_unsubscribed(part);
    pc_searches_go_on(node);
}

static void is_up(struct pc_node_part *part, uint64_t session, pusherc_slice run)
{
    if (part->state != PC_LINK_DOWN)
        is_lost(part, false);
    part->isolated = false;
    part->session = session;
    memcpy(part->run, run.ptr, run.len);
    part->run[run.len] = '\0';
    part->topic_asked = false;
    subscribe_partition(part);
    set_state(part, PC_LINK_ATTACHING);
    part->attach_at_ms = pc_node_now(part->node);
    /* What has waited is published once this node has attached. Others come back at about the same time: they shall have
     * subscribed by then. */
    if (pc_list_empty(&part->outbox))
        attach(part);
    else
        part->attach_at_ms += PC_REJOIN_MS;
    pc_wants_look_all(part);
}

static void is_subscribed(struct pc_node_part *part, pusherc_topic topic, pusherc_slice key)
{
    if (part->state == PC_LINK_DOWN)
        return;
    if (topic == PUSHERC_TOPIC_CHANNEL)
        pc_wants_subscribed(part->node, key);
    else if (topic == PUSHERC_TOPIC_PARTITION)
        pc_teller_called(part); /* what was called before was not heard */
    else if (topic == PUSHERC_TOPIC_ORDERS && part->index == 0)
        pc_orders_subscribed(part);
}

static void hears(struct pc_node_part *part, pusherc_topic topic, pusherc_slice key,
                  pusherc_slice message)
{
    bool understood = false;
    if (topic == PUSHERC_TOPIC_PARTITION) {
        pusherc_slice epoch = pc_slice_skip(message, message.len < 2 ? message.len : 2);
        bool settled = pc_slice_starts(message, PC_S("S "));
        understood = settled || pc_teller_hears(part, message);
        if (settled && pc_slice_eq(epoch, pc_slice_of(part->epoch)) && pc_part_is_up(part))
            is_settled(part);
    } else if (topic == PUSHERC_TOPIC_ORDERS) {
        understood = part->index == 0 && pc_orders_hears(part, message);
    } else if (pc_slice_starts(key, PC_S("/"))) {
        understood = part->index == 0 && pc_orders_hears_own(part, key, message);
    } else {
        understood = message.len > 0 && message.len <= PC_MAX_MESSAGE &&
                     (message.ptr[0] == 'E'                  ? pc_relay_hears(part, key, message)
                      : pc_slice_starts(message, PC_S("C ")) ? pc_totals_hears(part, key, message)
                      : pc_kept_is_event(message)            ? pc_kept_hears(part, key, message)
                                                  : pc_mirror_message(part, key, message));
    }
    if (!understood)
        pc_node_refuse(part->node, "a message");
    pc_wants_look_soon(part);
}

/* Channels wait for orders with subscribing. */
static void look_everywhere(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++) {
        pc_wants_look_all(&node->parts[i]);
        pc_wants_look_soon(&node->parts[i]);
    }
}

static void is_answered(struct pc_node_part *part, const pusherc_slice *values, size_t count)
{
    struct pusherc_link *node = part->node;
    if (pc_list_empty(&part->requests)) {
        pc_node_refuse(node, "an answer without a question");
        return;
    }
    struct pc_request *r = PC_CONTAINER(part->requests.next, struct pc_request, in_order);
    pc_list_remove(&r->in_order);
    part->request_count--;
    bool step = r->kind->step != 0;
    pc_request_time(node, r);
    if (r->stale) {
        pc_request_free(node, r);
    } else if (step && count == 0) {
        pc_node_refuse(node, "an answer without a word");
        r->kind->forgotten(part, r);
        pc_request_free(node, r);
        give_up(part);
    } else if (step && is_word(values[0], "LATER")) {
        r->put_off = true;
        r->kind->forgotten(part, r);
        pc_request_free(node, r);
        part->asks_again = true;
    } else if (step && (is_word(values[0], "EPOCH") || is_word(values[0], "FENCED"))) {
        r->kind->forgotten(part, r);
        pc_request_free(node, r);
        if (is_word(values[0], "FENCED"))
            is_fenced(part);
        else
            attach_anew(part);
    } else {
        r->kind->answered(part, r, values, count);
        pc_request_free(node, r);
    }
    pc_wants_look_soon(part);
    if (part->index == 0 && pc_orders_came_into_step(node))
        look_everywhere(node);
}

static const struct pc_link_reports reports = {is_up, is_lost, is_subscribed, hears, is_answered};

/* -- time -- */

static void tick_part(struct pc_node_part *part, uint64_t now_ms)
{
    part->asks_again = false;
    if (part->state != PC_LINK_DOWN) {
        subscribe_partition(part);
    } else {
        pc_relay_age(part);
        if (!part->isolated && now_ms - part->lost_ms >= part->node->options.lease_ms) {
            part->isolated = true;
            pc_wants_look_all(part);
        }
    }
    if (part->state == PC_LINK_ATTACHING && !part->awaited && now_ms >= part->attach_at_ms)
        attach(part);
    if (part->state == PC_LINK_RECONCILING && !part->awaited)
        ask_mine(part);
    if (pc_part_is_up(part)) {
        if (now_ms >= part->renew_at_ms && !part->renewing)
            renew(part);
        if (now_ms >= part->sweep_at_ms) {
            part->sweep_at_ms = now_ms + part->node->options.sweep_ms;
            pc_mirrors_sweep(part);
            pc_kept_sweep(part);
            pc_totals_sweep(part);
        }
        pc_relay_send(part);
        pc_teller_tick(part);
        bury_next(part);
    }
    pc_wants_tick(part);
    pc_wants_look_soon(part);
    sync_if_said(part);
}

static void on_tick(struct pc_timer *timer, uint64_t now_ms)
{
    struct pusherc_link *node = PC_CONTAINER(timer, struct pusherc_link, tick);
    for (uint32_t i = 0; i < node->part_count; i++)
        tick_part(&node->parts[i], now_ms);
    pc_isolation_tick(node, now_ms);
    pc_orders_tick(&node->parts[0]);
    pc_searches_go_on(node);
    pc_onces_go_on(node);
    pc_timer_arm(&node->worker->timers, &node->tick, now_ms + PC_NODE_TICK_MS);
}

static void take_all(struct pusherc_link *node, struct pc_list *outgoing)
{
    while (!pc_list_empty(outgoing)) {
        struct pc_outgoing *out = PC_CONTAINER(outgoing->next, struct pc_outgoing, in_order);
        pc_list_remove(&out->in_order);
        out->take(node, out);
    }
}

/* Looks at what other threads have marked. */
static void on_look(struct pc_mail *mail, struct pc_worker *worker)
{
    struct pusherc_link *node = PC_CONTAINER(mail, struct pusherc_link, look);
    struct pc_list outgoing, carried, searches, marked;
    if (!worker)
        return;
    pthread_mutex_lock(&node->mutex);
    node->look_posted = false;
    pc_list_take(&outgoing, &node->outgoing);
    pc_list_take(&carried, &node->orders.carried);
    pc_list_take(&searches, &node->to_search);
    pc_list_take(&marked, &node->marked);
    pthread_mutex_unlock(&node->mutex);
    take_all(node, &outgoing); /* before the leaves of those who published */
    pc_orders_take(node, &carried);
    for (;;) {
        struct pc_remote *remote = NULL;
        pthread_mutex_lock(&node->mutex);
        if (!pc_list_empty(&marked)) {
            remote = PC_CONTAINER(marked.next, struct pc_remote, marked);
            pc_list_remove(&remote->marked);
        }
        pthread_mutex_unlock(&node->mutex);
        if (!remote)
            break;
        pc_wants_look(remote);
    }
    pc_searches_take(node, &searches);
}

/* -- life -- */

static void part_init(struct pusherc_link *node, uint32_t index)
{
    struct pc_node_part *part = &node->parts[index];
    part->node = node;
    part->index = index;
    pc_list_init(&part->requests);
    pc_list_init(&part->remotes);
    pc_list_init(&part->todo);
    pc_list_init(&part->soon);
    pc_list_init(&part->outbox);
    pc_list_init(&part->origins_in_order);
    pc_list_init(&part->lapsed);
    pc_list_init(&part->gone);
    pc_map_init(&part->origins, &node->engine->mem, node->engine->seed);
    pc_link_lost_init(part);
}

static void fill(pusherc_cluster_options *o)
{
    const pusherc_cluster_options defaults = {
        .lease_ms = PC_LEASE_MS,
        .renew_ms = PC_RENEW_MS,
        .settle_ms = PC_SETTLE_MS,
        .join_wait_ms = 2000,
        .count_ms = 100,
        .sweep_ms = 30000,
        .linger_ms = 10000,
        .outbox_ms = 10000,
        .outbox_bytes = 8388608,
    };
    o->lease_ms = o->lease_ms ? o->lease_ms : defaults.lease_ms;
    o->renew_ms = o->renew_ms ? o->renew_ms : defaults.renew_ms;
    o->settle_ms = o->settle_ms ? o->settle_ms : defaults.settle_ms;
    o->join_wait_ms = o->join_wait_ms ? o->join_wait_ms : defaults.join_wait_ms;
    o->count_ms = o->count_ms ? o->count_ms : defaults.count_ms;
    o->sweep_ms = o->sweep_ms ? o->sweep_ms : defaults.sweep_ms;
    o->linger_ms = o->linger_ms ? o->linger_ms : defaults.linger_ms;
    o->outbox_ms = o->outbox_ms ? o->outbox_ms : defaults.outbox_ms;
    o->outbox_bytes = o->outbox_bytes ? o->outbox_bytes : defaults.outbox_bytes;
}

int pc_node_new(struct pusherc_link **out, struct pc_engine *engine, const pusherc_link_ops *ops,
                void *self, const pusherc_cluster_options *options)
{
    uint8_t id[PC_NODE_ID / 2];
    *out = NULL;
    int err = pc_random(id, sizeof id);
    if (err)
        return err;
    struct pusherc_link *node = pc_alloc_zero(&engine->mem, sizeof *node);
    if (!node)
        return PUSHERC_ENOMEM;
    node->parts = pc_alloc_array(&engine->mem, ops->partitions, sizeof *node->parts);
    if (!node->parts) {
        pc_free(&engine->mem, node);
        return PUSHERC_ENOMEM;
    }
    node->engine = engine;
    node->worker = &engine->workers[0];
    node->ops = *ops;
    node->self = self;
    node->options = *options;
    fill(&node->options);
    pc_hex(id, sizeof id, node->id);
    node->part_count = ops->partitions;
    pthread_mutex_init(&node->mutex, NULL);
    pc_timer_init(&node->tick, on_tick);
    pc_list_init(&node->searches);
    pc_list_init(&node->marked);
    pc_list_init(&node->outgoing);
    pc_list_init(&node->to_search);
    node->look.run = on_look;
    node->reports = &reports;
    for (uint32_t i = 0; i < node->part_count; i++)
        part_init(node, i);
    pc_wants_init(node);
    pc_relay_init(node);
    pc_orders_init(node);
    pc_searches_init(node);
    pc_onces_init(node);
    pc_seats_init(node);
    pc_tellers_init(node);
    *out = node;
    return 0;
}

int pc_node_start(struct pusherc_link *node)
{
    for (uint32_t i = 0; i < node->part_count; i++)
        node->parts[i].lost_ms = pc_node_now(node);
    pc_isolation_start(node);
    int err = node->ops.start(node->self, node);
    node->started = err == 0;
    if (node->started)
        pc_timer_arm(&node->worker->timers, &node->tick, pc_node_now(node) + PC_NODE_TICK_MS);
    return err;
}

static void on_nothing(struct pc_node_part *part, struct pc_request *r, const pusherc_slice *values,
                       size_t count)
{
    (void)part;
    (void)r;
    (void)values;
    (void)count;
}

static void on_nothing_forgotten(struct pc_node_part *part, struct pc_request *r)
{
    (void)part;
    (void)r;
}

static const struct pc_request_kind detach_kind = {PUSHERC_STEP_DETACH, on_nothing,
                                                   on_nothing_forgotten};

bool pc_node_leave(struct pusherc_link *node)
{
    bool over = true;
    for (uint32_t i = 0; i < node->part_count; i++) {
        struct pc_node_part *part = &node->parts[i];
        if (pc_part_is_up(part) && !part->detached && part->request_count == 0 &&
            pc_teller_leave(part)) {
            struct pc_values args;
            pc_values_init(&args, &node->engine->mem);
            pc_part_put_guard(part, &args);
            pc_request_send(part, pc_request_new(node, &detach_kind), &args);
            part->detached = true;
        }
        over &= !pc_part_is_up(part) || (part->detached && part->request_count == 0);
    }
    return over;
}

static pusherc_link_state public_state(int state)
{
    switch ((enum pc_link_state)state) {
    case PC_LINK_DOWN:
        break;
    case PC_LINK_ATTACHING:
    case PC_LINK_RECONCILING:
        return PUSHERC_LINK_ATTACHING;
    case PC_LINK_UP:
        return PUSHERC_LINK_UP;
    }
    return PUSHERC_LINK_DOWN;
}

void pc_node_info(const struct pusherc_link *node, pusherc_cluster_info *out)
{
    const struct pc_node_stats *s = &node->stats;
    out->state = public_state(atomic_load_explicit(&node->worst, memory_order_relaxed));
    out->nodes = atomic_load_explicit(&node->alive, memory_order_relaxed);
    out->unsettled = atomic_load_explicit(&node->unsettled, memory_order_relaxed);
    memcpy(out->node_id, node->id, sizeof node->id);
    out->gaps = pc_stat_get(&s->gaps);
    out->dropped = pc_stat_get(&s->dropped);
    out->refused = pc_stat_get(&s->refused);
    out->reaped = pc_stat_get(&s->reaped);
}

size_t pc_node_outbox_bytes(struct pusherc_link *node)
{
    pthread_mutex_lock(&node->mutex);
    size_t bytes = node->outbox_bytes;
    pthread_mutex_unlock(&node->mutex);
    return bytes;
}

void pc_node_stop(struct pusherc_link *node)
{
    if (node && node->started)
        node->ops.stop(node->self);
    if (node)
        node->started = false;
}

void pc_node_free(struct pusherc_link *node)
{
    if (!node)
        return;
    struct pc_mem mem = node->engine->mem;
    struct pc_list outgoing;
    pc_timer_stop(&node->worker->timers, &node->tick);
    for (uint32_t i = 0; i < node->part_count; i++) {
        struct pc_node_part *part = &node->parts[i];
        is_lost(part, false);
        forget_dead(part);
    }
    pc_list_take(&outgoing, &node->outgoing);
    take_all(node, &outgoing);
    pc_searches_free(node);
    pc_onces_free(node);
    pc_seats_free(node);
    pc_orders_free(node);
    pc_tellers_free(node);
    pc_wants_free(node);
    pc_relay_free(node);
    node->engine->decider = (struct pc_decider){.begin = NULL};
    node->engine->relay = (struct pc_relay){.prepare = NULL};
    pthread_mutex_destroy(&node->mutex);
    if (node->dispose)
        node->dispose(node->self);
    pc_free(&mem, node->parts);
    pc_free(&mem, node);
}
