/*
 * The engine fixture with a host that has rules. The host records its questions and the denials. It answers at once,
 * later or never, as the test chooses.
 */
#ifndef TESTS_AUTH_FIXTURE_H
#define TESTS_AUTH_FIXTURE_H

#include "engine_fixture.h"
#include "session/change.h"
#include "session/grant.h"

#define AX_CLIENTS    8
#define AX_TIMEOUT_MS 10000
#define AX_MAX_ASKED  512

enum ax_answer {
    AX_LATER = 0, /* the test answers */
    AX_ALLOW,
    AX_DENY
};

struct ax {
    struct fx fx;
    pusherc_hooks hooks;
    struct fx_client clients[AX_CLIENTS];
    /* what the rules do */
    enum ax_answer answer;
    pusherc_grant grant; /* for AX_ALLOW */
    /* the questions; the test removes a request by answering it */
    pusherc_auth_request *asked[AX_MAX_ASKED];
    size_t asked_count;
    unsigned calls, renders;
    /* denials, one line each */
    char denied[65536];
    size_t denied_len;
    /* results of re-authorizations */
    unsigned done;
    uint64_t kept, revoked;
    pusherc_render_fn render;
};

static inline void ax_take(struct ax *ax, pusherc_auth_request *request)
{
    REQUIRE(ax->asked_count < AX_MAX_ASKED);
    switch (ax->answer) {
    case AX_LATER:
        ax->asked[ax->asked_count++] = request;
        break;
    case AX_ALLOW:
        pusherc_auth_allow(request, &ax->grant);
        break;
    case AX_DENY:
        pusherc_auth_deny(request, 0, "no");
        break;
    }
}

static inline void ax_authorize(pusherc_auth_request *request, void *user_data)
{
    struct ax *ax = user_data;
    ax->calls++;
    ax_take(ax, request);
}

static inline void ax_authorize_batch(pusherc_auth_request *const *requests, size_t count,
                                      void *user_data)
{
    struct ax *ax = user_data;
    ax->calls++;
    for (size_t i = 0; i < count; i++)
        ax_take(ax, requests[i]);
}

/* Records a denial as "REASON channel (pattern) user status detail". */
static inline void ax_on_denied(const pusherc_denial *d, void *user_data)
{
    struct ax *ax = user_data;
    int n =
        snprintf(ax->denied + ax->denied_len, sizeof ax->denied - ax->denied_len,
                 "%s %.*s (%.*s) %.*s %d %.*s\n", pusherc_denial_name(d->reason),
                 (int)d->channel.len, d->channel.ptr, (int)d->pattern.len, d->pattern.ptr,
                 (int)d->user_id.len, d->user_id.ptr, d->status, (int)d->detail.len, d->detail.ptr);
    REQUIRE(n > 0 && ax->denied_len + (size_t)n < sizeof ax->denied);
    ax->denied_len += (size_t)n;
}

static inline const char *ax_denied(struct ax *ax)
{
    ax->denied[ax->denied_len] = '\0';
    ax->denied_len = 0;
    return ax->denied;
}

static inline pusherc_rule ax_rule(struct ax *ax, const char *pattern)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = pattern;
    rule.authorize = ax_authorize;
    rule.user_data = ax;
    return rule;
}

static inline void ax_add(struct ax *ax, const pusherc_rule *rule)
{
    pusherc_errinfo info;
    REQUIRE(pc_rules_add(&ax->fx.engine->rules, rule, &info) == 0);
}

static inline void ax_close(struct ax *ax)
{
    for (size_t i = 0; i < AX_CLIENTS; i++) {
        fx_disconnect(&ax->clients[i]);
        ax->clients[i].fx = NULL;
    }
    fx_close(&ax->fx);
}

/* A tear-down for cmocka: *state is an ax from malloc(). Fails if memory is left. */
static inline int ax_tear_down(void **state)
{
    struct ax *ax = *state;
    ax_close(ax);
    size_t live = failing_alloc_live(&ax->fx.alloc);
    free(ax);
    return live == 0 ? 0 : -1;
}

/* Opens an engine with one app of this mode, without rules. Returns 0, or PUSHERC_ENOMEM with all memory freed. */
static inline int ax_try_open(struct ax *ax, uint32_t workers, pusherc_auth_mode mode,
                              size_t fail_at)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options app = fx_app();
    *ax = (struct ax){.grant = PUSHERC_GRANT_INIT};
    ax->hooks = (pusherc_hooks)PUSHERC_HOOKS_INIT;
    ax->hooks.on_denied = ax_on_denied;
    ax->hooks.user_data = ax;
    limits.auth_timeout_ms = AX_TIMEOUT_MS;
    app.auth_mode = mode;
    int err = fx_try_open(&ax->fx, &limits, &ax->hooks, workers, fail_at);
    if (err == 0)
        err = fx_try_put(&ax->fx, &app);
    if (err && ax->fx.engine)
        ax_close(ax);
    return err;
}

static inline void ax_open(struct ax *ax, uint32_t workers, pusherc_auth_mode mode)
{
    REQUIRE(ax_try_open(ax, workers, mode, 0) == 0);
}

/* Connects client `i` on a worker; user NULL = anonymous. After PUSHERC_ENOMEM it is not connected. */
static inline int ax_try_connect(struct ax *ax, size_t i, uint32_t worker, const char *user)
{
    struct fx_client *client = &ax->clients[i];
    struct pc_identity *who = NULL;
    if (user) {
        who = pc_identity_new(&ax->fx.mem, pc_slice_of(user), PC_S("{\"name\":\"x\"}"));
        if (!who)
            return PUSHERC_ENOMEM;
    }
    int err = fx_try_connect_to(&ax->fx, client, worker, 7, "app-key", who);
    if (err) {
        fx_disconnect(client);
        client->fx = NULL;
    }
    return err;
}

static inline struct fx_client *ax_connect(struct ax *ax, size_t i, uint32_t worker,
                                           const char *user)
{
    REQUIRE(ax_try_connect(ax, i, worker, user) == 0);
    fx_settle(&ax->fx);
    fx_forget(&ax->clients[i]);
    return &ax->clients[i];
}

/* Runs turns of every worker until no worker has work left. */
static inline void ax_settle(struct ax *ax)
{
    bool any = true;
    while (any) {
        any = false;
        for (uint32_t i = 0; i < ax->fx.engine->worker_count; i++) {
            any |= fx_round(&ax->fx, i);
            any |= pc_decisions_ask(&ax->fx.engine->workers[i]);
        }
    }
}

static inline void ax_pass(struct ax *ax, uint64_t ms)
{
    fx_pass(&ax->fx, ms);
    ax_settle(ax);
}

/* Returns what the client has read since the last call; valid until the next one. */
static inline const char *ax_heard(struct ax *ax, size_t i)
{
    ax_settle(ax);
    return fx_heard(&ax->clients[i]);
}

/* Subscribes without a token. */
static inline void ax_subscribe(struct ax *ax, size_t i, const char *channel)
{
    char text[512];
    snprintf(text, sizeof text, "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"%s\"}}",
             channel);
    fx_say(&ax->clients[i], text);
}

/* Returns the oldest request that the host has not answered. */
static inline pusherc_auth_request *ax_next(struct ax *ax)
{
    ax_settle(ax);
    REQUIRE(ax->asked_count > 0);
    pusherc_auth_request *request = ax->asked[0];
    memmove(ax->asked, ax->asked + 1, --ax->asked_count * sizeof *ax->asked);
    return request;
}

static inline int ax_allow(struct ax *ax)
{
    int err = pusherc_auth_allow(ax_next(ax), &ax->grant);
    ax_settle(ax);
    return err;
}

static inline int ax_deny(struct ax *ax)
{
    int err = pusherc_auth_deny(ax_next(ax), 0, "no");
    ax_settle(ax);
    return err;
}

static inline void ax_on_done(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct ax *ax = user_data;
    ax->done++;
    ax->kept = kept;
    ax->revoked = revoked;
}

/* Runs the first round of pusherc_reauthorize() at once, whatever mail waits. NULL = any. */
static inline int ax_reauthorize(struct ax *ax, const char *user_id, const char *pattern)
{
    struct pc_app *app = pc_apps_by_id(&ax->fx.engine->apps, PC_S("app-id"));
    struct pc_grant_filter filter = {.app_uid = app->state->uid,
                                     .user_id = pc_slice_of(user_id),
                                     .pattern = pc_slice_of(pattern)};
    pc_app_unref(app);
    struct pc_change *change = pc_change_new(ax->fx.engine, &filter, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    change->done = ax_on_done;
    change->user_data = ax;
    for (uint32_t i = 0; i < ax->fx.engine->worker_count; i++)
        pc_change_apply(change, &ax->fx.engine->workers[i]);
    pc_change_report(change);
    return 0;
}

static inline unsigned ax_count(const char *text, const char *needle)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, needle)); at += strlen(needle))
        n++;
    return n;
}

#endif
