/*
 * A history of deliveries, held against what was promised. Workers on threads of their own, 1, 2 and 4 of them;
 * clients that subscribe, unsubscribe, sign in and come anew; threads that change the host's facts and call for
 * re-authorization; threads that publish; rules that answer at once, late, and publish themselves before they
 * answer. Everything that happens is written down with the interval of ticks in which it happened. Afterwards:
 *
 *   - no client has read an event that was published when its grant had ended, or before it had begun;
 *   - none has missed one that was published while it had the channel;
 *   - each was rendered for the view that the facts named;
 *   - none came twice, and those of one publisher came in order.
 *
 * A tick is taken from one counter that all threads share. Two things whose intervals of ticks overlap may have
 * happened in either order, and nothing is concluded from them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <sched.h>

#include "engine_fixture.h"
#include "session/change.h"

#define PERSONS                                                                                    \
    6 /* each is one user as the host identifies it (i0) and another one signed in (s0) */
#define CLIENTS    12
#define CHANNELS   4
#define CHANGERS   2
#define PUBLISHERS 2 /* besides the changers and the rules */
#define SOURCES    (PUBLISHERS + CHANGERS + 1)
#define CHANGES    400 /* of one changer */
#define MAX_EVENTS 60000
#define MAX_HELD   256
#define FOREVER    UINT64_MAX

/* What is promised. A grant that ends is silent for what is published after this of the call that ended it: */
#define PROMISE_FROM(call) ((call)->end)

static const char *const channel_names[CHANNELS] = {"private-v.0", "presence-v.1", "private-p.2",
                                                    "presence-p.3"};
static const char views[] = "rgb";

static bool has_views(int channel)
{
    return channel < 2;
}

/* -- what is written down -- */

struct event {
    uint64_t begin, end; /* of the call that published it */
    uint8_t channel, source;
    bool refused; /* a mailbox was full: it may be missing */
};

struct fact {
    uint64_t begin, end; /* of setting it */
    bool allowed;
    char view;
};

struct facts {
    _Atomic unsigned now; /* allowed, then the view */
    struct fact *list;
    size_t count, cap;
};

struct call { /* of pusherc_reauthorize() */
    uint64_t begin, end;
    _Atomic uint64_t done;
    int person;  /* -1 = all */
    int channel; /* -1 = all */
    bool by_sign_in;
};

struct stay {            /* of a client in a channel */
    uint64_t not_before; /* events that were published before are not for it */
    uint64_t from;       /* it has been there since, or longer */
    uint64_t to; /* it was there until then, or longer; what was published before has reached it */
    uint64_t gone_from, gone_to; /* the round in which it lost the channel */
    bool lost;
};

struct delivery {
    uint32_t event;
    uint32_t stay; /* index; UINT32_MAX = it was not in the channel */
    char view;
    uint64_t sign_in_to; /* the client's, of that connection */
};

enum phase {
    OUT,
    ASKED,
    IN,
    LOST
};

struct place { /* a client and a channel */
    enum phase phase;
    uint64_t not_before;
    struct stay *stays;
    size_t stay_count, stay_cap;
    struct delivery *deliveries;
    size_t delivery_count, delivery_cap;
};

struct person_client {
    struct fx_client fx;
    uint32_t worker;
    int person;
    bool wants_sign_in;
    uint64_t sign_in_from, sign_in_to; /* FOREVER = has not signed in */
    uint64_t last_round;               /* when the last whole round began */
    struct place places[CHANNELS];
};

struct world {
    struct fx fx;
    uint64_t seed;
    uint32_t workers;
    _Atomic uint64_t clock;
    _Atomic uint32_t event_count;
    struct event *events;
    struct facts facts[PERSONS][CHANNELS];
    struct call calls[CHANGERS][CHANGES];
    struct person_client clients[CLIENTS];
    _Atomic bool stop, changers_done;
    _Atomic uint32_t changers_left;
    pthread_mutex_t mutex;
    pusherc_auth_request *held[MAX_HELD]; /* guarded */
    size_t held_count;
};

struct actor {
    struct world *world;
    uint32_t index;
    uint64_t random;
    pthread_t thread;
};

static uint32_t roll(uint64_t *state, uint32_t below)
{
    *state = *state * UINT64_C(6364136223846793005) + 1442695040888963407U;
    return (uint32_t)(*state >> 33) % below;
}

static uint64_t tick(struct world *w)
{
    return atomic_fetch_add(&w->clock, 1) + 1;
}

/* One more, which is zero. */
#define APPEND(list, count, cap)                                                                   \
    ((list) = make_room((list), (count)++, &(cap), sizeof *(list)), &(list)[(count)-1])

static void *make_room(void *list, size_t count, size_t *cap, size_t size)
{
    if (count == *cap) {
        *cap = *cap ? *cap * 2 : 16;
        list = realloc(list, *cap * size);
        REQUIRE(list);
    }
    memset((char *)list + count * size, 0, size);
    return list;
}

/* -- publishing -- */

static void publish(struct world *w, uint32_t source, int channel)
{
    char data[32];
    uint32_t id = atomic_fetch_add(&w->event_count, 1);
    if (id >= MAX_EVENTS)
        return;
    struct event *event = &w->events[id];
    snprintf(data, sizeof data, "-#%u", id);
    event->channel = (uint8_t)channel;
    event->source = (uint8_t)source;
    event->begin = tick(w);
    int err = fx_publish(&w->fx, channel_names[channel], "news", data);
    event->end = tick(w);
    REQUIRE(err == 0 || err == PUSHERC_EBACKLOG);
    event->refused = err != 0;
}

static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    char text[32];
    pusherc_slice data = pusherc_render_data(r), view = pusherc_render_view(r);
    (void)user_data;
    if (pc_slice_eq(pusherc_render_event(r), PC_S(PUSHERC_RENDER_MEMBER)))
        return PUSHERC_RENDER_SAME;
    REQUIRE(data.len < sizeof text);
    memcpy(text, data.ptr, data.len);
    text[0] = view.ptr[0];
    REQUIRE(pusherc_render_payload(r, pc_slice(text, data.len)) == 0);
    return PUSHERC_RENDER_REPLACED;
}

static void *publish_all_the_time(void *arg)
{
    struct actor *a = arg;
    while (!atomic_load(&a->world->changers_done)) {
        publish(a->world, a->index, (int)roll(&a->random, CHANNELS));
        for (uint32_t n = roll(&a->random, 24); n > 0; n--)
            sched_yield();
    }
    return NULL;
}

/* -- facts and rules -- */

static void set_fact(struct world *w, int person, int channel, bool allowed, char view)
{
    struct facts *facts = &w->facts[person][channel];
    struct fact *fact = APPEND(facts->list, facts->count, facts->cap);
    fact->allowed = allowed;
    fact->view = view;
    fact->begin = tick(w);
    atomic_store(&facts->now, (unsigned)allowed << 8 | (unsigned char)view);
    fact->end = tick(w);
}

static int digit(pusherc_slice text, size_t at)
{
    REQUIRE(at < text.len);
    return text.ptr[at] - '0';
}

static void answer(struct world *w, pusherc_auth_request *request)
{
    int person = digit(pusherc_auth_user_id(request), 1);
    pusherc_slice name = pusherc_auth_channel(request);
    int channel = digit(name, name.len - 1);
    unsigned fact = atomic_load(&w->facts[person][channel].now);
    char view = (char)(fact & 0xff);
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    if (has_views(channel))
        grant.view = pc_slice(&view, 1);
    int err = fact >> 8 ? pusherc_auth_allow(request, &grant) : pusherc_auth_deny(request, 0, "no");
    REQUIRE(err == 0 || err == PUSHERC_ECANCELED);
}

static void authorize(pusherc_auth_request *request, void *user_data)
{
    struct world *w = user_data;
    uint64_t random = atomic_load(&w->clock) * UINT64_C(0x9E3779B97F4A7C15);
    pusherc_slice name = pusherc_auth_channel(request);
    bool held = false;
    if (roll(&random, 3) == 0) /* an event while the answer is on its way */
        publish(w, SOURCES - 1, digit(name, name.len - 1));
    if (roll(&random, 2) == 0) {
        pthread_mutex_lock(&w->mutex);
        held = w->held_count < MAX_HELD;
        if (held)
            w->held[w->held_count++] = request;
        pthread_mutex_unlock(&w->mutex);
    }
    if (!held)
        answer(w, request);
}

static void *answer_late(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    for (;;) {
        pusherc_auth_request *request = NULL;
        pthread_mutex_lock(&w->mutex);
        if (w->held_count > 0) {
            size_t i = roll(&a->random, (uint32_t)w->held_count);
            request = w->held[i];
            w->held[i] = w->held[--w->held_count];
        }
        pthread_mutex_unlock(&w->mutex);
        if (request)
            answer(w, request);
        else if (atomic_load(&w->stop))
            return NULL;
        for (uint32_t n = roll(&a->random, 16); n > 0; n--)
            sched_yield();
    }
}

/* -- changes -- */

struct told {
    struct world *world;
    struct call *call;
};

static void on_done(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct told *told = user_data;
    (void)kept;
    (void)revoked;
    atomic_store(&told->call->done, tick(told->world));
    free(told);
}

/* As pusherc_reauthorize(). */
static void reauthorize(struct world *w, struct call *call)
{
    char user[16] = "", pattern[16] = "";
    struct told *told = malloc(sizeof *told);
    REQUIRE(told);
    *told = (struct told){w, call};
    if (call->person >= 0)
        snprintf(user, sizeof user, "%c%d", call->by_sign_in ? 's' : 'i', call->person);
    if (call->channel >= 0)
        snprintf(pattern, sizeof pattern, "%c.%d", has_views(call->channel) ? 'v' : 'p',
                 call->channel);
    call->begin = tick(w);
    struct pc_app *app = pc_apps_by_id(&w->fx.engine->apps, PC_S("app-id"));
    struct pc_grant_filter filter = {
        .app_uid = app->state->uid, .user_id = pc_slice_of(user), .pattern = pc_slice_of(pattern)};
    pc_app_unref(app);
    struct pc_change *change = pc_change_new(w->fx.engine, &filter, PC_S(""), PC_S(""));
    REQUIRE(change);
    change->done = on_done;
    change->user_data = told;
    REQUIRE(pc_change_send(change) == 0);
    call->end = tick(w);
}

static void *change_facts(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    uint32_t source = PUBLISHERS + a->index;
    for (int n = 0; n < CHANGES; n++) {
        int person = (int)(roll(&a->random, PERSONS / CHANGERS) * CHANGERS + a->index);
        int channel = (int)roll(&a->random, CHANNELS);
        struct call *call = &w->calls[a->index][n];
        *call = (struct call){.person = roll(&a->random, 8) ? person : -1,
                              .channel = roll(&a->random, 4) ? channel : -1,
                              .by_sign_in = roll(&a->random, 2)};
        set_fact(w, person, channel, roll(&a->random, 3) > 0, views[roll(&a->random, 3)]);
        reauthorize(w, call);
        for (uint32_t k = roll(&a->random, 4); k > 0; k--) /* right after */
            publish(w, source, channel);
        for (uint32_t k = roll(&a->random, 64); k > 0; k--)
            sched_yield();
        bool wait = roll(&a->random, 2) == 0;
        while (wait && !atomic_load(&call->done))
            sched_yield();
        if (wait && roll(&a->random, 2))
            publish(w, source, channel);
    }
    if (atomic_fetch_sub(&w->changers_left, 1) == 1)
        atomic_store(&w->changers_done, true);
    return NULL;
}

/* -- clients, on their workers' threads -- */

static int channel_of(const char *line)
{
    for (int c = 0; c < CHANNELS; c++)
        if (strstr(line, channel_names[c]))
            return c;
    return -1;
}

static void end_stay(struct world *w, struct person_client *client, struct place *place)
{
    if (place->phase == IN) {
        struct stay *stay = &place->stays[place->stay_count - 1];
        stay->to = client->last_round;
        stay->gone_from = stay->gone_to = tick(w);
    }
    place->phase = OUT;
}

static void take_event(struct person_client *client, struct place *place, const char *line)
{
    unsigned id;
    const char *at = strchr(line, '#');
    REQUIRE(at && sscanf(at, "#%u", &id) == 1 && id < MAX_EVENTS);
    struct delivery *d = APPEND(place->deliveries, place->delivery_count, place->delivery_cap);
    d->event = id;
    d->view = at[-1];
    d->stay = place->phase == IN ? (uint32_t)place->stay_count - 1 : UINT32_MAX;
    d->sign_in_to = client->sign_in_to;
}

static void take_line(struct person_client *client, const char *line, uint64_t begin, uint64_t end)
{
    int channel = channel_of(line);
    if (strstr(line, "signin_success"))
        client->sign_in_to = end;
    if (channel < 0)
        return;
    struct place *place = &client->places[channel];
    if (strncmp(line, "{\"event\":\"news\"", 15) == 0) {
        take_event(client, place, line);
    } else if (strstr(line, "subscription_succeeded")) {
        REQUIRE(place->phase == ASKED || place->phase == LOST);
        struct stay *stay = APPEND(place->stays, place->stay_count, place->stay_cap);
        *stay = (struct stay){place->not_before, end, FOREVER, FOREVER, FOREVER, false};
        place->phase = IN;
    } else if (strstr(line, "subscription_error")) {
        REQUIRE(place->phase == ASKED || place->phase == IN);
        if (place->phase == IN) {
            struct stay *stay = &place->stays[place->stay_count - 1];
            stay->lost = true;
            stay->gone_from = begin;
            stay->gone_to = end;
        }
        place->not_before = begin;
        place->phase = place->phase == IN ? LOST : OUT;
    }
}

static void take_lines(struct person_client *client, uint64_t begin, uint64_t end)
{
    for (char *line = client->fx.heard, *next; line && *line; line = next + 1) {
        next = strchr(line, '\n');
        *next = '\0';
        take_line(client, line, begin, end);
    }
    fx_forget(&client->fx);
    client->last_round = begin;
}

static void connect_client(struct world *w, struct person_client *client)
{
    char user[16];
    snprintf(user, sizeof user, "i%d", client->person);
    fx_connect_as(&w->fx, &client->fx, client->worker, user);
    client->sign_in_from = client->sign_in_to = FOREVER;
}

static void act(struct world *w, struct person_client *client, uint64_t *random)
{
    char text[160];
    int channel = (int)roll(random, CHANNELS);
    struct place *place = &client->places[channel];
    if (roll(random, 400) == 0) {
        for (int c = 0; c < CHANNELS; c++)
            end_stay(w, client, &client->places[c]);
        fx_disconnect(&client->fx);
        connect_client(w, client);
    } else if (roll(random, 60) == 0 && client->sign_in_from == FOREVER) {
        snprintf(text, sizeof text, "{\"id\":\"s%d\"}", client->person);
        client->sign_in_from = tick(w);
        fx_sign_in(&client->fx, text);
    } else if (place->phase == OUT) {
        place->not_before = tick(w);
        place->phase = ASKED;
        snprintf(text, sizeof text,
                 "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
                 channel_names[channel]);
        fx_say(&client->fx, text);
    } else if (roll(random, 30) == 0) {
        end_stay(w, client, place);
        fx_unsubscribe(&client->fx, channel_names[channel]);
    }
}

static void *work(void *arg)
{
    struct actor *a = arg;
    struct world *w = a->world;
    struct pc_worker *worker = &w->fx.engine->workers[a->index];
    pc_mailbox_own(worker->mailbox);
    while (!atomic_load(&w->stop)) {
        worker->now_ms += roll(&a->random, 8) == 0;
        pc_timers_run(&worker->timers, worker->now_ms);
        uint64_t begin = tick(w);
        bool any = fx_round(&w->fx, a->index);
        while (worker->mailbox->taken) /* a whole round: all that waited when it began */
            fx_round(&w->fx, a->index);
        uint64_t end = tick(w);
        for (uint32_t i = a->index; i < CLIENTS; i += w->workers)
            take_lines(&w->clients[i], begin, end);
        uint32_t i = roll(&a->random, (CLIENTS + w->workers - 1) / w->workers);
        i = i * w->workers + a->index;
        if (i < CLIENTS && roll(&a->random, 8) == 0)
            act(w, &w->clients[i], &a->random);
        if (!any)
            sched_yield();
    }
    return NULL;
}

/* -- the reckoning -- */

/* May the call concern this person's grants for the channel? */
static bool may_concern(const struct call *call, int person, int channel)
{
    return (call->channel < 0 || call->channel == channel) &&
           (call->person < 0 || call->person == person);
}

/* Does it, for sure, concern the connection that got this? */
static bool concerns(const struct call *call, int person, int channel, const struct delivery *d)
{
    if (!may_concern(call, person, channel))
        return false;
    return call->person < 0 || !call->by_sign_in || d->sign_in_to < call->begin;
}

static const struct call *call_at(const struct world *w, size_t i)
{
    return &w->calls[i / CHANGES][i % CHANGES];
}

/* What was held when the stay ended has not come: calls that were under way then, one of which may have ended it. */
static void bound_stay(const struct world *w, const struct person_client *client, int channel,
                       struct stay *stay, uint64_t *silent_from)
{
    *silent_from = 0;
    for (size_t i = 0; i < (size_t)CHANGERS * CHANGES; i++) {
        const struct call *call = call_at(w, i);
        if (!may_concern(call, client->person, channel) || call->begin >= stay->gone_to ||
            call->done < stay->gone_from)
            continue;
        if (call->begin < stay->to)
            stay->to = call->begin;
        uint64_t from = PROMISE_FROM(call);
        if (from > *silent_from)
            *silent_from = from;
    }
    if (stay->lost && stay->to == FOREVER)
        fail_msg("a grant was lost without a call");
}

/* The fact that held for the whole time of the event, if one did, else NULL. */
static const struct fact *fact_of(const struct facts *facts, const struct event *event,
                                  uint64_t *until)
{
    for (size_t i = facts->count; i-- > 0;) {
        if (facts->list[i].end >= event->begin)
            continue;
        *until = i + 1 < facts->count ? facts->list[i + 1].begin : FOREVER;
        return event->end < *until ? &facts->list[i] : NULL;
    }
    return NULL;
}

/* A call had told of the fact, which held until `until`, when the event was published. */
static bool was_told(const struct world *w, int person, int channel, const struct fact *fact,
                     uint64_t until, const struct delivery *d)
{
    uint64_t begin = w->events[d->event].begin;
    for (size_t i = 0; i < (size_t)CHANGERS * CHANGES; i++) {
        const struct call *call = call_at(w, i);
        uint64_t effect = fact->allowed ? call->done : PROMISE_FROM(call);
        if (call->begin > fact->end && effect < begin && call->done < until &&
            concerns(call, person, channel, d))
            return true;
    }
    return false;
}

struct verdict {
    size_t deliveries, twice, disorder, outside, early, after_loss, denied, missed, view;
};

static void check_deliveries(const struct world *w, const struct person_client *client, int c,
                             const uint64_t *silent_from, uint8_t *seen, struct verdict *v)
{
    const struct place *place = &client->places[c];
    const struct facts *facts = &w->facts[client->person][c];
    uint32_t last[SOURCES] = {0};
    for (size_t i = 0; i < place->delivery_count; i++) {
        const struct delivery *d = &place->deliveries[i];
        const struct event *event = &w->events[d->event];
        uint64_t until;
        const struct fact *fact = fact_of(facts, event, &until);
        v->deliveries++;
        v->twice += seen[d->event]++ > 0;
        v->disorder += d->event < last[event->source];
        last[event->source] = event->source == SOURCES - 1 ? 0 : d->event;
        if (d->stay == UINT32_MAX || event->channel != c) {
            v->outside++;
            continue;
        }
        const struct stay *stay = &place->stays[d->stay];
        v->early += event->end < stay->not_before;
        v->after_loss += stay->lost && event->begin > silent_from[d->stay];
        if (fact && !fact->allowed)
            v->denied += was_told(w, client->person, c, fact, until, d);
        else if (fact && has_views(c) && d->view != fact->view)
            v->view += was_told(w, client->person, c, fact, until, d);
    }
}

static void check_missed(const struct world *w, const struct place *place, int c,
                         const uint8_t *seen, struct verdict *v)
{
    uint32_t count = w->event_count < MAX_EVENTS ? w->event_count : MAX_EVENTS;
    for (size_t i = 0; i < place->stay_count; i++) {
        const struct stay *stay = &place->stays[i];
        for (uint32_t id = 0; id < count; id++) {
            const struct event *event = &w->events[id];
            v->missed += event->channel == c && !event->refused && event->begin > stay->from &&
                         event->end < stay->to && !seen[id];
        }
    }
}

static void reckon(struct world *w, struct verdict *v)
{
    uint8_t *seen = calloc(MAX_EVENTS, 1);
    REQUIRE(seen);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct person_client *client = &w->clients[i];
        for (int c = 0; c < CHANNELS; c++) {
            struct place *place = &client->places[c];
            uint64_t *silent_from = calloc(place->stay_count + 1, sizeof *silent_from);
            REQUIRE(silent_from);
            for (size_t k = 0; k < place->stay_count; k++)
                if (place->stays[k].gone_to != FOREVER)
                    bound_stay(w, client, c, &place->stays[k], &silent_from[k]);
            memset(seen, 0, MAX_EVENTS);
            check_deliveries(w, client, c, silent_from, seen, v);
            check_missed(w, place, c, seen, v);
            free(silent_from);
        }
    }
    free(seen);
}

/* -- one run -- */

static void no_wake(void *ctx)
{
    (void)ctx;
}

static void open_world(struct world *w)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    pusherc_rule rule = PUSHERC_RULE_INIT;
    limits.auth_timeout_ms = UINT32_MAX;
    limits.pong_timeout_ms = UINT32_MAX;
    limits.out_hard_bytes = UINT32_MAX;
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.activity_timeout_ms = UINT32_MAX;
    w->fx.mem = pc_mem_make(NULL);
    REQUIRE(fx_try_open_here(&w->fx, &limits, NULL, w->workers) == 0);
    REQUIRE(fx_try_put(&w->fx, &app) == 0);
    rule.authorize = authorize;
    rule.user_data = w;
    rule.pattern = "p.{n}";
    rule.cache_ms = 50;
    REQUIRE(pc_rules_add(&w->fx.engine->rules, &rule, NULL) == 0);
    rule.pattern = "v.{n}";
    rule.cache_ms = 0;
    rule.render = render;
    REQUIRE(pc_rules_add(&w->fx.engine->rules, &rule, NULL) == 0);
    w->events = calloc(MAX_EVENTS, sizeof *w->events);
    REQUIRE(w->events);
    pthread_mutex_init(&w->mutex, NULL);
    for (int p = 0; p < PERSONS; p++)
        for (int c = 0; c < CHANNELS; c++)
            set_fact(w, p, c, true, views[0]);
    for (uint32_t i = 0; i < w->workers; i++)
        w->fx.engine->workers[i].mailbox->wake = no_wake; /* they never sleep */
    for (uint32_t i = 0; i < CLIENTS; i++) {
        w->clients[i].person = (int)(i % PERSONS);
        w->clients[i].worker = i % w->workers;
        connect_client(w, &w->clients[i]);
    }
}

static void close_world(struct world *w)
{
    for (uint32_t i = 0; i < CLIENTS; i++) {
        fx_disconnect(&w->clients[i].fx);
        for (int c = 0; c < CHANNELS; c++) {
            free(w->clients[i].places[c].stays);
            free(w->clients[i].places[c].deliveries);
        }
    }
    for (int i = 0; i < 2; i++) /* the workers' clocks have run apart */
        fx_pass(&w->fx, 60000);
    assert_int_equal(pc_directory_occupied(&w->fx.engine->directory), 0);
    fx_close(&w->fx);
    for (int p = 0; p < PERSONS; p++)
        for (int c = 0; c < CHANNELS; c++)
            free(w->facts[p][c].list);
    free(w->events);
    pthread_mutex_destroy(&w->mutex);
}

static void start(struct world *w, struct actor *a, uint32_t index, void *(*run)(void *))
{
    a->world = w;
    a->index = index;
    a->random = w->seed * 1000 + tick(w);
    REQUIRE(pthread_create(&a->thread, NULL, run, a) == 0);
}

static void run(uint32_t workers, uint64_t seed)
{
    static struct world world;
    struct world *w = &world;
    struct actor working[FX_WORKERS], changing[CHANGERS], publishing[PUBLISHERS], answering;
    struct verdict v = {0};
    memset(w, 0, sizeof *w);
    w->workers = workers;
    w->seed = seed;
    w->changers_left = CHANGERS;
    open_world(w);
    for (uint32_t i = 0; i < workers; i++)
        start(w, &working[i], i, work);
    start(w, &answering, 0, answer_late);
    for (uint32_t i = 0; i < PUBLISHERS; i++)
        start(w, &publishing[i], i, publish_all_the_time);
    for (uint32_t i = 0; i < CHANGERS; i++)
        start(w, &changing[i], i, change_facts);
    for (uint32_t i = 0; i < CHANGERS; i++)
        pthread_join(changing[i].thread, NULL);
    for (uint32_t i = 0; i < PUBLISHERS; i++)
        pthread_join(publishing[i].thread, NULL);
    for (size_t i = 0; i < (size_t)CHANGERS * CHANGES; i++)
        while (!atomic_load(&w->calls[i / CHANGES][i % CHANGES].done))
            sched_yield();
    atomic_store(&w->stop, true);
    pthread_join(answering.thread, NULL);
    for (uint32_t i = 0; i < workers; i++)
        pthread_join(working[i].thread, NULL);
    for (uint32_t i = 0; i < workers; i++) /* none of them posts any more */
        w->fx.engine->workers[i].mailbox->has_owner = false;
    uint64_t begin = tick(w);
    do {
        fx_settle(&w->fx);
        while (w->held_count > 0)
            answer(w, w->held[--w->held_count]);
        for (uint32_t i = 0; i < workers && w->held_count == 0; i++)
            fx_round(&w->fx, i);
    } while (w->held_count > 0);
    fx_settle(&w->fx);
    for (uint32_t i = 0; i < CLIENTS; i++)
        take_lines(&w->clients[i], begin, tick(w));
    reckon(w, &v);
    close_world(w);
    fprintf(
        stderr,
        "# %u workers, seed %llu: %u events, %zu deliveries; missed %zu, after the loss %zu, "
        "while denied %zu, outside %zu, early %zu, twice %zu, out of order %zu, other view %zu\n",
        workers, (unsigned long long)seed, w->event_count, v.deliveries, v.missed, v.after_loss,
        v.denied, v.outside, v.early, v.twice, v.disorder, v.view);
    assert_true(v.deliveries > 1000);
    assert_int_equal(v.twice, 0);
    assert_int_equal(v.disorder, 0);
    assert_int_equal(v.outside, 0);
    assert_int_equal(v.early, 0);
    assert_int_equal(v.after_loss, 0);
    assert_int_equal(v.denied, 0);
    assert_int_equal(v.missed, 0);
    assert_int_equal(v.view, 0);
}

static void each_event_comes_once_to_those_who_may_have_it(void **state)
{
    const uint32_t *workers = *state;
    for (uint64_t seed = 1; seed <= 3; seed++)
        run(*workers, seed);
}

int main(void)
{
    static uint32_t one = 1, two = 2, four = 4;
    const struct CMUnitTest tests[] = {
        {"each_event_comes_once_with_1_worker", each_event_comes_once_to_those_who_may_have_it,
         NULL, NULL, &one},
        {"each_event_comes_once_with_2_workers", each_event_comes_once_to_those_who_may_have_it,
         NULL, NULL, &two},
        {"each_event_comes_once_with_4_workers", each_event_comes_once_to_those_who_may_have_it,
         NULL, NULL, &four},
    };
    return cmocka_run_group_tests_name("history", tests, NULL, NULL);
}
