#include "events.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/program.h"
#include "common/say.h"

#define NOW "strftime('%Y-%m-%dT%H:%M:%fZ', 'now') timestamp"

#define SERVER "SELECT id server_id, " NOW " FROM servers WHERE id = ?1"

/* A number is compared as text, too: "1e3" and " 1" are none. */
#define OWNS(table, server)                                                                        \
    "SELECT 1 FROM " table " x JOIN servers o ON o.id = " server                                   \
    " JOIN sessions s ON s.user_id = o.user_id WHERE x.id = CAST(?1 AS INTEGER)"                   \
    " AND CAST(x.id AS TEXT) = ?1 AND s.token_hash = ?2 AND s.expires_at > unixepoch()"

/* clang-format off */
const struct event events[EVENT_KINDS] = {
    [EVENT_PROVISION] = {"servers.{id}.provision", "App\\Events\\ServerProvisionUpdated", SERVER, OWNS("servers", "x.id")},
    [EVENT_PACKAGES] = {"servers.{id}.packages", "App\\Events\\ServerPackageUpdated", SERVER, OWNS("servers", "x.id")},
    [EVENT_DATABASES] = {"servers.{id}.databases", "App\\Events\\ServerDatabaseUpdated", SERVER, OWNS("servers", "x.id")},
    [EVENT_LOG] = {"servers.{id}.logs", "App\\Events\\ServerLogAppended",
        "SELECT server_id, name log, size, " NOW " FROM logs WHERE server_id = ?1 AND name = ?2", OWNS("servers", "x.id")},
    [EVENT_DEPLOYMENT] = {"sites.{id}.deployment", "App\\Events\\SiteDeploymentUpdated",
        "SELECT id site_id, " NOW " FROM sites WHERE id = ?1", OWNS("sites", "x.server_id")},
    [EVENT_TASK] = {"tasks.{id}", "App\\Events\\TaskCompletedEvent",
        "SELECT json_object('id', id, 'name', name, 'completed', json('true'),"
        " 'completed_at', strftime('%Y-%m-%dT%H:%M:%SZ', completed_at, 'unixepoch')) \"json:task\" FROM tasks WHERE id = ?1",
        OWNS("tasks", "x.server_id")},
    [EVENT_SERVERS] = {"users.{id}.servers", "App\\Events\\ServersUpdated", "SELECT id user_id, " NOW " FROM users WHERE id = ?1",
        "SELECT 1 FROM sessions s WHERE s.user_id = CAST(?1 AS INTEGER) AND CAST(s.user_id AS TEXT) = ?1"
        " AND s.token_hash = ?2 AND s.expires_at > unixepoch()"},
};

#define CALM "debounce window_ms=500 max_wait_ms=2000 leading=yes\n"
const char events_shaping[] =
    "private-servers.{id}.provision " CALM
    "private-servers.{id}.packages " CALM
    "private-servers.{id}.databases " CALM
    "private-sites.{id}.deployment " CALM
    "private-users.{id}.servers " CALM
    "private-servers.{id}.logs conflate key=/log window_ms=300";
/* clang-format on */

void event_tell(struct change *change, enum event_kind kind, int64_t id, const char *more)
{
    const char *pattern = events[kind].pattern;
    const char *rest = strchr(pattern, '}') + 1;
    change_to_none(change);
    change_to(change, "private-%.*s%" PRId64 "%s", (int)strcspn(pattern, "{"), pattern, id, rest);
    if (more)
        change_tell(change, events[kind].name, events[kind].payload, VALUES(INT(id), TEXT(more)));
    else
        change_tell(change, events[kind].name, events[kind].payload, VALUES(INT(id)));
}

/* No such server, a foreign one and no user get the same answer after the same question. */
static void decide(pusherc_auth_request *request, void *user_data)
{
    const struct audience *audience = user_data;
    pusherc_slice id = pusherc_auth_param(request, "id");
    pusherc_slice session = pusherc_auth_user_id(request);
    pusherc_slice channel = pusherc_auth_channel(request);
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    bool owner = store_has(audience->program->store, events[audience->kind].owner,
                           VALUES(SLICE(id), session.len ? SLICE(session) : TEXT("")));
    if (audience->program->trace)
        fprintf(stderr, "broadcast: %.*s: %s\n", (int)channel.len, channel.ptr,
                owner ? "for its owner" : "not for this user");
    if (owner)
        pusherc_auth_allow(request, &grant);
    else
        pusherc_auth_deny(request, 403, "This is not yours");
}

int events_add_rules(struct program *program, struct audience audiences[EVENT_KINDS],
                     pusherc_errinfo *info)
{
    int status = 0;
    for (enum event_kind kind = 0; kind < EVENT_KINDS && status == 0; kind++) {
        audiences[kind] = (struct audience){program, kind};
        pusherc_rule rule = PUSHERC_RULE_INIT;
        rule.pattern = events[kind].pattern;
        rule.kinds = PUSHERC_RULE_PRIVATE;
        rule.authorize = decide;
        rule.user_data = &audiences[kind];
        status = pusherc_server_add_rule(program->server, &rule, info);
    }
    return status;
}

void events_owner_changed(struct program *program, int64_t server_id)
{
    char servers[48];
    snprintf(servers, sizeof servers, "servers.%" PRId64 ".{part}", server_id);
    const char *patterns[] = {servers, events[EVENT_DEPLOYMENT].pattern,
                              events[EVENT_TASK].pattern};
    for (size_t i = 0; i < 3; i++) {
        pusherc_grant_match match = PUSHERC_GRANT_MATCH_INIT;
        match.channel_pattern = pusherc_slice_of(patterns[i]);
        int status = pusherc_reauthorize(program->server, program->app_id, &match, NULL, NULL);
        if (status != 0)
            say("listeners not asked for again: %s", pusherc_strerror(status));
    }
}
