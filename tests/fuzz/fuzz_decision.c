/*
 * Questions, answers (current, outdated, late or missing), changed facts, clients that come and go, and time, compared
 * with the facts of the host. After every change has ended, no client is subscribed to a channel that it may not have.
 * Anonymous clients may sign in; what a client has read says which of its channels are decided again then.
 */
#include "auth_fixture.h"
#include "session/deferred.h"
#include "session/member.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define CLIENTS  4
#define USERS    3 /* the last one is anonymous */
#define CHANNELS 3
#define MAX_OUT  64

static const char *const users[USERS] = {"0", "1", NULL};
static const char *const channels[CHANNELS] = {"private-t.0", "presence-t.1", "private-t.2"};

struct out {
    pusherc_auth_request *request;
    bool then; /* what was true when it was asked */
    int user, channel;
};

/* A channel as the client knows it. */
enum wish {
    WISH_NONE = 0,
    WISH_ASKED,
    WISH_SUBSCRIBED,
    WISH_LOST,
    WISH_REFUSED /* without a user; the sign-in has it decided again */
};

struct world {
    struct ax ax;
    bool theirs[USERS][CHANNELS];
    int user[CLIENTS]; /* of a client that is there */
    enum wish wishes[CLIENTS][CHANNELS];
    struct out out[MAX_OUT];
    size_t out_count;
    unsigned changes;
};

static int user_of(pusherc_slice id)
{
    return id.len ? id.ptr[0] - '0' : 2;
}

static void answer(struct out *o, bool allow)
{
    int status = o->channel == 2 ? 401 : 0;
    int err =
        allow ? pusherc_auth_allow(o->request, NULL) : pusherc_auth_deny(o->request, status, NULL);
    REQUIRE(err == 0 || err == PUSHERC_ETIMEDOUT || err == PUSHERC_ECANCELED);
}

static void authorize(pusherc_auth_request *request, void *user_data)
{
    struct world *w = user_data;
    struct out o = {request, false, user_of(pusherc_auth_user_id(request)),
                    pusherc_auth_param(request, "n").ptr[0] - '0'};
    o.then = w->theirs[o.user][o.channel];
    if (w->out_count < MAX_OUT)
        w->out[w->out_count++] = o;
    else
        answer(&o, o.then);
}

static void connect_client(struct world *w, size_t i, int user)
{
    if (w->ax.clients[i].fx)
        return;
    ax_connect(&w->ax, i, (uint32_t)(i % 2), users[user]);
    w->user[i] = user;
    memset(w->wishes[i], 0, sizeof w->wishes[i]);
}

static void disconnect_client(struct world *w, size_t i)
{
    fx_disconnect(&w->ax.clients[i]);
    w->ax.clients[i].fx = NULL;
}

/* -- what a client has read, and what is remembered for it -- */

static void read_refusal(struct world *w, size_t i, int channel, const char *text)
{
    enum wish *wish = &w->wishes[i][channel];
    /* its deadline came before the question was answered, or handed to the host */
    bool late = strstr(text, "did not answer in time") || strstr(text, "Out of memory");
    if (*wish == WISH_SUBSCRIBED)
        *wish = WISH_LOST;
    else if (*wish == WISH_ASKED && w->user[i] == 2 && !late)
        *wish = WISH_REFUSED;
    else if (*wish == WISH_ASKED)
        *wish = WISH_NONE;
}

static void read_line(struct world *w, size_t i, const char *line)
{
    int channel = 0;
    while (channel < CHANNELS && !strstr(line, channels[channel]))
        channel++;
    if (channel == CHANNELS)
        return;
    if (strstr(line, "pusher_internal:subscription_succeeded"))
        w->wishes[i][channel] = WISH_SUBSCRIBED;
    else if (strstr(line, "pusher:subscription_error") || strstr(line, "Sign in first: "))
        read_refusal(w, i, channel, line);
}

static void read_all(struct world *w)
{
    for (size_t i = 0; i < CLIENTS; i++) {
        struct fx_client *client = &w->ax.clients[i];
        if (!client->fx)
            continue;
        fx_flush(client);
        char *save = NULL;
        for (char *line = strtok_r(client->heard, "\n", &save); line;
             line = strtok_r(NULL, "\n", &save))
            read_line(w, i, line);
        fx_forget(client);
    }
}

static void check_remembered(const struct world *w, size_t i, struct pc_session *s)
{
    uint32_t count = 0;
    for (int c = 0; c < CHANNELS; c++) {
        bool refused = w->wishes[i][c] == WISH_REFUSED;
        REQUIRE(pc_deferred_has(s, pc_slice_of(channels[c])) == refused);
        count += refused;
    }
    REQUIRE((s->deferred != NULL) == (count > 0));
    REQUIRE(count == 0 || !s->user);
}

static void sign_in(struct world *w, size_t i, int user)
{
    char text[32];
    if (w->ax.clients[i].session.state != PC_SESSION_OPEN || w->user[i] != 2)
        return;
    snprintf(text, sizeof text, "{\"id\":\"%s\"}", users[user]);
    w->user[i] = user;
    for (int c = 0; c < CHANNELS; c++)
        if (w->wishes[i][c] == WISH_REFUSED)
            w->wishes[i][c] = WISH_ASKED;
    fx_sign_in(&w->ax.clients[i], text);
    for (int c = 0; c < CHANNELS; c++) { /* what waits for a decision is being decided */
        struct pc_grant *grant = pc_grant_find(&w->ax.clients[i].session, pc_slice_of(channels[c]));
        REQUIRE(w->wishes[i][c] != WISH_ASKED || grant ||
                w->ax.clients[i].session.deferred == NULL);
    }
}

static void subscribe(struct world *w, size_t i, int channel)
{
    enum wish *wish = &w->wishes[i][channel];
    if (w->ax.clients[i].session.state == PC_SESSION_OPEN && *wish != WISH_SUBSCRIBED)
        *wish = WISH_ASKED;
    ax_subscribe(&w->ax, i, channels[channel]);
}

/* While a change is under way a grant may stand that should not; afterwards none may. */
static void check(struct world *w)
{
    read_all(w);
    for (size_t i = 0; i < CLIENTS; i++) {
        struct fx_client *client = &w->ax.clients[i];
        if (client->fx && client->over)
            disconnect_client(w, i); /* too long silent */
        if (!client->fx)
            continue;
        REQUIRE(client->session.grant_count <= CHANNELS);
        REQUIRE(client->session.subscription_count <= CHANNELS);
        for (int c = 0; c < CHANNELS; c++) {
            pusherc_slice name = pc_slice_of(channels[c]);
            struct pc_grant *grant = pc_grant_find(&client->session, name);
            struct pc_subscription *sub = pc_session_subscription(&client->session, name);
            REQUIRE(!sub || (grant && grant->state == PC_GRANT_STANDING));
            REQUIRE(!grant || grant->subscription == sub);
            /* while a change waits for its answer, events wait, too */
            REQUIRE(!sub || (sub->hold != NULL) == !pc_list_empty(&grant->rechecks));
            /* a sign-in leaves what the client has: it may have got it as an anonymous one */
            if (w->ax.done == w->changes)
                REQUIRE(!sub || w->theirs[w->user[i]][c] ||
                        (client->session.user && w->theirs[2][c]));
        }
        check_remembered(w, i, &client->session);
    }
}

static void step(struct world *w, uint8_t op, uint8_t arg)
{
    size_t i = arg % CLIENTS;
    int channel = arg / CLIENTS % CHANNELS, user = arg / CLIENTS % USERS;
    struct fx_client *client = &w->ax.clients[i];
    struct out o;
    read_all(w);
    switch (op % 11) {
    case 0:
        connect_client(w, i, user);
        break;
    case 1:
        if (client->fx)
            disconnect_client(w, i);
        break;
    case 2:
    case 3:
        if (client->fx)
            subscribe(w, i, channel);
        break;
    case 4:
        if (client->fx)
            fx_unsubscribe(client, channels[channel]);
        w->wishes[i][channel] = WISH_NONE;
        break;
    case 5: /* a change of facts, and what it concerns */
        w->theirs[arg % USERS][channel] = !w->theirs[arg % USERS][channel];
        w->changes++;
        REQUIRE(ax_reauthorize(&w->ax, arg % USERS < 2 && arg & 64 ? users[arg % USERS] : NULL,
                               arg & 128 ? strchr(channels[channel], '-') + 1 : NULL) == 0);
        break;
    case 6: /* time passes; above 127 long enough to end all waiting */
        fx_pass(&w->ax.fx, arg < 128 ? arg : AX_TIMEOUT_MS);
        break;
    case 7:
        if (arg & 64)
            REQUIRE(fx_publish(&w->ax.fx, channels[channel], "news", "{}") == 0);
        ax_settle(&w->ax);
        break;
    case 8:
    case 9: /* an answer: from then, or from now */
        if (w->out_count == 0)
            break;
        i = arg / 4 % w->out_count;
        o = w->out[i];
        w->out[i] = w->out[--w->out_count];
        answer(&o, op % 11 == 8 ? o.then : w->theirs[o.user][o.channel]);
        break;
    case 10:
        if (client->fx)
            sign_in(w, i, user % 2);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world w;
    memset(&w, 0, sizeof w);
    ax_open(&w.ax, 2, PUSHERC_AUTH_RULES);
    w.ax.fx.engine->hooks.on_denied = NULL;
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "t.{n}";
    rule.authorize = authorize;
    rule.user_data = &w;
    rule.cache_ms = size & 1 ? 50 : 0;
    ax_add(&w.ax, &rule);
    for (size_t i = 0; i + 1 < size && i < 600; i += 2) {
        step(&w, data[i], data[i + 1]);
        check(&w);
    }
    ax_settle(&w.ax);
    while (w.out_count > 0) {
        struct out o = w.out[--w.out_count];
        answer(&o, w.theirs[o.user][o.channel]);
        ax_settle(&w.ax);
        check(&w);
    }
    ax_pass(&w.ax, AX_TIMEOUT_MS);
    ax_pass(&w.ax, AX_TIMEOUT_MS);
    REQUIRE(w.ax.done == w.changes);
    check(&w);
    ax_close(&w.ax);
    REQUIRE(failing_alloc_live(&w.ax.fx.alloc) == 0);
    return 0;
}
