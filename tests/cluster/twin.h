/*
 * Several nodes without event loops, linked by a hub, with clients that check everything that they are told:
 *
 *   no member_added of a user in the client's roster, no member_removed of one who is not, nothing about itself;
 *   no event twice, and each node's events in order;
 *   at rest, without faults: rosters are equal on all nodes, and are those who are there; the authority has no other;
 *     totals are the numbers of subscriptions; no client waits.
 *   An order is over within its time, and if no node was silent, no node that believes its link to be up has not carried
 *     it out.
 *   The cache channel: at rest all nodes with clients keep what the authority keeps, and clients have heard it last.
 *   At rest subscribers of other channels have been told how many there are on all nodes.
 *   Watchlists: the first that a client hears is the state of its whole list, and then online and offline of each user
 *     alternate; at rest it knows who is signed in on any node. No user is told to be offline who was there all the time.
 *   Webhooks: occupied and vacated, added and removed alternate, as long as the same node tells and nothing broke; at rest
 *     they have told what is true, unless data was lost and the teller as well.
 *   If nothing broke on the way: each client has each event that was published after it was answered, a snapshot has
 *     all who were answered before, and no user is announced as gone who was there all the time.
 *
 * What happens next is chosen by numbers: of a generator in a test, of the input in a fuzzer.
 */
#ifndef TESTS_CLUSTER_TWIN_H
#define TESTS_CLUSTER_TWIN_H

#include "cluster/node.h"
#include "cluster/remote.h"
#include "cluster/step.h"
#include "engine_fixture.h"
#include "hub.h"

#define TWIN_CLIENTS  20 /* of all nodes at a time */
#define TWIN_CHANNELS 4
#define TWIN_CACHE    3 /* this one keeps its last event */
#define TWIN_USERS    4
#define TWIN_PEOPLE                                                                                \
    TWIN_CHANNELS /* in place of a channel: the client has signed in, with a watchlist */
#define TWIN_EVENTS   4096
#define TWIN_HELD     8
#define TWIN_UNIT_MS  100 /* a node's tick */
#define TWIN_DELAY_MS 600 /* the longest that something is under way on a healthy connection */

static const char *const twin_channels[TWIN_CHANNELS] = {"presence-a", "presence-b", "public-c",
                                                         "cache-d"};
static const char *const twin_users[TWIN_USERS] = {"u0", "u1", "u2", "u3"};

struct twin_client {
    struct fx_client fx;
    bool used, subscribed, refused;
    bool joined; /* its user was joined at the authority after it asked */
    uint64_t serial;
    size_t node, channel, user;
    unsigned roster; /* bits; of users who are online, of a client that has signed in */
    unsigned list;   /* of users that it watches; `subscribed`: it has heard of them */
    uint64_t expected[TWIN_CLIENTS]; /* serials of those who were answered before it asked */
    uint64_t absences[TWIN_USERS];   /* of each user in the roster, when it was told of it */
    uint32_t last[HUB_NODES * 64];   /* the last event heard of each node that there ever was */
    uint32_t last_id;                /* of the last event, and 1; 0 = none was heard */
    uint8_t heard[TWIN_EVENTS / 8], due[TWIN_EVENTS / 8];
};

struct twin_node {
    struct twin *twin;
    struct fx fx;
    pusherc_link *link;
    bool running; /* false: paused */
    size_t name;  /* number among all nodes that there ever were */
    /* Without being able to renew its lease, since it last was for long enough. If the authority stood still, that was
     * no fault of the node's. */
    uint64_t away_ms, away_before_ms;
    uint64_t able_since_ms; /* 0 = it is not */
    uint32_t published;
    struct pc_acceptance *held[TWIN_HELD]; /* of notices that wait for the endpoint */
    size_t remembered;                     /* of what it has told, by the last look */
    /* Users whose clients here have just left: bits. While they were here the others were not told that the user had left
     * elsewhere; now they are, by what the mirror says. */
    unsigned left[TWIN_CHANNELS + 1];
    uint64_t signed_out_ms
        [TWIN_USERS]; /* when the last client of the user here has left; 0 = none has */
};

/* Who was in a roster at a number. */
struct twin_roster {
    char epoch[PC_MAX_EPOCH + 1];
    size_t channel; /* from TWIN_PEOPLE on that of each user */
    uint64_t number;
    unsigned users;
};

/* An order that a node gave. */
struct twin_order {
    bool used, over, complete;  /* complete: no node was silent */
    char key[64];               /* "<origin> <number>" */
    size_t names;               /* nodes that there had been when it was given */
    uint64_t missed[HUB_NODES]; /* how often nodes had asked all grants again by then */
    struct twin *twin;
};

/* What webhooks have told last: of a channel, and of its users: bits. */
struct twin_endpoint {
    bool occupied;
    unsigned users;
};

#define TWIN_ORDERS  256
#define TWIN_ROSTERS 2048 /* the last ones */

struct twin {
    struct hub hub;
    struct twin_roster rosters[TWIN_ROSTERS];
    size_t roster_count;               /* that there ever were */
    struct twin_node nodes[HUB_NODES]; /* hub.ends[i].link NULL: there is none */
    struct twin_client clients[TWIN_CLIENTS];
    size_t names;
    uint64_t serials;
    struct twin_order orders[TWIN_ORDERS];
    size_t order_count;
    uint32_t events; /* published by all */
    bool poor;    /* memory runs out now and then: it is only checked that nothing ends or leaks */
    bool deleted; /* all data was, once */
    uint64_t stalled_ms; /* when the authority stood still last */
    bool faulty;         /* something was broken: some promises do not hold */
    struct twin_endpoint endpoint[TWIN_CHANNELS];
    size_t teller;       /* name of the node that told last, and 1; 0 = none has */
    bool teller_changed; /* what was told is known by none any more */
    bool went_back;      /* data was lost */
    uint64_t told;
    uint32_t most; /* max_presence_members */
    /* nodes that the authority was told of, with a client: bits; and how often there was none */
    unsigned truth[TWIN_CHANNELS + 1][TWIN_USERS];
    uint64_t absences[TWIN_CHANNELS + 1][TWIN_USERS];
    uint64_t added, removed, delivered; /* statistics */
    uint64_t online, offline;           /* told after the first state */
};

static inline bool twin_exists(const struct twin *t, size_t node)
{
    return t->hub.ends[node].link != NULL;
}

static inline size_t twin_count(const struct twin *t)
{
    size_t count = 0;
    for (size_t node = 0; node < HUB_NODES; node++)
        count += twin_exists(t, node);
    return count;
}

static inline bool twin_is_presence(size_t channel)
{
    return channel < 2;
}

/* The authority is told of its users. */
static inline bool twin_has_users(size_t channel)
{
    return twin_is_presence(channel) || channel == TWIN_PEOPLE;
}

/* The channel's key; of TWIN_PEOPLE, the user's. */
static inline bool twin_is_key(pusherc_slice key, size_t channel, size_t user)
{
    char name[16];
    snprintf(name, sizeof name, "#user-%s", twin_users[user]);
    return pc_slice_ends(key, pc_slice_of(channel == TWIN_PEOPLE ? name : twin_channels[channel]));
}

/* -- what is true -- */

static inline bool twin_has_client(const struct twin *t, size_t node, size_t channel, size_t user)
{
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        const struct twin_client *c = &t->clients[i];
        if (c->used && !c->refused && c->node == node && c->channel == channel && c->user == user)
            return true;
    }
    return false;
}

static inline void twin_on_join(void *ctx, size_t node, pusherc_slice channel, pusherc_slice user)
{
    struct twin *t = ctx;
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        struct twin_client *c = &t->clients[i];
        c->joined |= c->used && c->node == node && twin_is_key(channel, c->channel, c->user) &&
                     pc_slice_eq(user, pc_slice_of(twin_users[c->user]));
    }
    for (size_t c = 0; c <= TWIN_PEOPLE; c++) {
        for (size_t u = 0; u < TWIN_USERS; u++) {
            if (!twin_is_key(channel, c, u) || !pc_slice_eq(user, pc_slice_of(twin_users[u])))
                continue;
            if (twin_has_client(t, node, c, u))
                t->truth[c][u] |= 1u << node;
            else /* it has left already */
                t->absences[c][u] += t->truth[c][u] == 0;
        }
    }
}

static inline void twin_truth_changed(struct twin *t, size_t node, size_t channel, size_t user)
{
    if (!(t->truth[channel][user] & 1u << node) || twin_has_client(t, node, channel, user))
        return;
    t->truth[channel][user] &= ~(1u << node);
    t->absences[channel][user] += t->truth[channel][user] == 0;
}

/* -- mirrors -- */

static inline unsigned twin_bit(pusherc_slice user)
{
    for (size_t u = 0; u < TWIN_USERS; u++)
        if (pc_slice_eq(user, pc_slice_of(twin_users[u])))
            return 1u << u;
    REQUIRE(false);
    return 0;
}

/* Writes down the rosters after a step. */
static inline void twin_note_rosters(struct twin *t)
{
    const struct pc_partition *p =
        (const struct pc_partition *)t->hub.authority; /* its first member */
    for (size_t c = 0; c < TWIN_CHANNELS + TWIN_USERS && p->epoch; c++) {
        char key[64];
        if (!twin_is_presence(c) && c < TWIN_CHANNELS)
            continue;
        if (c < TWIN_CHANNELS)
            snprintf(key, sizeof key, "app-id/%s", twin_channels[c]);
        else
            snprintf(key, sizeof key, "app-id/#user-%s", twin_users[c - TWIN_CHANNELS]);
        const struct pc_occupied *listed = pc_occupied_find(p, pc_slice_of(key));
        if (!listed || !listed->last)
            continue;
        struct twin_roster *r = &t->rosters[t->roster_count++ % TWIN_ROSTERS];
        *r = (struct twin_roster){.channel = c, .number = listed->last};
        snprintf(r->epoch, sizeof r->epoch, "%s", p->epoch);
        PC_LIST_EACH(l, &listed->members_in_order) {
            r->users |= twin_bit(PC_CONTAINER(l, struct pc_entry, in_order)->node.key);
        }
    }
}

/* A mirror that follows is what the roster was at its number. */
static inline void twin_check_mirror(const struct twin *t, const struct pc_remote *remote)
{
    unsigned users = 0;
    size_t known = t->roster_count < TWIN_ROSTERS ? t->roster_count : TWIN_ROSTERS;
    PC_LIST_EACH(l, &remote->users_in_order) {
        const struct pc_remote_user *user = PC_CONTAINER(l, struct pc_remote_user, in_order);
        users |= user->mirrored ? twin_bit(user->node.key) : 0;
    }
    for (size_t i = 0; i < known; i++) {
        const struct twin_roster *r = &t->rosters[i];
        if (r->number == remote->last && strcmp(r->epoch, remote->mirror_epoch) == 0 &&
            twin_is_key(remote->node.key, r->channel < TWIN_PEOPLE ? r->channel : TWIN_PEOPLE,
                        r->channel < TWIN_PEOPLE ? 0 : r->channel - TWIN_PEOPLE))
            REQUIRE(r->users == users);
    }
}

static inline void twin_check_mirrors(const struct twin *t, size_t node)
{
    if (t->poor)
        return;
    PC_LIST_EACH(l, &t->nodes[node].link->parts[0].remotes) {
        const struct pc_remote *remote = PC_CONTAINER(l, struct pc_remote, of_part);
        if (remote->live && pc_remote_has_roster(remote))
            twin_check_mirror(t, remote);
    }
}

/* -- who was there all the time -- */

#define TWIN_AWAY_MS 2200 /* a lease without a renewal and what that takes */

static inline bool twin_in_touch(const struct twin *t, size_t node)
{
    return t->hub.ends[node].connected && pc_part_is_up(&t->nodes[node].link->parts[0]);
}

/* By a node that was not away for a lease. */
static inline bool twin_well_held(const struct twin *t, size_t channel, size_t user)
{
    for (size_t node = 0; node < HUB_NODES; node++)
        if ((t->truth[channel][user] & 1u << node) && t->nodes[node].away_ms < TWIN_AWAY_MS)
            return true;
    return false;
}

/* The authority does not know what the node holds. */
static inline void twin_forget(struct twin *t, size_t node)
{
    for (size_t c = 0; c <= TWIN_PEOPLE; c++) {
        for (size_t u = 0; u < TWIN_USERS; u++) {
            if (!(t->truth[c][u] & 1u << node))
                continue;
            t->truth[c][u] &= ~(1u << node);
            t->absences[c][u] += t->truth[c][u] == 0;
        }
    }
}

static inline void twin_on_reap(void *ctx, pusherc_slice dead)
{
    struct twin *t = ctx;
    for (size_t node = 0; node < HUB_NODES; node++)
        if (twin_exists(t, node) && pc_slice_starts(dead, pc_slice_of(t->nodes[node].link->id)))
            twin_forget(t, node);
}

static inline bool twin_is_able(const struct twin *t, size_t node)
{
    return t->nodes[node].running && t->hub.ends[node].connected && !t->hub.stalled;
}

static inline void twin_count_away(struct twin *t, size_t node)
{
    struct twin_node *n = &t->nodes[node];
    if (!twin_is_able(t, node)) {
        n->able_since_ms = 0;
        if (!n->running || !t->hub.ends[node].connected)
            n->away_ms += TWIN_UNIT_MS;
    } else if (n->able_since_ms == 0) {
        n->able_since_ms = t->hub.now_ms;
    } else if (t->hub.now_ms - n->able_since_ms >= 2000 + 3 * TWIN_DELAY_MS) {
        n->away_ms = 0;
    }
}

/* All data was deleted: a node that is late with saying again what it holds is not missed. */
static inline void twin_forget_late(struct twin *t)
{
    for (size_t node = 0; node < HUB_NODES; node++)
        if (twin_exists(t, node) && !twin_is_able(t, node))
            twin_forget(t, node);
}

/* -- what clients are told -- */

static inline size_t twin_user_in(const char *text)
{
    const char *at = strstr(text, "user_id\\\":\\\"u");
    REQUIRE(at);
    size_t user = (size_t)(at[strlen("user_id\\\":\\\"u")] - '0');
    REQUIRE(user < TWIN_USERS);
    return user;
}

/* How often the user had been away when what the client is told now became true. A removal that is on its way to the
 * node, or not made yet, is of a time before. */
static inline uint64_t twin_absences(struct twin *t, const struct twin_client *c, size_t user)
{
    uint64_t absences = t->absences[c->channel][user];
    bool before = t->truth[c->channel][user] == 0;
    char removal[16];
    snprintf(removal, sizeof removal, "-2:%s", twin_users[user]);
    PC_LIST_EACH(l, &t->hub.ends[c->node].queues[HUB_DELIVERIES]) {
        const struct hub_item *item = PC_CONTAINER(l, struct hub_item, in_order);
        before |= item->kind == HUB_MESSAGE && item->topic == PUSHERC_TOPIC_CHANNEL &&
                  twin_is_key(item->values[0], c->channel, user) &&
                  pc_slice_ends(item->values[1], pc_slice_of(removal));
    }
    return absences - (before && absences > 0);
}

static inline void twin_subscribed(struct twin *t, struct twin_client *c, const char *line)
{
    REQUIRE(!c->subscribed && !c->refused);
    c->subscribed = true;
    if (!twin_is_presence(c->channel))
        return;
    const char *hash = strstr(line, "\\\"hash\\\"");
    REQUIRE(hash);
    for (size_t u = 0; u < TWIN_USERS; u++) {
        char quoted[16];
        snprintf(quoted, sizeof quoted, "\\\"%s\\\":", twin_users[u]);
        if (!strstr(hash, quoted))
            continue;
        c->roster |= 1u << u;
        c->absences[u] = twin_absences(t, c, u);
    }
    REQUIRE(c->roster & 1u << c->user);
    /* who was answered before it asked, and has not left meanwhile */
    for (size_t i = 0; i < TWIN_CLIENTS && c->joined && !t->faulty; i++) {
        const struct twin_client *o = &t->clients[i];
        if (o->used && c->expected[i] && c->expected[i] == o->serial)
            REQUIRE(c->roster & 1u << o->user);
    }
}

/* Also if the authority has let the user in: the data is another, and the channel is full. */
static inline void twin_refused(struct twin *t, struct twin_client *c)
{
    c->refused = true;
    if (twin_is_presence(c->channel))
        twin_truth_changed(t, c->node, c->channel, c->user);
}

static inline void twin_told(struct twin *t, struct twin_client *c, const char *line)
{
    bool added = strstr(line, "member_added") != NULL;
    size_t user = twin_user_in(line);
    REQUIRE(user != c->user);
    REQUIRE(((c->roster >> user) & 1u) != added);
    c->roster ^= 1u << user;
    if (added) {
        c->absences[user] = twin_absences(t, c, user);
        t->added++;
        return;
    }
    t->removed++;
    bool all_the_time =
        t->truth[c->channel][user] != 0 && t->absences[c->channel][user] == c->absences[user];
    REQUIRE(!all_the_time || !twin_in_touch(t, c->node) || !twin_well_held(t, c->channel, user) ||
            (t->nodes[c->node].left[c->channel] & 1u << user));
}

/* A node tells that a user is online before the authority has heard of it, and the user may leave soon after: what others
 * of the user's nodes are told then comes later. */
#define TWIN_SIGNED_OUT_MS 3000

static inline void twin_online(struct twin *t, struct twin_client *c, size_t user, bool online)
{
    const struct twin_node *n = &t->nodes[c->node];
    REQUIRE(((c->roster >> user) & 1u) != online);
    c->roster ^= 1u << user;
    t->online += online;
    t->offline += !online;
    if (online) {
        c->absences[user] = twin_absences(t, c, user);
        return;
    }
    bool all_the_time =
        t->truth[TWIN_PEOPLE][user] != 0 && t->absences[TWIN_PEOPLE][user] == c->absences[user];
    bool just_left =
        n->signed_out_ms[user] && t->hub.now_ms - n->signed_out_ms[user] < TWIN_SIGNED_OUT_MS;
    REQUIRE(!all_the_time || !twin_in_touch(t, c->node) || !twin_well_held(t, TWIN_PEOPLE, user) ||
            just_left);
}

static inline void twin_watchlist(struct twin *t, struct twin_client *c, const char *line)
{
    static const char name[] = "\\\"name\\\":\\\"";
    unsigned told = 0;
    for (const char *at = strstr(line, name); at; at = strstr(at + 1, name)) {
        bool online = strncmp(at + sizeof name - 1, "online", 6) == 0;
        for (const char *id = strchr(at, '['); *id != ']'; id++) {
            size_t user = (size_t)(id[1] - '0');
            if (id[0] != 'u')
                continue;
            REQUIRE(user < TWIN_USERS && (c->list & 1u << user) && !(told & 1u << user));
            told |= 1u << user;
            if (c->subscribed)
                twin_online(t, c, user, online);
            else if (online) {
                c->roster |= 1u << user;
                c->absences[user] = twin_absences(t, c, user);
            }
        }
    }
    REQUIRE(c->subscribed || told == c->list);
    REQUIRE(c->subscribed || c->roster & 1u << c->user || !(c->list & 1u << c->user));
    c->subscribed = true;
}

static inline void twin_event(struct twin *t, struct twin_client *c, const char *line)
{
    unsigned name, number, id;
    const char *at = strstr(line, "\"data\":\"");
    REQUIRE(at && sscanf(at, "\"data\":\"%u %u %u\"", &name, &number, &id) == 3);
    REQUIRE(name < sizeof c->last / sizeof c->last[0] && id < TWIN_EVENTS);
    /* what a cache channel keeps may be told again after a connection broke, but nothing twice in a row */
    bool again = t->faulty && c->channel == TWIN_CACHE && id + 1 != c->last_id;
    REQUIRE(number > c->last[name] || again);
    c->last[name] = number;
    c->last_id = id + 1;
    c->heard[id / 8] |= (uint8_t)(1u << id % 8);
    t->delivered++;
}

static inline void twin_read(struct twin *t, struct twin_client *c)
{
    if (t->poor) { /* what a client hears is not complete */
        (void)fx_heard(&c->fx);
        return;
    }
    char *text = strdup(fx_heard(&c->fx));
    REQUIRE(text);
    if (text[0] && getenv("HUB_TRACE"))
        fprintf(stderr, "  c%zu (u%zu at n%zu): %s", (size_t)(c - t->clients), c->user, c->node,
                text);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        if (strstr(line, "subscription_succeeded"))
            twin_subscribed(t, c, line);
        else if (strstr(line, "subscription_error"))
            twin_refused(t, c);
        else if (strstr(line, "watchlist_events"))
            twin_watchlist(t, c, line);
        else if (strstr(line, "member_added") || strstr(line, "member_removed"))
            twin_told(t, c, line);
        else if (strstr(line, "\"event\":\"e\""))
            twin_event(t, c, line);
    }
    free(text);
}

/* -- orders -- */

static inline void twin_on_order_over(uint64_t kept, uint64_t revoked, uint64_t unanswered,
                                      void *user_data)
{
    struct twin_order *o = user_data;
    REQUIRE(!o->over && kept == 0 && revoked == 0);
    o->over = true;
    o->complete = unanswered == 0;
    REQUIRE(o->complete || o->twin->faulty);
}

static inline void twin_give_order(struct twin *t, size_t node)
{
    struct twin_node *n = &t->nodes[node];
    struct twin_order *o = &t->orders[t->order_count];
    const struct pc_everywhere *everywhere = &n->fx.engine->everywhere;
    if (t->order_count == TWIN_ORDERS)
        return;
    t->order_count++;
    *o = (struct twin_order){.used = true, .names = t->names, .twin = t};
    for (size_t i = 0; i < HUB_NODES; i++)
        o->missed[i] = twin_exists(t, i) ? pc_stat_get(&t->nodes[i].link->stats.missed) : 0;
    snprintf(o->key, sizeof o->key, "%s %llu", n->link->id,
             (unsigned long long)atomic_load(&n->link->orders.number) + 1);
    int err = everywhere->tell(everywhere->ctx, PC_S("R6:app-id0:0:0:0:"), twin_on_order_over, o);
    REQUIRE(err == 0 || (t->poor && err == PUSHERC_ENOMEM));
    o->used = err == 0;
}

/* What the node believes itself. */
static inline bool twin_believes(const struct twin *t, size_t node)
{
    const struct pusherc_link *link = t->nodes[node].link;
    return twin_exists(t, node) && t->nodes[node].running && twin_in_touch(t, node) &&
           link->orders.in_step &&
           t->hub.now_ms - link->parts[0].confirmed_ms < link->options.lease_ms;
}

static inline void twin_check_orders(const struct twin *t, size_t node)
{
    const struct pusherc_link *link = t->nodes[node].link;
    if (t->poor || !twin_believes(t, node) || link->orders.owes_all)
        return;
    for (size_t i = 0; i < t->order_count; i++) {
        const struct twin_order *o = &t->orders[i];
        if (!o->used || !o->complete || t->nodes[node].name >= o->names ||
            pc_slice_starts(pc_slice_of(o->key), pc_slice_of(link->id)))
            continue;
        REQUIRE(pc_map_find(&link->orders.obeyed, pc_slice_of(o->key)) ||
                pc_stat_get(&link->stats.missed) > o->missed[node]);
    }
}

/* Lets a node's engine do what it has to do, and its clients read. */
static inline void twin_look_at_teller(struct twin *t, size_t node);

static inline void twin_settle(struct twin *t, size_t node)
{
    fx_settle(&t->nodes[node].fx);
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        if (t->clients[i].used && t->clients[i].node == node)
            twin_read(t, &t->clients[i]);
    twin_look_at_teller(t, node);
    memset(t->nodes[node].left, 0, sizeof t->nodes[node].left);
    twin_check_mirrors(t, node);
    for (size_t i = 0; i < HUB_NODES; i++)
        if (twin_exists(t, i))
            twin_check_orders(t, i);
}

/* One item moves. */
static inline void twin_move(struct twin *t, size_t node, enum hub_queue queue)
{
    hub_move(&t->hub, node, queue);
    if (queue == HUB_ASKED)
        twin_note_rosters(t);
    else if (queue != HUB_TOPICS)
        twin_settle(t, node);
}

/* -- webhooks -- */

static inline void twin_release(struct twin_node *n)
{
    for (size_t i = 0; i < TWIN_HELD; i++) {
        pc_acceptance_unref(n->held[i]);
        n->held[i] = NULL;
    }
}

/* The endpoint accepts every other notice at once, and the rest with the next tick. */
static inline bool twin_note(void *ctx, const struct pc_notice *notice)
{
    struct twin_node *n = ctx;
    struct twin *t = n->twin;
    bool there = notice->kind & (PUSHERC_WEBHOOK_CHANNEL_OCCUPIED | PUSHERC_WEBHOOK_MEMBER_ADDED);
    if (notice->kind == PUSHERC_WEBHOOK_CACHE_MISS)
        return false;
    REQUIRE(n->fx.engine->told_by_link);
    t->told++;
    n->held[t->told % TWIN_HELD] = n->held[t->told % TWIN_HELD]
                                       ? n->held[t->told % TWIN_HELD]
                                       : pc_acceptance_ref(t->told % 2 ? notice->acceptance : NULL);
    t->teller_changed |= t->teller && t->teller != n->name + 1;
    t->teller = n->name + 1;
    for (size_t c = 0; c < TWIN_CHANNELS; c++) {
        struct twin_endpoint *e = &t->endpoint[c];
        if (!pc_slice_eq(notice->channel, pc_slice_of(twin_channels[c])) ||
            notice->kind == PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT)
            continue;
        unsigned bit = notice->user_id.len ? twin_bit(notice->user_id) : 0;
        bool before = bit ? (e->users & bit) != 0 : e->occupied;
        REQUIRE(t->faulty || t->teller_changed ||
                (before != there && (bit || there || e->users == 0) && (!bit || e->occupied)));
        if (bit)
            e->users = there ? e->users | bit : e->users & ~bit;
        else
            e->occupied = there;
    }
    return false;
}

static inline void twin_look_at_teller(struct twin *t, size_t node)
{
    struct twin_node *n = &t->nodes[node];
    size_t remembered = n->link->parts[0].teller.told.by_key.count;
    t->teller_changed |= remembered == 0 && n->remembered > 0;
    n->remembered = remembered;
}

/* -- nodes -- */

static inline pusherc_cluster_options twin_options(void)
{
    pusherc_cluster_options o = PUSHERC_CLUSTER_OPTIONS_INIT;
    o.lease_ms = 6000;
    o.renew_ms = 2000;
    o.settle_ms = 3500;
    o.join_wait_ms = 2000;
    o.sweep_ms = 5000;
    o.linger_ms = 500;
    o.outbox_ms = 4000;
    return o;
}

static inline void twin_start(struct twin *t, size_t node)
{
    struct twin_node *n = &t->nodes[node];
    const pusherc_cluster_options options = twin_options();
    const pusherc_link_ops ops = hub_ops();
    pusherc_app_options app = fx_app();
    pusherc_server_options limits = fx_limits();
    app.max_presence_members = t->most;
    app.subscription_count_events = true;
    app.watchlist_events = true;
    app.offline_delay_ms = PUSHERC_NO_DELAY;
    *n = (struct twin_node){.running = true, .name = t->names++, .twin = t};
    REQUIRE(fx_try_open(&n->fx, &limits, NULL, 1, 0) == 0);
    REQUIRE(fx_try_put(&n->fx, &app) == 0);
    struct pc_app *state = pc_apps_by_id(&n->fx.engine->apps, PC_S("app-id"));
    REQUIRE(state);
    atomic_store(&state->state->notices, PUSHERC_WEBHOOK_ALL);
    pc_app_unref(state);
    n->fx.engine->observer = (struct pc_observer){.note = twin_note, .ctx = n};
    REQUIRE(pc_node_new(&n->link, n->fx.engine, &ops, &t->hub.ends[node], &options) == 0);
    /* the time of all nodes is the hub's */
    struct pc_worker *worker = &n->fx.engine->workers[0];
    worker->now_ms = t->hub.now_ms;
    pc_timers_init(&worker->timers, worker->now_ms);
    REQUIRE(pc_node_start(n->link) == 0);
    hub_connect(&t->hub, node);
    twin_settle(t, node);
}

static inline void twin_part(struct twin *t, struct twin_client *c)
{
    fx_disconnect(&c->fx);
    c->used = false;
    t->nodes[c->node].left[c->channel] |= 1u << c->user;
    if (c->channel == TWIN_PEOPLE)
        t->nodes[c->node].signed_out_ms[c->user] = t->hub.now_ms;
    if (twin_has_users(c->channel))
        twin_truth_changed(t, c->node, c->channel, c->user);
}

/* As a server does: first the mailboxes are closed, then the node is freed, then the engine. */
static inline void twin_close_engine(struct twin_node *n)
{
    n->fx.engine->draining = true;
    pc_channel_timers_hurry(&n->fx.engine->workers[0], NULL, NULL);
    pc_mailbox_close(n->fx.engine->workers[0].mailbox);
    pc_node_free(n->link);
    fx_close(&n->fx);
}

/* The process ends: nothing of it is heard any more. */
static inline void twin_kill(struct twin *t, size_t node)
{
    struct twin_node *n = &t->nodes[node];
    pc_node_stop(n->link);
    twin_release(n);
    t->teller_changed |= t->teller == n->name + 1;
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        if (t->clients[i].used && t->clients[i].node == node)
            twin_part(t, &t->clients[i]);
    twin_close_engine(n);
    REQUIRE(failing_alloc_live(&n->fx.alloc) == 0);
    n->link = NULL;
}

/* -- clients -- */

/* With another list; the state of all comes again. */
static inline void twin_sign_in_again(struct twin *t, struct twin_client *c, unsigned list)
{
    char data[128], ids[64] = "";
    for (size_t u = 0; u < TWIN_USERS; u++)
        if (list & 1u << u)
            sprintf(ids + strlen(ids), "%s\"%s\"", *ids ? "," : "", twin_users[u]);
    snprintf(data, sizeof data, "{\"id\":\"%s\",\"watchlist\":[%s]}", twin_users[c->user], ids);
    twin_read(t, c);
    c->list = list;
    c->roster = 0;
    c->subscribed = list == 0;
    fx_sign_in(&c->fx, data);
    twin_settle(t, c->node);
}

/* What the node held until now, the user's hold as well, goes on. */
static inline void twin_still_held(struct twin *t, struct twin_client *c)
{
    char key[64];
    snprintf(key, sizeof key, "app-id/#user-%s", twin_users[c->user]);
    const struct pc_remote *remote = pc_remote_find(t->nodes[c->node].link, pc_slice_of(key));
    const struct pc_remote_user *user =
        remote ? pc_remote_find_user(remote, pc_slice_of(twin_users[c->user])) : NULL;
    if (user && user->held == PC_KNOWN_YES && !user->asked && twin_in_touch(t, c->node))
        t->truth[TWIN_PEOPLE][c->user] |= 1u << c->node;
}

/* NULL: there are as many as there may be, or there is no memory. */
static inline struct twin_client *twin_connect(struct twin *t, size_t node, size_t channel,
                                               size_t user)
{
    struct twin_client *c = t->clients;
    while (c < t->clients + TWIN_CLIENTS && c->used)
        c++;
    if (c == t->clients + TWIN_CLIENTS)
        return NULL;
    memset(c, 0, sizeof *c);
    c->used = true;
    c->node = node;
    c->channel = channel;
    c->user = user;
    c->serial = ++t->serials;
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        if (t->clients[i].used && t->clients[i].subscribed && t->clients[i].channel == channel)
            c->expected[i] = t->clients[i].serial;
    if (fx_try_connect(&t->nodes[node].fx, &c->fx, 0, 7) == 0)
        return c;
    REQUIRE(t->poor);
    fx_disconnect(&c->fx);
    c->used = false;
    return NULL;
}

static inline void twin_join(struct twin *t, size_t node, size_t channel, size_t user)
{
    struct twin_client *c = twin_connect(t, node, channel, user);
    char data[64];
    if (!c)
        return;
    snprintf(data, sizeof data, "{\"user_id\":\"%s\"}", twin_users[user]);
    if (twin_is_presence(channel))
        fx_join(&c->fx, twin_channels[channel], data);
    else
        fx_subscribe(&c->fx, twin_channels[channel]);
    twin_settle(t, node);
}

static inline void twin_sign_in(struct twin *t, size_t node, size_t user, unsigned list)
{
    struct twin_client *c = twin_connect(t, node, TWIN_PEOPLE, user);
    if (!c)
        return;
    twin_sign_in_again(t, c, list);
    twin_still_held(t, c);
}

static inline void twin_publish(struct twin *t, size_t node, size_t channel)
{
    struct twin_node *n = &t->nodes[node];
    char data[64];
    uint32_t id = t->events++;
    if (id >= TWIN_EVENTS)
        return;
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        struct twin_client *c = &t->clients[i];
        if (c->used && c->subscribed && c->channel == channel)
            c->due[id / 8] |= (uint8_t)(1u << id % 8);
    }
    snprintf(data, sizeof data, "%zu %u %u", n->name, ++n->published, id);
    const pusherc_slice key = pc_slice_of(twin_channels[channel]);
    const struct pc_publication p = {.event = PC_S("e"),
                                     .channels = &key,
                                     .channel_count = 1,
                                     .data = pc_slice_of(data),
                                     .cacheable = channel == TWIN_CACHE,
                                     .now_ms = n->fx.engine->workers[0].now_ms};
    struct pc_app *app = pc_apps_by_id(&n->fx.engine->apps, PC_S("app-id"));
    REQUIRE(app);
    int err = pc_publish(n->fx.engine, app, &p);
    pc_app_unref(app);
    REQUIRE(err == 0 || err == PUSHERC_EBACKLOG || (t->poor && err == PUSHERC_ENOMEM));
    twin_settle(t, node);
}

/* -- time -- */

/* True: moved something that has been under way for the longest time. */
static inline bool twin_move_late(struct twin *t)
{
    for (size_t node = 0; node < HUB_NODES; node++) {
        for (int q = 0; q < HUB_QUEUES; q++) {
            if (!hub_can_move(&t->hub, node, (enum hub_queue)q) ||
                t->hub.now_ms - hub_first(&t->hub.ends[node].queues[q])->since_ms < TWIN_DELAY_MS)
                continue;
            bool report = q == HUB_ANSWERS || q == HUB_DELIVERIES;
            if (report && !t->nodes[node].running)
                continue;
            twin_move(t, node, (enum hub_queue)q);
            return true;
        }
    }
    return false;
}

static inline void twin_pass(struct twin *t, unsigned units)
{
    for (unsigned u = 0; u < units; u++) {
        while (twin_move_late(t))
            continue;
        t->hub.now_ms += TWIN_UNIT_MS;
        for (size_t node = 0; node < HUB_NODES; node++)
            if (twin_exists(t, node))
                twin_count_away(t, node);
        for (size_t node = 0; node < HUB_NODES; node++) {
            if (!twin_exists(t, node) || !t->nodes[node].running)
                continue;
            struct fx *fx = &t->nodes[node].fx;
            fx_pass(fx, t->hub.now_ms - fx->engine->workers[0].now_ms);
            twin_settle(t, node);
            twin_release(&t->nodes[node]);
        }
    }
}

/* Everything that is under way moves, in an order that `pick` chooses. */
static inline void twin_drain(struct twin *t)
{
    bool any = true;
    for (unsigned n = 0; any; n++) {
        REQUIRE(n < 100000);
        any = false;
        for (size_t node = 0; node < HUB_NODES; node++) {
            for (int q = 0; q < HUB_QUEUES; q++) {
                if (!twin_exists(t, node) || !t->nodes[node].running ||
                    !hub_can_move(&t->hub, node, (enum hub_queue)q))
                    continue;
                twin_move(t, node, (enum hub_queue)q);
                any = true;
            }
        }
    }
}

/* -- at rest -- */

struct twin_seen {
    size_t count;
    uint64_t numbers[8];
    unsigned users;
};

static inline void twin_on_fetched(const pusherc_slice *values, size_t count, void *user_data)
{
    struct twin_seen *seen = user_data;
    for (size_t i = 3; i < count; i += 3)
        for (size_t u = 0; u < TWIN_USERS; u++)
            if (pc_slice_eq(values[i], pc_slice_of(twin_users[u])))
                seen->users |= 1u << u;
}

static inline void twin_on_totals(const pusherc_slice *values, size_t count, void *user_data)
{
    struct twin_seen *seen = user_data;
    for (size_t i = 1; i < count && i < 8; i++)
        REQUIRE(pc_slice_to_u64(values[i], &seen->numbers[i - 1]));
}

static inline void twin_check_channel(struct twin *t, size_t channel)
{
    unsigned users = 0;
    uint64_t subscriptions = 0;
    struct twin_seen seen = {0};
    char key[64];
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        const struct twin_client *c = &t->clients[i];
        if (!c->used || c->channel != channel || c->refused)
            continue;
        REQUIRE(c->subscribed);
        subscriptions++;
        users |= 1u << c->user;
    }
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        const struct twin_client *c = &t->clients[i];
        if (c->used && c->subscribed && c->channel == channel && twin_is_presence(channel))
            REQUIRE(c->roster == users);
    }
    snprintf(key, sizeof key, "app-id/%s", twin_channels[channel]);
    for (size_t i = 0; i < TWIN_CLIENTS && !twin_is_presence(channel); i++) {
        const struct twin_client *c = &t->clients[i];
        struct pc_remote *remote = c->used && c->channel == channel
                                       ? pc_remote_find(t->nodes[c->node].link, pc_slice_of(key))
                                       : NULL;
        REQUIRE(!remote ||
                (remote->channel &&
                 remote->channel->subscriptions + remote->channel->elsewhere == subscriptions));
        REQUIRE(!remote || remote->channel->count.told == subscriptions);
    }
    pusherc_slice args[2] = {pc_slice_of(key)};
    REQUIRE(pusherc_authority_execute(t->hub.authority, t->hub.now_ms * 1000, PUSHERC_STEP_TOTALS,
                                      args, 1, hub_nothing_said, twin_on_totals, &seen) == 0);
    REQUIRE(seen.numbers[0] == subscriptions);
    for (size_t node = 0; node < HUB_NODES && twin_is_presence(channel); node++) {
        if (!twin_exists(t, node))
            continue;
        args[0] = pc_slice_of(t->nodes[node].link->parts[0].epoch);
        args[1] = pc_slice_of(key);
        seen.users = 0;
        REQUIRE(pusherc_authority_execute(t->hub.authority, t->hub.now_ms * 1000,
                                          PUSHERC_STEP_FETCH, args, 2, hub_nothing_said,
                                          twin_on_fetched, &seen) == 0);
        REQUIRE(seen.users == users);
    }
    if (t->teller_changed && t->went_back)
        return;
    REQUIRE(t->endpoint[channel].occupied == (subscriptions > 0));
    REQUIRE(!twin_is_presence(channel) || t->endpoint[channel].users == users);
}

/* All watchers know who is signed in, and so does the authority. */
static inline void twin_check_people(struct twin *t)
{
    unsigned users = 0;
    for (size_t i = 0; i < TWIN_CLIENTS; i++)
        if (t->clients[i].used && t->clients[i].channel == TWIN_PEOPLE)
            users |= 1u << t->clients[i].user;
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        const struct twin_client *c = &t->clients[i];
        if (c->used && c->channel == TWIN_PEOPLE)
            REQUIRE(c->subscribed && c->roster == (users & c->list));
    }
    const struct pc_partition *p = (const struct pc_partition *)t->hub.authority;
    for (size_t u = 0; u < TWIN_USERS; u++) {
        char key[64];
        snprintf(key, sizeof key, "app-id/#user-%s", twin_users[u]);
        REQUIRE((pc_occupied_find(p, pc_slice_of(key)) != NULL) == ((users >> u & 1u) != 0));
    }
}

static inline void twin_on_kept(const pusherc_slice *values, size_t count, void *user_data)
{
    struct twin_seen *seen = user_data;
    unsigned name, number, id;
    if (count != 4)
        return;
    const char *end = memchr(values[2].ptr, '\n', values[2].len);
    char data[64];
    REQUIRE(end && pc_slice_to_u64(values[1], &seen->numbers[0]));
    snprintf(data, sizeof data, "%.*s", (int)(values[2].ptr + values[2].len - end - 2), end + 2);
    REQUIRE(sscanf(data, "%u %u %u", &name, &number, &id) == 3);
    seen->users = id + 1;
}

static inline void twin_check_kept(struct twin *t)
{
    const pusherc_slice key = PC_S("app-id/cache-d");
    struct twin_seen seen = {0};
    REQUIRE(pusherc_authority_execute(t->hub.authority, t->hub.now_ms * 1000, PUSHERC_STEP_KEPT,
                                      &key, 1, hub_nothing_said, twin_on_kept, &seen) == 0);
    for (size_t i = 0; i < TWIN_CLIENTS; i++) {
        const struct twin_client *c = &t->clients[i];
        if (!c->used || c->channel != TWIN_CACHE)
            continue;
        struct pc_remote *remote = pc_remote_find(t->nodes[c->node].link, key);
        if (getenv("HUB_TRACE"))
            fprintf(stderr, "n%zu keeps %llu (%d), the authority %llu\n", c->node,
                    remote ? (unsigned long long)remote->kept_stamp : 0,
                    remote ? remote->kept_known : -1, (unsigned long long)seen.numbers[0]);
        REQUIRE(remote && remote->kept_stamp == seen.numbers[0] && remote->kept_known);
        REQUIRE(c->last_id == seen.users || t->faulty);
    }
}

/* The authority stands still, or goes on. */
static inline void twin_stall(struct twin *t, bool stalled)
{
    bool long_ago = t->hub.stalled && t->hub.now_ms - t->stalled_ms >= twin_options().lease_ms;
    for (size_t node = 0; node < HUB_NODES; node++) {
        struct twin_node *n = &t->nodes[node];
        if (stalled && !t->hub.stalled)
            n->away_before_ms = n->away_ms;
        if (!stalled && long_ago && n->running && n->away_before_ms < n->away_ms)
            n->away_ms = n->away_before_ms; /* no node could be heard of meanwhile */
    }
    if (stalled && !t->hub.stalled)
        t->stalled_ms = t->hub.now_ms;
    t->hub.stalled = stalled;
    t->faulty |= stalled;
}

/* The faults are over: everything comes to rest, and is as it should be. */
static inline void twin_finish(struct twin *t)
{
    twin_stall(t, false);
    for (int round = 0; round < 40; round++) {
        for (size_t node = 0; node < HUB_NODES; node++) {
            if (!twin_exists(t, node))
                continue;
            t->nodes[node].running = true;
            if (!t->hub.ends[node].connected)
                hub_connect(&t->hub, node);
            fx_pass(&t->nodes[node].fx,
                    t->hub.now_ms - t->nodes[node].fx.engine->workers[0].now_ms);
            twin_settle(t, node);
        }
        twin_drain(t);
        twin_pass(t, 10);
        twin_drain(t);
    }
    if (t->poor)
        return;
    for (size_t c = 0; c < TWIN_CHANNELS; c++)
        twin_check_channel(t, c);
    twin_check_people(t);
    const struct pc_partition *p = (const struct pc_partition *)t->hub.authority;
    REQUIRE(p->edge_count == 0);
    twin_check_kept(t);
    for (size_t node = 0; node < HUB_NODES; node++) {
        pusherc_cluster_info info = PUSHERC_CLUSTER_INFO_INIT;
        if (!twin_exists(t, node))
            continue;
        pc_node_info(t->nodes[node].link, &info);
        REQUIRE(info.state == PUSHERC_LINK_UP && !info.unsettled && info.refused == 0);
        REQUIRE(t->faulty || info.gaps == 0);
        REQUIRE(t->nodes[node].link->outbox_bytes == 0);
        REQUIRE(t->nodes[node].link->parts[0].teller.noted.by_id.count == 0);
    }
    for (size_t i = 0; i < t->order_count; i++)
        REQUIRE(!t->orders[i].used || t->orders[i].over);
    for (size_t i = 0; i < TWIN_CLIENTS && !t->faulty; i++) {
        const struct twin_client *c = &t->clients[i];
        for (size_t b = 0; b < sizeof c->due && c->used; b++)
            REQUIRE((c->due[b] & ~c->heard[b]) == 0);
    }
}

/* -- life -- */

static inline void twin_open(struct twin *t, size_t nodes, uint32_t most)
{
    memset(t, 0, sizeof *t);
    hub_open(&t->hub, FX_START_MS);
    t->hub.on_join = twin_on_join;
    t->hub.on_reap = twin_on_reap;
    t->hub.ctx = t;
    t->most = most;
    for (size_t i = 0; i < nodes; i++)
        twin_start(t, i);
}

static inline void twin_close(struct twin *t)
{
    for (size_t node = 0; node < HUB_NODES; node++)
        if (twin_exists(t, node))
            twin_kill(t, node);
    hub_close(&t->hub);
}

/* -- one random step -- */

typedef uint32_t (*twin_next_fn)(void *ctx, uint32_t below);

static inline void twin_fault(struct twin *t, twin_next_fn next, void *ctx)
{
    size_t node = next(ctx, HUB_NODES);
    bool there = twin_exists(t, node), running = there && t->nodes[node].running;
    bool connected = there && t->hub.ends[node].connected;
    switch (next(ctx, 15)) {
    case 0: /* subscriptions are lost */
        if (connected) {
            t->faulty = true;
            hub_lose(&t->hub, node, true);
        }
        break;
    case 1:
        if (connected) {
            t->faulty = true;
            hub_lose(&t->hub, node, false);
        }
        break;
    case 2:
    case 3:
    case 4:
        if (there && !connected && !t->hub.stalled)
            hub_connect(&t->hub, node);
        break;
    case 5: /* a short interruption */
        if (connected && !t->hub.stalled) {
            t->faulty = true;
            hub_lose(&t->hub, node, false);
            hub_connect(&t->hub, node);
        }
        break;
    case 6:
        if (running) {
            t->faulty = true;
            t->nodes[node].running = false;
        }
        break;
    case 7:
        if (there && !running) {
            t->nodes[node].running = true;
        }
        break;
    case 8:
        if (there && twin_count(t) > 1 && next(ctx, 2)) {
            t->faulty = true;
            twin_kill(t, node);
        }
        return;
    case 9:
        if (!there && !t->hub.stalled && t->names < HUB_NODES * 64)
            twin_start(t, node);
        return;
    case 10:
        if (next(ctx, 2)) {
            t->faulty = true;
            t->went_back = true;
            hub_fail_over(&t->hub, next(ctx, 20));
            for (size_t i = 0; i < HUB_NODES; i++)
                if (twin_exists(t, i) && t->hub.ends[i].connected)
                    hub_lose(&t->hub, i, false);
        }
        break;
    case 11:
        if (next(ctx, 4) == 0) {
            t->faulty = true;
            hub_delete(&t->hub);
            t->deleted = t->went_back = t->teller_changed = true;
        }
        break;
    case 12:
        twin_stall(t, !t->hub.stalled && next(ctx, 2));
        break;
    case 14: /* all that waited is served, then the authority stands still for a little less than a lease */
        if (!t->hub.stalled) {
            twin_pass(t, 3 * TWIN_DELAY_MS / TWIN_UNIT_MS);
            twin_stall(t, true);
            twin_pass(t, 60 - 2 - next(ctx, 18));
            twin_stall(t, false);
        }
        break;
    case 13:
        if (connected)
            t->faulty |= hub_vanish(&t->hub, node);
        break;
    }
    if (t->deleted)
        twin_forget_late(t);
    if (there && t->nodes[node].running)
        twin_settle(t, node);
}

static inline void twin_step(struct twin *t, bool faults, twin_next_fn next, void *ctx)
{
    static const unsigned waits[] = {1, 1, 2, 5};
    size_t node = next(ctx, HUB_NODES);
    uint32_t kind = next(ctx, 100);
    bool running = twin_exists(t, node) && t->nodes[node].running;
    if (kind < 60) {
        enum hub_queue queue = (enum hub_queue)next(ctx, HUB_QUEUES);
        bool report = queue == HUB_ANSWERS || queue == HUB_DELIVERIES;
        if (!hub_can_move(&t->hub, node, queue) || (report && !running))
            return;
        twin_move(t, node, queue);
    } else if (kind < 70) {
        twin_pass(t, waits[next(ctx, 4)]);
    } else if (kind < 80) {
        size_t channel = next(ctx, TWIN_CHANNELS + 3), user = next(ctx, TWIN_USERS);
        if (running && channel < TWIN_CHANNELS)
            twin_join(t, node, channel, user);
        else if (running)
            twin_sign_in(t, node, user, next(ctx, 1u << TWIN_USERS));
    } else if (kind < 81) {
        struct twin_client *c = &t->clients[next(ctx, TWIN_CLIENTS)];
        if (c->used && c->channel == TWIN_PEOPLE && t->nodes[c->node].running)
            twin_sign_in_again(t, c, next(ctx, 1u << TWIN_USERS));
    } else if (kind < 88) {
        struct twin_client *c = &t->clients[next(ctx, TWIN_CLIENTS)];
        if (c->used && t->nodes[c->node].running) {
            twin_part(t, c);
            twin_settle(t, c->node);
        }
    } else if (kind < 89) {
        if (running) {
            twin_give_order(t, node);
            twin_settle(t, node);
        }
    } else if (kind < 95) {
        size_t channel = next(ctx, TWIN_CHANNELS);
        if (running)
            twin_publish(t, node, channel);
    } else if (faults) {
        twin_fault(t, next, ctx);
    }
}

#endif
