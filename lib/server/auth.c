/* Rules, re-authorization and explanations (pusherc/auth.h). */
#include <pusherc/auth.h>

#include "base/options.h"
#include "codec/json.h"
#include "server/server.h"
#include "session/change.h"
#include "session/identity.h"

int pusherc_server_add_rule(pusherc_server *server, const pusherc_rule *rule, pusherc_errinfo *info)
{
    if (!server || !rule)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "server or rule: NULL");
    if (atomic_load(&server->state) != PC_SERVER_NEW)
        return pc_errinfo(info, PUSHERC_ESTATE, 0, "rules are added before start");
    return pc_rules_add(&server->engine.rules, rule, info);
}

/* -- re-authorization -- */

int pusherc_reauthorize(pusherc_server *server, const char *app_id,
                        const pusherc_grant_match *match, pusherc_reauthorized_fn done,
                        void *user_data)
{
    int rc;
    pusherc_grant_match taken = {0};
    if (match && PC_TAKE(grant_match, &taken, match, NULL))
        return PUSHERC_EINVAL;
    if (taken.user_id.len > PC_IDENTITY_MAX_ID ||
        (taken.channel_pattern.len && !pc_pattern_valid(taken.channel_pattern, NULL, NULL)))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    struct pc_grant_filter filter = {
        .app_uid = app->live->uid, .user_id = taken.user_id, .pattern = taken.channel_pattern};
    pc_app_unref(app);
    if (!pc_server_runs(server))
        return PUSHERC_ESTATE;
    struct pc_change *change = pc_change_new(&server->engine, &filter, PC_S(""), PC_S(""));
    if (!change)
        return PUSHERC_ENOMEM;
    change->done = done;
    change->user_data = user_data;
    return pc_change_send(change);
}

/* -- taking one channel away -- */

int pusherc_server_unsubscribe(pusherc_server *server, const char *app_id,
                               pusherc_socket_id socket_id, pusherc_slice user_id,
                               pusherc_slice channel, const char *reason)
{
    int rc;
    struct pc_channel_class class;
    bool by_user = socket_id.a == 0 && socket_id.b == 0;
    pusherc_slice text = pc_slice_of(reason ? reason : "Unsubscribed by the application");
    if (!pc_channel_name_valid(channel, SIZE_MAX, &class) || !pc_utf8_valid(text) ||
        (by_user && (user_id.len == 0 || user_id.len > PC_IDENTITY_MAX_ID)))
        return PUSHERC_EINVAL;
    text = pc_utf8_cut(text, 120);
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    /* who subscribes anew is asked about anew */
    struct pc_grant_filter before = {app->live->uid, by_user ? user_id : PC_S(""),
                                     pc_rule_subject(channel)};
    pc_app_unref(app);
    if (!pc_server_runs(server))
        return PUSHERC_ESTATE;
    struct pc_change *change = pc_change_new(&server->engine, &before, channel, text);
    if (!change)
        return PUSHERC_ENOMEM;
    change->socket_id = socket_id;
    return pc_change_send(change);
}

/* -- explaining -- */

static void put_member(struct pc_buf *out, const char *name, pusherc_slice text)
{
    if (out->len > 1 && out->ptr[out->len - 1] != '{')
        pc_buf_put_char(out, ',');
    pc_json_put_string(out, pc_slice_of(name));
    pc_buf_put_char(out, ':');
    pc_json_put_string(out, text);
}

static const char *mode_name(pusherc_auth_mode mode)
{
    switch (mode) {
    case PUSHERC_AUTH_SIGNATURE:
        return "signature";
    case PUSHERC_AUTH_RULES:
        return "rules";
    case PUSHERC_AUTH_EITHER:
        return "either";
    }
    return "unknown";
}

/* The label of the kind that one bit PUSHERC_RULE_* stands for. */
static const char *rule_kind_label(uint32_t bit)
{
    unsigned kind = 0;
    while (pc_rule_kind((pusherc_channel_kind)kind) != bit)
        kind++;
    return pc_kind_label((pusherc_channel_kind)kind);
}

static void put_kinds(struct pc_buf *out, uint32_t kinds)
{
    bool first = true;
    pc_buf_put(out, PC_S(",\"kinds\":["));
    for (uint32_t bit = 1; bit <= kinds; bit <<= 1) {
        if (!(kinds & bit))
            continue;
        if (!first)
            pc_buf_put_char(out, ',');
        first = false;
        pc_json_put_string(out, pc_slice_of(rule_kind_label(bit)));
    }
    pc_buf_put_char(out, ']');
}

static void put_tried(struct pc_buf *out, const struct pc_rules *rules, const struct pc_app *app,
                      pusherc_slice subject, uint32_t kind)
{
    bool first = true;
    pc_buf_put(out, PC_S(",\"tried\":["));
    for (size_t i = 0; i < rules->count; i++) {
        const struct pc_rule *rule = rules->rules[i];
        if (rule->app_id.len && !pc_slice_eq(rule->app_id, app->id))
            continue;
        if (!first)
            pc_buf_put_char(out, ',');
        first = false;
        pc_buf_put_char(out, '{');
        put_member(out, "pattern", rule->pattern);
        put_kinds(out, rule->options.kinds);
        bool matches =
            (rule->options.kinds & kind) && pc_pattern_matches(rule->pattern, subject, NULL);
        pc_buf_put(out, matches ? PC_S(",\"matches\":true}") : PC_S(",\"matches\":false}"));
    }
    pc_buf_put_char(out, ']');
}

static void put_outcome(struct pc_buf *out, const struct pc_app *app, pusherc_channel_kind kind,
                        const struct pc_rule *rule, pusherc_slice channel, pusherc_slice user_id)
{
    const char *outcome = "public", *reason = "no rule guards this public name";
    if (kind == PUSHERC_CHANNEL_USER) {
        bool own = pc_slice_eq(pc_user_channel_id(channel), user_id);
        outcome = own ? "public" : "denied";
        reason = own ? "the user's own channel, after signing in" : "another user's channel";
    } else if (!pc_kind_needs_auth(kind)) {
        if (rule) {
            outcome = "ask rule";
            reason = "the rule guards public names";
        }
    } else if (app->options.auth_mode == PUSHERC_AUTH_SIGNATURE) {
        outcome = "signature";
        reason = "the app's mode is signature";
    } else if (!rule && app->options.auth_mode == PUSHERC_AUTH_RULES) {
        outcome = "denied";
        reason = "the app's mode is rules, and no rule covers this name";
    } else if (!rule) {
        outcome = "signature";
        reason = "no rule covers this name";
    } else if (app->options.auth_mode == PUSHERC_AUTH_EITHER) {
        outcome = "signature or rule";
        reason = "a signature if the client sends one, else the rule";
    } else {
        outcome = "ask rule";
        reason = "the app's mode is rules";
    }
    put_member(out, "outcome", pc_slice_of(outcome));
    put_member(out, "reason", pc_slice_of(reason));
}

static void explain(struct pc_buf *out, const struct pc_engine *engine, const struct pc_app *app,
                    pusherc_slice channel, pusherc_slice user_id)
{
    struct pc_channel_class class;
    bool valid = pc_channel_name_valid(channel, SIZE_MAX, &class);
    pc_buf_put_char(out, '{');
    put_member(out, "app", app->id);
    put_member(out, "channel", channel);
    if (!valid) {
        put_member(out, "outcome", PC_S("denied"));
        put_member(out, "reason", PC_S("not a valid channel name"));
        pc_buf_put_char(out, '}');
        return;
    }
    pusherc_slice subject = pc_rule_subject(channel);
    struct pc_rule_match match = pc_rules_find(&engine->rules, app->id, channel, class.kind);
    put_member(out, "name", subject);
    put_member(out, "kind", pc_slice_of(pc_kind_label(class.kind)));
    put_member(out, "mode", pc_slice_of(mode_name(app->options.auth_mode)));
    put_member(out, "user_id", user_id);
    put_tried(out, &engine->rules, app, subject, pc_rule_kind(class.kind));
    if (match.rule)
        put_member(out, "rule", match.rule->pattern);
    else
        pc_buf_put(out, PC_S(",\"rule\":null"));
    pc_buf_put(out, PC_S(",\"params\":{"));
    for (size_t i = 0; match.rule && i < match.rule->param_count; i++) {
        if (i)
            pc_buf_put_char(out, ',');
        pc_json_put_string(out, match.rule->param_names[i]);
        pc_buf_put_char(out, ':');
        pc_json_put_string(out, match.values[i]);
    }
    pc_buf_put_char(out, '}');
    put_outcome(out, app, class.kind, match.rule, channel, user_id);
    pc_buf_put_char(out, '}');
}

int pusherc_explain(pusherc_server *server, const char *app_id, pusherc_slice channel,
                    pusherc_slice user_id, pusherc_explain_fn done, void *user_data)
{
    int rc;
    struct pc_buf out;
    if (!done || !pc_utf8_valid(channel) || !pc_utf8_valid(user_id))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &rc);
    if (!app)
        return rc;
    pc_buf_init(&out, &server->engine.mem, SIZE_MAX);
    explain(&out, &server->engine, app, channel, user_id);
    pc_app_unref(app);
    rc = pc_buf_status(&out);
    if (rc == 0)
        done(pc_buf_slice(&out), user_data);
    pc_buf_free(&out);
    return rc;
}
