/*
 * Three workers on threads of their own and four threads that make their clients come, join, leave, talk and go,
 * and publish, all at random. Every client checks what it reads: each event once and in order, nothing of
 * before it joined or after it left, and presence as a client library would follow it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "engine_fixture.h"

#define WORKERS   FX_WORKERS
#define EACH      8 /* clients of a worker */
#define CLIENTS   (WORKERS * EACH)
#define DRIVERS   4
#define ORDERS    25000 /* of a driver */
#define UNDER_WAY 200   /* orders that no worker has carried out yet */
#define SENDERS   (DRIVERS + CLIENTS)
#define USERS     16

enum {
    NEWS,
    SPORT,
    PRIVATE,
    PRESENCE,
    PRESENCE_TOO,
    CHANNELS
};
static const char *const channels[CHANNELS] = {"news", "sport", "private-x", "presence-p",
                                               "presence-q"};

/* What a client has of one channel; sequence numbers are those of one sender on one channel, from 1. */
struct place {
    bool there;
    uint32_t after[SENDERS];   /* published before it joined: must not arrive */
    uint32_t at_most[SENDERS]; /* the first that arrives is this, its successor, or earlier */
    uint32_t next[SENDERS];    /* 0 = none has arrived yet */
    bool has_roster, member[USERS];
};

struct guest {
    struct fx_client client;
    bool connected;
    uint32_t index; /* as a sender: DRIVERS + its place */
    struct place places[CHANNELS];
};

struct crew;

struct crew_worker {
    struct crew *crew;
    uint32_t index;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool awake, stop; /* guarded */
    struct guest guests[EACH];
    uint64_t events, members;
};

struct crew {
    struct fx fx;
    struct crew_worker workers[WORKERS];
    /* the last that has begun to be published, and the last that has been */
    _Atomic uint32_t begun[SENDERS][CHANNELS], done[SENDERS][CHANNELS];
    _Atomic uint32_t under_way;
    _Atomic uint64_t now_ms; /* runs with the orders */
    _Atomic bool over;
};

struct driver {
    struct crew *crew;
    uint32_t index;
    pthread_t thread;
};

static uint32_t roll(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(*state >> 33) % below;
}

/* -- reading -- */

static int number_after(const char *text, const char *key)
{
    const char *at = strstr(text, key);
    return at ? atoi(at + strlen(key)) : -1;
}

static void read_event(struct crew_worker *w, struct place *place, const char *message)
{
    uint32_t sender = (uint32_t)number_after(message, "\"data\":\"");
    uint32_t number = (uint32_t)number_after(message, ":no ");
    REQUIRE(place->there && sender < SENDERS);
    if (place->next[sender] == 0)
        REQUIRE(number > place->after[sender] && number <= place->at_most[sender] + 1);
    else
        REQUIRE(number == place->next[sender]);
    place->next[sender] = number + 1;
    w->events++;
}

static void read_message(struct crew_worker *w, struct guest *guest, const char *message)
{
    const char *name = strstr(message, "\"channel\":\"");
    REQUIRE(!strstr(message, "pusher:error"));
    if (!name)
        return;
    name += strlen("\"channel\":\"");
    size_t len = strcspn(name, "\"");
    int channel = 0;
    while (channel < CHANNELS &&
           (strlen(channels[channel]) != len || strncmp(channels[channel], name, len)))
        channel++;
    REQUIRE(channel < CHANNELS);
    struct place *place = &guest->places[channel];
    int user = number_after(message, "\\\"user_id\\\":\\\"u");
    if (strstr(message, ":no ")) {
        read_event(w, place, message);
    } else if (strstr(message, "subscription_succeeded")) {
        place->has_roster = strstr(message, "presence\\\"") != NULL;
        for (int u = 0; u < USERS; u++) {
            char key[16];
            snprintf(key, sizeof key, "\\\"u%d\\\":", u);
            place->member[u] = strstr(message, key) != NULL;
        }
    } else {
        bool added = strstr(message, "member_added") != NULL;
        REQUIRE(place->there && place->has_roster && user >= 0 && user < USERS);
        REQUIRE(place->member[user] != added);
        place->member[user] = added;
        w->members++;
    }
}

static void read_all(struct crew_worker *w)
{
    for (uint32_t i = 0; i < EACH; i++) {
        struct guest *guest = &w->guests[i];
        char *rest = guest->connected ? guest->client.heard : NULL;
        for (char *end; rest && (end = strchr(rest, '\n')); rest = end + 1) {
            *end = '\0';
            read_message(w, guest, rest);
        }
        if (guest->connected)
            fx_forget(&guest->client);
    }
}

/* -- orders, carried out by the worker -- */

struct order {
    struct pc_mail mail;
    struct crew *crew;
    uint32_t what, guest, channel, user;
};

static void join(struct crew_worker *w, struct guest *guest, const struct order *o)
{
    struct crew *crew = w->crew;
    struct place *place = &guest->places[o->channel];
    char member[32];
    *place = (struct place){.there = true};
    for (uint32_t s = 0; s < SENDERS; s++)
        place->after[s] = atomic_load(&crew->done[s][o->channel]);
    snprintf(member, sizeof member, "{\"user_id\":\"u%u\"}", o->user);
    fx_join(&guest->client, channels[o->channel], o->channel >= PRESENCE ? member : NULL);
    for (uint32_t s = 0; s < SENDERS; s++)
        place->at_most[s] = atomic_load(&crew->begun[s][o->channel]);
}

static void say(struct crew *crew, struct guest *guest)
{
    char text[128];
    uint32_t number = atomic_load(&crew->begun[guest->index][PRIVATE]) + 1;
    atomic_store(&crew->begun[guest->index][PRIVATE], number);
    snprintf(text, sizeof text,
             "{\"event\":\"client-e\",\"channel\":\"private-x\",\"data\":\"%u:no %u\"}",
             guest->index, number);
    fx_say(&guest->client, text);
    atomic_store(&crew->done[guest->index][PRIVATE], number);
}

static void disconnect(struct guest *guest)
{
    fx_disconnect(&guest->client);
    memset(guest->places, 0, sizeof guest->places);
    guest->connected = false;
}

static void carry_out(struct pc_mail *mail, struct pc_worker *worker)
{
    struct order *o = PC_CONTAINER(mail, struct order, mail);
    struct crew *crew = o->crew;
    struct crew_worker *w = &crew->workers[worker->index];
    struct guest *guest = &w->guests[o->guest];
    /* what it was sent so far, it reads first: then what follows is checked against what it does now */
    if (guest->connected) {
        fx_flush(&guest->client);
        read_all(w);
    }
    if (!guest->connected) {
        fx_connect(&crew->fx, &guest->client, worker->index);
        guest->connected = true;
    } else if (o->what == 0) {
        disconnect(guest);
    } else if (o->what == 1 && guest->places[PRIVATE].there) {
        say(crew, guest);
    } else if (!guest->places[o->channel].there) {
        join(w, guest, o);
    } else {
        fx_unsubscribe(&guest->client, channels[o->channel]);
        guest->places[o->channel] = (struct place){.there = false};
    }
    free(o);
    atomic_fetch_sub(&crew->under_way, 1);
}

/* -- threads -- */

static void wake(void *ctx)
{
    struct crew_worker *w = ctx;
    pthread_mutex_lock(&w->mutex);
    w->awake = true;
    pthread_cond_signal(&w->cond);
    pthread_mutex_unlock(&w->mutex);
}

/* Turns as the event loop runs them: mail, then queues, then sleep until another thread wakes the worker. */
static void *work(void *arg)
{
    struct crew_worker *w = arg;
    struct pc_worker *worker = &w->crew->fx.engine->workers[w->index];
    struct pc_mailbox *box = worker->mailbox;
    bool stop = false;
    pc_mailbox_own(box);
    while (!stop) {
        box->owner_will_look = true;
        worker->now_ms = atomic_load(&w->crew->now_ms);
        pc_timers_run(&worker->timers, worker->now_ms);
        while (fx_round(&w->crew->fx, w->index)) {
            pc_worker_written(&w->crew->fx.engine->workers[w->index]);
            read_all(w);
        }
        box->owner_will_look = false;
        pthread_mutex_lock(&w->mutex);
        while (!w->awake && !w->stop)
            pthread_cond_wait(&w->cond, &w->mutex);
        stop = w->stop;
        w->awake = false;
        pthread_mutex_unlock(&w->mutex);
    }
    return NULL;
}

static void give_order(struct crew *crew, uint64_t *dice)
{
    struct order *o = malloc(sizeof *o);
    REQUIRE(o);
    *o = (struct order){.mail.run = carry_out,
                        .crew = crew,
                        .what = roll(dice, 16),
                        .guest = roll(dice, EACH),
                        .channel = roll(dice, CHANNELS),
                        .user = roll(dice, USERS)};
    while (atomic_load(&crew->under_way) >= UNDER_WAY)
        sched_yield();
    atomic_fetch_add(&crew->under_way, 1);
    struct pc_mailbox *box = crew->fx.engine->workers[roll(dice, WORKERS)].mailbox;
    REQUIRE(pc_mailbox_send(box, &o->mail, PC_MAIL_CONTROL) == 0);
}

static void *drive(void *arg)
{
    struct driver *d = arg;
    struct crew *crew = d->crew;
    uint64_t dice = d->index + 1;
    for (int i = 0; i < ORDERS; i++) {
        atomic_fetch_add(&crew->now_ms, roll(&dice, 2));
        if (roll(&dice, 2)) {
            give_order(crew, &dice);
            continue;
        }
        uint32_t channel = roll(&dice, CHANNELS);
        uint32_t number = atomic_load(&crew->begun[d->index][channel]) + 1;
        char data[32];
        snprintf(data, sizeof data, "%u:no %u", d->index, number);
        atomic_store(&crew->begun[d->index][channel], number);
        REQUIRE(fx_publish(&crew->fx, channels[channel], "e", data) == 0);
        atomic_store(&crew->done[d->index][channel], number);
    }
    return NULL;
}

/* An operator, who looks at the counters all the time. */
static void *look(void *arg)
{
    struct crew *crew = arg;
    struct pc_engine *engine = crew->fx.engine;
    uint64_t looks = 0;
    while (!atomic_load(&crew->over)) {
        struct pc_app **apps;
        size_t count;
        REQUIRE(pc_apps_list(&engine->apps, &apps, &count) == 0 && count == 1);
        const struct pc_app_state *live = apps[0]->state;
        for (uint32_t i = 0; i < WORKERS; i++) {
            uint32_t depth, most;
            pc_mailbox_depth(engine->workers[i].mailbox, &depth, &most);
            REQUIRE(depth <= most);
            REQUIRE(pc_stat_get(&live->stats[i].connected) <= EACH);
            REQUIRE(pc_stat_get(&live->stats[i].latency.buckets[0]) <=
                    pc_stat_get(&engine->workers[i].stats.messages_out));
        }
        pc_app_unref(apps[0]);
        pc_free(&crew->fx.mem, apps);
        looks++;
    }
    REQUIRE(looks > 0);
    return NULL;
}

/* What all workers have counted is what has happened. */
static void check_counters(struct crew *crew, uint64_t connected)
{
    struct pc_app *app = pc_apps_by_id(&crew->fx.engine->apps, PC_S("app-id"));
    uint64_t now = 0, come = 0, gone = 0, messages = 0, worker_messages = 0, publishes = 0,
             channels_now = 0, timed = 0;
    for (uint32_t i = 0; i <= WORKERS; i++) {
        const struct pc_app_stats *s = &app->state->stats[i];
        now += s->connected;
        come += s->connections;
        gone += s->disconnections;
        messages += s->messages_out;
        publishes += s->publishes;
        for (size_t k = 0; k < PC_KIND_COUNT; k++)
            channels_now += s->occupied[k];
        for (size_t k = 0; k <= PC_HISTOGRAM_BOUNDS; k++)
            timed += s->latency.buckets[k];
        if (i < WORKERS)
            worker_messages += crew->fx.engine->workers[i].stats.messages_out;
    }
    assert_int_equal(now, connected);
    assert_int_equal(come - gone, connected);
    assert_int_equal(messages, worker_messages);
    assert_int_equal(publishes, crew->fx.engine->publishes);
    assert_int_equal(channels_now, pc_directory_occupied(&crew->fx.engine->directory));
    assert_true(timed > 0 && timed <= publishes * WORKERS);
    pc_app_unref(app);
}

/* -- the whole -- */

static uint64_t crew_clock(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void crew_open(struct crew *crew, uint32_t grace_ms)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    app.max_client_events_per_s = PUSHERC_NO_LIMIT;
    app.presence_grace_ms = grace_ms;
    limits.out_hard_bytes = UINT32_MAX;
    memset(crew, 0, sizeof *crew);
    crew->fx.mem = pc_mem_make(NULL);
    assert_int_equal(fx_try_open_here(&crew->fx, &limits, NULL, WORKERS), 0);
    assert_int_equal(fx_try_put(&crew->fx, &app), 0);
    crew->fx.engine->clock_ns = crew_clock;
    crew->now_ms = FX_START_MS;
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct crew_worker *w = &crew->workers[i];
        w->crew = crew;
        w->index = i;
        pthread_mutex_init(&w->mutex, NULL);
        pthread_cond_init(&w->cond, NULL);
        crew->fx.engine->workers[i].mailbox->max = UINT32_MAX;
        crew->fx.engine->workers[i].mailbox->wake = wake;
        crew->fx.engine->workers[i].mailbox->wake_ctx = w;
        for (uint32_t k = 0; k < EACH; k++)
            w->guests[k].index = DRIVERS + i * EACH + k;
    }
}

static void crew_stop(struct crew *crew)
{
    for (uint32_t i = 0; i < WORKERS; i++) {
        struct crew_worker *w = &crew->workers[i];
        pthread_mutex_lock(&w->mutex);
        w->stop = true;
        pthread_cond_signal(&w->cond);
        pthread_mutex_unlock(&w->mutex);
        pthread_join(w->thread, NULL);
    }
}

/* Everything has arrived: what a client has is all there was. */
static void check_guest(struct crew *crew, struct guest *guest)
{
    for (int c = 0; c < CHANNELS; c++) {
        struct place *place = &guest->places[c];
        if (!place->there)
            continue;
        for (uint32_t s = 0; s < SENDERS; s++) {
            uint32_t last = crew->done[s][c];
            if (s == guest->index)
                assert_int_equal(place->next[s], 0);
            else if (place->next[s])
                assert_int_equal(place->next[s], last + 1);
            else
                assert_true(last <= place->at_most[s]);
        }
        struct pc_shard *shard =
            pc_directory_lock(&crew->fx.engine->directory, 1, pc_slice_of(channels[c]));
        const struct pc_channel *channel = pc_shard_find(shard, 1, pc_slice_of(channels[c]));
        assert_non_null(channel);
        for (int u = 0; c >= PRESENCE && u < USERS; u++) {
            char id[8];
            snprintf(id, sizeof id, "u%d", u);
            assert_int_equal(place->member[u],
                             pc_map_find(&channel->roster.members, pc_slice_of(id)) != NULL);
        }
        pc_shard_unlock(shard);
    }
}

static void crew_close(struct crew *crew)
{
    for (uint32_t i = 0; i < CLIENTS; i++)
        if (crew->workers[i / EACH].guests[i % EACH].connected)
            disconnect(&crew->workers[i / EACH].guests[i % EACH]);
    for (int i = 0; i < 2; i++) /* absent members leave; timers may have to look twice */
        fx_pass(&crew->fx, 10000);
    fx_settle(&crew->fx);
    for (size_t i = 0; i < PC_SHARDS; i++)
        assert_int_equal(crew->fx.engine->directory.shards[i].channels.count, 0);
    fx_close(&crew->fx);
    for (uint32_t i = 0; i < WORKERS; i++) {
        pthread_mutex_destroy(&crew->workers[i].mutex);
        pthread_cond_destroy(&crew->workers[i].cond);
    }
}

static void run(uint32_t grace_ms, uint64_t least_members)
{
    static struct crew crew;
    struct driver drivers[DRIVERS];
    pthread_t operator;
    uint64_t events = 0, members = 0;
    crew_open(&crew, grace_ms);
    for (uint32_t i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&crew.workers[i].thread, NULL, work, &crew.workers[i]), 0);
    assert_int_equal(pthread_create(&operator, NULL, look, &crew), 0);
    for (uint32_t i = 0; i < DRIVERS; i++) {
        drivers[i] = (struct driver){.crew = &crew, .index = i};
        assert_int_equal(pthread_create(&drivers[i].thread, NULL, drive, &drivers[i]), 0);
    }
    for (uint32_t i = 0; i < DRIVERS; i++)
        pthread_join(drivers[i].thread, NULL);
    while (atomic_load(&crew.under_way))
        sched_yield();
    crew_stop(&crew);
    atomic_store(&crew.over, true);
    pthread_join(operator, NULL);
    fx_settle(&crew.fx);
    for (uint32_t i = 0; i < WORKERS; i++) {
        read_all(&crew.workers[i]);
        events += crew.workers[i].events;
        members += crew.workers[i].members;
    }
    for (uint32_t i = 0; i < CLIENTS; i++)
        check_guest(&crew, &crew.workers[i / EACH].guests[i % EACH]);
    uint64_t connected = 0;
    for (uint32_t i = 0; i < WORKERS; i++)
        connected += crew.fx.engine->workers[i].stats.connections;
    check_counters(&crew, connected);
    /* it was worth it */
    assert_true(events > ORDERS * DRIVERS);
    assert_true(members > least_members);
    crew_close(&crew);
}

static void every_client_gets_every_event_once_and_in_order(void **state)
{
    (void)state;
    run(0, ORDERS / 10);
}

/* Members leave, and are absent, and come back, and their time is up, on all workers at once. */
static void with_a_grace_the_rosters_are_as_exact(void **state)
{
    (void)state;
    run(120, ORDERS / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_client_gets_every_event_once_and_in_order),
        cmocka_unit_test(with_a_grace_the_rosters_are_as_exact),
    };
    return cmocka_run_group_tests_name("workers", tests, NULL, NULL);
}
