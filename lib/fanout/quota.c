#include "fanout/quota.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "fanout/engine.h"

/*
 * How it works. Every party has a count, and a link to the count above it: connection, address, app. A claim climbs
 * from the lowest count to the highest and enters each one that has room. Where there is none it waits in line, with
 * its place below. When a question is answered its place is free in all counts at once, and lines move from the top
 * down: so a connection with a long line of its own does not overtake the others of its address.
 *
 * A count that claims wait for is full. So a count without questions has no line, and is freed.
 */

enum level {
    LEVEL_APP = 'a', /* the kinds of keys */
    LEVEL_ADDRESS = 'i',
    LEVEL_CONNECTION = 'c'
};

#define MAX_KEY (1 + sizeof(uint64_t) + sizeof(pusherc_socket_id))

struct pc_quota {
    struct pc_map_node node;
    struct pc_quotas *of;
    struct pc_quota *above; /* NULL: the app's */
    struct pc_list line;    /* struct pc_claim: the oldest first */
    uint32_t count, max;
    char key[MAX_KEY];
};

void pc_quotas_init(struct pc_quotas *quotas, struct pc_worker *worker)
{
    quotas->worker = worker;
    pc_map_init(&quotas->by_party, worker->mem, worker->engine->seed);
}

static void forget(struct pc_map_node *node, void *ctx)
{
    struct pc_quotas *quotas = ctx;
    pc_map_remove(&quotas->by_party, node);
    pc_free(quotas->worker->mem, PC_CONTAINER(node, struct pc_quota, node));
}

void pc_quotas_free(struct pc_quotas *quotas)
{
    pc_map_each(&quotas->by_party, forget, quotas);
    pc_map_free(&quotas->by_party);
}

/* -- the counts of a source -- */

static pusherc_slice write_key(enum level level, const struct pc_source *source, char out[MAX_KEY])
{
    char *at = out;
    *at++ = (char)level;
    memcpy(at, &source->app_uid, sizeof source->app_uid);
    at += sizeof source->app_uid;
    if (level == LEVEL_CONNECTION) {
        memcpy(at, &source->socket_id, sizeof source->socket_id);
        at += sizeof source->socket_id;
    } else if (level == LEVEL_ADDRESS) {
        pusherc_slice network = pc_address_network(&source->address);
        memcpy(at, network.ptr, network.len);
        at += network.len;
    }
    return pc_slice(out, (size_t)(at - out));
}

static bool is_of_unknown_apps(const struct pc_quota *quota)
{
    uint64_t app_uid;
    memcpy(&app_uid, quota->key + 1, sizeof app_uid);
    return app_uid == PC_QUOTA_UNKNOWN_APPS;
}

static uint32_t limit_of(const struct pc_quota *quota)
{
    const pusherc_server_options *o = &quota->of->worker->engine->options;
    switch ((enum level)quota->key[0]) {
    case LEVEL_APP:
        return o->max_questions_per_app;
    case LEVEL_ADDRESS:
        return is_of_unknown_apps(quota) ? o->max_unknown_apps_per_ip : o->max_questions_per_ip;
    case LEVEL_CONNECTION:
        break;
    }
    return o->max_questions_per_connection;
}

/* NULL = out of memory. */
static struct pc_quota *find_or_add(struct pc_quotas *quotas, enum level level,
                                    const struct pc_source *source, struct pc_quota *above)
{
    char bytes[MAX_KEY];
    pusherc_slice key = write_key(level, source, bytes);
    struct pc_map_node *node = pc_map_find(&quotas->by_party, key);
    if (node)
        return PC_CONTAINER(node, struct pc_quota, node);
    struct pc_quota *quota = pc_alloc_zero(quotas->worker->mem, sizeof *quota);
    if (!quota)
        return NULL;
    memcpy(quota->key, bytes, key.len);
    quota->node.key = pc_slice(quota->key, key.len);
    if (pc_map_insert(&quotas->by_party, &quota->node)) {
        pc_free(quotas->worker->mem, quota);
        return NULL;
    }
    quota->of = quotas;
    quota->above = above;
    quota->max = limit_of(quota);
    pc_list_init(&quota->line);
    return quota;
}

/* Frees the counts from this one up that count nothing. */
static void settle(struct pc_quota *quota)
{
    while (quota && quota->count == 0) {
        struct pc_quota *above = quota->above;
        forget(&quota->node, quota->of);
        quota = above;
    }
}

/* The lowest count of a source; settle() undoes it. NULL = out of memory. */
static struct pc_quota *find_lowest(struct pc_worker *worker, const struct pc_source *source)
{
    struct pc_quotas *quotas = &worker->quotas;
    struct pc_quota *app = find_or_add(quotas, LEVEL_APP, source, NULL), *address = app;
    struct pc_quota *lowest;
    if (app && source->address.len)
        address = find_or_add(quotas, LEVEL_ADDRESS, source, app);
    lowest = address;
    if (address && (source->socket_id.a || source->socket_id.b))
        lowest = find_or_add(quotas, LEVEL_CONNECTION, source, address);
    if (!lowest)
        settle(address ? address : app);
    return lowest;
}

/* -- climbing -- */

/* Enters counts from `full` up. False: one has no room, and `full` is that one. */
static bool climb(struct pc_claim *claim, bool must)
{
    while (claim->full) {
        if (claim->full->count >= claim->full->max && !must)
            return false;
        claim->full->count++;
        claim->full = claim->full->above;
    }
    return true;
}

/* Fills the room in `quota` with claims in line for it. */
static void move_line(struct pc_quota *quota)
{
    while (quota->count < quota->max && !pc_list_empty(&quota->line)) {
        struct pc_claim *claim = PC_CONTAINER(quota->line.next, struct pc_claim, link);
        pc_list_remove(&claim->link);
        if (climb(claim, false))
            claim->granted(claim);
        else
            pc_list_push_back(&claim->full->line, &claim->link);
    }
}

static void move_lines(struct pc_quota *from, const struct pc_quota *end)
{
    if (from == end)
        return;
    move_lines(from->above, end);
    move_line(from);
}

/* Leaves the counts from `lowest` up to `end`, which it has not entered. */
static void leave(struct pc_quota *lowest, const struct pc_quota *end)
{
    for (struct pc_quota *q = lowest; q != end; q = q->above)
        q->count--;
    move_lines(lowest, end);
    settle(lowest);
}

void pc_quota_drop(struct pc_quota *quota)
{
    if (quota)
        leave(quota, NULL);
}

/* -- refusing -- */

static void write_party(const struct pc_quota *quota, char *out, size_t size)
{
    const unsigned char *b = (const unsigned char *)quota->key + 1 + sizeof(uint64_t);
    size_t len = quota->node.key.len - 1 - sizeof(uint64_t);
    if (quota->key[0] == LEVEL_APP)
        snprintf(out, size, "one app");
    else if (quota->key[0] == LEVEL_CONNECTION)
        snprintf(out, size, "one connection");
    else if (len == 4)
        snprintf(out, size, "%u.%u.%u.%u", b[0], b[1], b[2], b[3]);
    else
        snprintf(out, size, "%02x%02x:%02x%02x:%02x%02x:%02x%02x::/64", b[0], b[1], b[2], b[3],
                 b[4], b[5], b[6], b[7]);
}

static const char *setting_of(const struct pc_quota *quota)
{
    switch ((enum level)quota->key[0]) {
    case LEVEL_APP:
        return "max_questions_per_app";
    case LEVEL_ADDRESS:
        return is_of_unknown_apps(quota)
                   ? "max_unknown_apps_per_ip; if it is a proxy, set proxy_count"
                   : "max_questions_per_ip; if it is a proxy, set proxy_count";
    case LEVEL_CONNECTION:
        break;
    }
    return "max_questions_per_connection";
}

static void note_refused(const struct pc_quota *full)
{
    struct pc_worker *worker = full->of->worker;
    struct pc_log_about about = {.subject = "auth", .topic = (unsigned char)full->key[0]};
    char party[48];
    write_party(full, party, sizeof party);
    pc_stat_add(&worker->stats.questions_refused, 1);
    PC_LOG(&worker->engine->log, WARN, about,
           "a question to the host was refused: %s has %u that are not answered (%s)", party,
           full->count, setting_of(full));
}

/* -- taking -- */

static int take(struct pc_worker *worker, const struct pc_source *source, struct pc_claim *claim,
                bool must)
{
    claim->quota = claim->full = find_lowest(worker, source);
    if (!claim->quota)
        return PUSHERC_ENOMEM;
    return climb(claim, must) ? 0 : PUSHERC_ELIMIT;
}

/* Undoes a take() that has met a limit. */
static void withdraw(struct pc_claim *claim)
{
    leave(claim->quota, claim->full);
    claim->quota = claim->full = NULL;
}

int pc_quota_take(struct pc_worker *worker, const struct pc_source *source, struct pc_quota **out)
{
    struct pc_claim claim;
    *out = NULL;
    int err = take(worker, source, &claim, false);
    if (err == PUSHERC_ELIMIT) {
        note_refused(claim.full);
        withdraw(&claim);
    }
    *out = claim.quota;
    return err;
}

void pc_claim_init(struct pc_claim *claim, void (*granted)(struct pc_claim *claim))
{
    pc_list_init(&claim->link);
    claim->quota = claim->full = NULL;
    claim->granted = granted;
}

int pc_claim_make(struct pc_claim *claim, struct pc_worker *worker, const struct pc_source *source,
                  bool must)
{
    int err = take(worker, source, claim, must);
    if (err != PUSHERC_ELIMIT)
        return err;
    pc_list_push_back(&claim->full->line, &claim->link);
    return 0;
}

bool pc_claim_move(struct pc_claim *claim, struct pc_worker *worker, const struct pc_source *source)
{
    struct pc_claim other;
    int err = take(worker, source, &other, false);
    if (err == PUSHERC_ELIMIT)
        withdraw(&other);
    if (err)
        return false;
    pc_claim_cancel(claim);
    claim->quota = other.quota;
    return true;
}

struct pc_quota *pc_claim_use(struct pc_claim *claim)
{
    struct pc_quota *quota = claim->quota;
    claim->quota = NULL;
    return quota;
}

void pc_claim_cancel(struct pc_claim *claim)
{
    if (pc_claim_waits(claim)) {
        pc_list_remove(&claim->link);
        withdraw(claim);
    } else {
        pc_quota_drop(pc_claim_use(claim));
    }
}

void pc_claim_expire(struct pc_claim *claim)
{
    if (pc_claim_waits(claim))
        note_refused(claim->full);
    pc_claim_cancel(claim);
}
