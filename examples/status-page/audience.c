#include "audience.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/program.h"
#include "common/say.h"
#include "common/store.h"

/* "public" of the organization; user_id, name and role if the session is a member's. */
static cJSON *find_listener(struct program *program, pusherc_slice organization,
                            pusherc_slice session)
{
    return store_row(
        program->store,
        "SELECT o.public, m.user_id, m.role, u.name FROM organizations o"
        " LEFT JOIN sessions s ON s.token_hash = ? AND s.expires_at > unixepoch()"
        " LEFT JOIN memberships m ON m.user_id = s.user_id AND m.organization_id = o.id"
        " LEFT JOIN users u ON u.id = m.user_id WHERE o.id = ?",
        VALUES(SLICE(session), SLICE(organization)));
}

static void allow(pusherc_auth_request *request, const cJSON *listener, const char *view)
{
    char user_id[24];
    cJSON *info = cJSON_CreateObject();
    cJSON_AddStringToObject(info, "name", row_text(listener, "name"));
    cJSON_AddStringToObject(info, "role", row_text(listener, "role"));
    char *info_json = cJSON_PrintUnformatted(info);
    snprintf(user_id, sizeof user_id, "%" PRId64, row_int(listener, "user_id"));
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.view = pusherc_slice_of(view);
    grant.user_id = pusherc_slice_of(user_id);
    grant.user_info_json = pusherc_slice_of(info_json);
    pusherc_auth_allow(request, &grant);
    cJSON_free(info_json);
    cJSON_Delete(info);
}

static void decide(pusherc_auth_request *request, void *user_data)
{
    struct program *program = user_data;
    pusherc_slice channel = pusherc_auth_channel(request);
    pusherc_channel_kind kind = PUSHERC_CHANNEL_PUBLIC;
    pusherc_channel_classify(channel, &kind, NULL);
    cJSON *listener =
        find_listener(program, pusherc_auth_param(request, "id"), pusherc_auth_user_id(request));
    bool member = row_int(listener, "user_id") != 0;
    bool allowed = member || (kind == PUSHERC_CHANNEL_PUBLIC && row_int(listener, "public") == 1);
    if (program->trace)
        fprintf(stderr, "broadcast: %.*s: %s a %s\n", (int)channel.len, channel.ptr,
                allowed ? "for" : "not for", member ? "member" : "visitor");
    if (allowed)
        allow(request, listener, member ? "member" : "public");
    else
        pusherc_auth_deny(request, 403, "This is for members");
    cJSON_Delete(listener);
}

/* Once for all visitors, not for each: nothing that is not public, and no names. */
static pusherc_render_verdict render(pusherc_render *render, void *user_data)
{
    (void)user_data;
    if (pusherc_slice_equal(pusherc_render_view(render), pusherc_slice_of("member")))
        return PUSHERC_RENDER_SAME;
    pusherc_slice text = pusherc_render_data(render);
    cJSON *data = cJSON_ParseWithLength(text.ptr, text.len);
    bool public = row_int(data, "public") == 1;
    cJSON_DeleteItemFromObjectCaseSensitive(data, "by");
    char *redacted = public ? cJSON_PrintUnformatted(data) : NULL;
    int status = redacted ? pusherc_render_payload(render, pusherc_slice_of(redacted)) : -1;
    cJSON_free(redacted);
    cJSON_Delete(data);
    return status == 0 ? PUSHERC_RENDER_REPLACED : PUSHERC_RENDER_NOTHING;
}

int audience_add_rule(struct program *program, pusherc_errinfo *info)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    rule.pattern = "organization.{id}";
    rule.kinds = PUSHERC_RULE_PUBLIC | PUSHERC_RULE_PRESENCE;
    rule.authorize = decide;
    rule.render = render;
    rule.user_data = program;
    return pusherc_server_add_rule(program->server, &rule, info);
}

void audience_changed(struct program *program, int64_t organization_id)
{
    char pattern[48];
    snprintf(pattern, sizeof pattern, "organization.%" PRId64, organization_id);
    pusherc_grant_match match = PUSHERC_GRANT_MATCH_INIT;
    match.channel_pattern = pusherc_slice_of(pattern);
    int status = pusherc_reauthorize(program->server, program->app_id, &match, NULL, NULL);
    if (status != 0)
        say("listeners not asked for again: %s", pusherc_strerror(status));
}
