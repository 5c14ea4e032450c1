/* Rules, re-authorization and explanations (pusherc/auth.h). */
#include <pusherc/auth.h>

#include "base/options.h"
#include "server/server.h"
#include "session/change.h"
#include "session/identity.h"
#include "why/why.h"

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
    int err;
    pusherc_grant_match taken = {0};
    if (match && PC_TAKE(grant_match, &taken, match, NULL))
        return PUSHERC_EINVAL;
    if (taken.user_id.len > PC_IDENTITY_MAX_ID ||
        (taken.channel_pattern.len && !pc_pattern_valid(taken.channel_pattern, NULL, NULL)))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    struct pc_grant_filter filter = {
        .app_uid = app->state->uid, .user_id = taken.user_id, .pattern = taken.channel_pattern};
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

/* -- unsubscribing -- */

int pusherc_server_unsubscribe(pusherc_server *server, const char *app_id,
                               pusherc_socket_id socket_id, pusherc_slice user_id,
                               pusherc_slice channel, const char *reason)
{
    int err;
    struct pc_channel_class class;
    bool by_user = socket_id.a == 0 && socket_id.b == 0;
    pusherc_slice text = pc_slice_of(reason ? reason : "Unsubscribed by the application");
    if (!pc_channel_name_valid(channel, SIZE_MAX, &class) || !pc_utf8_valid(text) ||
        (by_user && (user_id.len == 0 || user_id.len > PC_IDENTITY_MAX_ID)))
        return PUSHERC_EINVAL;
    text = pc_utf8_cut(text, 120);
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    /* cached answers become invalid as well: the host is asked about the next subscribe */
    struct pc_grant_filter before = {app->state->uid, by_user ? user_id : PC_S(""),
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

int pusherc_explain(pusherc_server *server, const char *app_id, pusherc_slice channel,
                    pusherc_slice user_id, pusherc_explain_fn done, void *user_data)
{
    int err;
    struct pc_buf out;
    if (!done || !pc_utf8_valid(channel) || !pc_utf8_valid(user_id))
        return PUSHERC_EINVAL;
    struct pc_app *app = pc_server_app(server, app_id, &err);
    if (!app)
        return err;
    pc_buf_init(&out, &server->engine.mem, SIZE_MAX);
    err = pc_why_decision(&out, &server->engine.rules, app, channel, user_id);
    pc_app_unref(app);
    if (err == 0)
        err = pc_buf_status(&out);
    if (err == 0)
        done(pc_buf_slice(&out), user_data);
    pc_buf_free(&out);
    return err;
}
