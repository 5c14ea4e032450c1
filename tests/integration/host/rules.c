/*
 * The host's rules. "rules" of the configuration says which there are; how they answer is a table that tests
 * replace with the command "answers": the first row that fits the channel ("tickets.*") and the user
 * counts, {"later": true} asks the test, and without a row it is a no.
 */
#include <stdlib.h>
#include <string.h>

#include "host.h"

/* "*" at the beginning or at the end stands for anything. */
static bool fits(const cJSON *row, const char *name, pusherc_slice text)
{
    const char *want = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, name));
    size_t len = want ? strlen(want) : 0;
    if (len && want[0] == '*')
        return text.len >= len - 1 &&
               memcmp(text.ptr + text.len - (len - 1), want + 1, len - 1) == 0;
    if (len && want[len - 1] == '*')
        return text.len >= len - 1 && memcmp(text.ptr, want, len - 1) == 0;
    return !want || (text.len == len && (len == 0 || memcmp(text.ptr, want, len) == 0));
}

static int answer(pusherc_auth_request *request, const cJSON *row)
{
    if (!cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(row, "allow")))
        return pusherc_auth_deny(
            request, (int)host_number(row, "status", 0),
            cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, "reason")));
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.user_id = host_slice(cJSON_GetObjectItemCaseSensitive(row, "user_id"));
    grant.user_info_json = host_slice(cJSON_GetObjectItemCaseSensitive(row, "info"));
    grant.view = host_slice(cJSON_GetObjectItemCaseSensitive(row, "view"));
    grant.expires_in_ms = (uint32_t)host_number(row, "expires_in_ms", 0);
    return pusherc_auth_allow(request, &grant);
}

static void ask_test(struct host *host, pusherc_auth_request *request)
{
    cJSON *event = host_event("authorize");
    host_add_slice(event, "channel", pusherc_auth_channel(request));
    host_add_slice(event, "user", pusherc_auth_user_id(request));
    host_add_socket_id(event, pusherc_auth_socket_id(request));
    hooks_ask(host, QUESTION_AUTHORIZE, request, event);
}

static void authorize(pusherc_auth_request *request, void *user_data)
{
    struct host *host = user_data;
    pusherc_slice channel = pusherc_auth_channel(request), user = pusherc_auth_user_id(request);
    const cJSON *row, *found = NULL;
    pthread_mutex_lock(&host->lock);
    host->authorized++;
    cJSON_ArrayForEach(row, host->answers)
    {
        if (!found && fits(row, "channel", channel) && fits(row, "user", user))
            found = row;
    }
    cJSON *copy = found ? cJSON_Duplicate(found, true) : NULL;
    pthread_mutex_unlock(&host->lock);
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(copy, "later")))
        ask_test(host, request);
    else
        answer(request, copy);
    cJSON_Delete(copy);
}

static void authorize_batch(pusherc_auth_request *const *requests, size_t count, void *user_data)
{
    struct host *host = user_data;
    cJSON *event = host_event("batch");
    cJSON_AddNumberToObject(event, "count", (double)count);
    host_say(event);
    for (size_t i = 0; i < count; i++)
        authorize(requests[i], host);
}

/* Agents see all, customers no event named "note" and no names of members; no audience sees "hidden". */
static pusherc_render_verdict render(pusherc_render *r, void *user_data)
{
    pusherc_slice view = pusherc_render_view(r), event = pusherc_render_event(r);
    struct host *host = user_data;
    atomic_fetch_add(&host->rendered, 1);
    if (event.len == 6 && memcmp(event.ptr, "hidden", 6) == 0)
        return PUSHERC_RENDER_NOTHING;
    if (view.len == 5 && memcmp(view.ptr, "agent", 5) == 0)
        return PUSHERC_RENDER_SAME;
    if (event.len == 4 && memcmp(event.ptr, "note", 4) == 0)
        return PUSHERC_RENDER_NOTHING;
    pusherc_render_payload(r, (pusherc_slice)PUSHERC_LIT("{\"redacted\":true}"));
    return PUSHERC_RENDER_REPLACED;
}

static void rule_freed(void *user_data)
{
    (void)user_data;
    host_say(host_event("rule_freed"));
}

/* {"view": ["member", ...] or null for nothing}. The texts are the configuration's. */
struct redactions {
    pusherc_redaction items[8];
    pusherc_slice members[8][8];
};

static void read_redactions(const cJSON *views, struct redactions *r, pusherc_rule *rule)
{
    const cJSON *view, *member;
    cJSON_ArrayForEach(view, views)
    {
        pusherc_redaction *item = &r->items[rule->redaction_count];
        pusherc_redaction_init(item, sizeof *item);
        item->view = pusherc_slice_of(view->string);
        item->nothing = cJSON_IsNull(view);
        item->members = r->members[rule->redaction_count++];
        cJSON_ArrayForEach(member, view)
        {
            r->members[rule->redaction_count - 1][item->member_count++] = host_slice(member);
        }
    }
    rule->redactions = r->items;
}

static int add_rule(struct host *host, pusherc_server *server, const cJSON *item,
                    pusherc_errinfo *info)
{
    pusherc_rule rule = PUSHERC_RULE_INIT;
    bool batch = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "batch"));
    const char *app = host_string(item, "of_app");
    rule.app_id = app[0] ? app : NULL;
    rule.pattern = host_string(item, "pattern");
    rule.kinds = (uint32_t)host_number(item, "kinds", 0);
    rule.cache_ms = (uint32_t)host_number(item, "cache_ms", 0);
    rule.gather_ms = (uint32_t)host_number(item, "gather_ms", 0);
    rule.authorize = batch ? NULL : authorize;
    rule.authorize_batch = batch ? authorize_batch : NULL;
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "views")))
        rule.render = render;
    struct redactions redactions;
    read_redactions(cJSON_GetObjectItemCaseSensitive(item, "redactions"), &redactions, &rule);
    rule.user_data = host;
    rule.replaces = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "replaces"));
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, "tell")))
        rule.free_user_data = rule_freed;
    return pusherc_server_add_rule(server, &rule, info);
}

void rules_add(struct host *host, pusherc_server *server)
{
    const cJSON *item;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(host->config, "rules"))
    {
        pusherc_errinfo info = {0};
        if (add_rule(host, server, item, &info))
            host_die("pusherc_server_add_rule", info.text);
    }
}

/* -- commands -- */

static void reauthorized(uint64_t kept, uint64_t revoked, void *user_data)
{
    (void)user_data;
    cJSON *event = host_event("reauthorized");
    cJSON_AddNumberToObject(event, "kept", (double)kept);
    cJSON_AddNumberToObject(event, "revoked", (double)revoked);
    host_say(event);
}

static void explained(pusherc_slice json, void *user_data)
{
    cJSON_AddItemToObject(user_data, "explained", cJSON_ParseWithLength(json.ptr, json.len));
}

static int replace_answers(struct host *host, const cJSON *line)
{
    pthread_mutex_lock(&host->lock);
    cJSON_Delete(host->answers);
    host->answers = cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(line, "rows"), true);
    pthread_mutex_unlock(&host->lock);
    return 0;
}

static pusherc_socket_id socket_of(const cJSON *line)
{
    pusherc_socket_id id = {0};
    const char *socket = host_string(line, "socket_id");
    if (socket[0] && pusherc_socket_id_parse((pusherc_slice){socket, strlen(socket)}, &id))
        host_die("not a socket id", socket);
    return id;
}

static pusherc_grant_match match_of(const cJSON *line)
{
    pusherc_grant_match match = PUSHERC_GRANT_MATCH_INIT;
    match.user_id = host_slice(cJSON_GetObjectItemCaseSensitive(line, "user"));
    match.channel_pattern = host_slice(cJSON_GetObjectItemCaseSensitive(line, "pattern"));
    match.socket_id = socket_of(line);
    match.anonymous = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(line, "anonymous"));
    return match;
}

/* One match in the line itself, others in the list "or". "wait_ms": waits for the result, and replies with it. */
static int reauthorize(pusherc_server *server, const cJSON *line, cJSON *reply)
{
    pusherc_grant_match matches[PUSHERC_MAX_GRANT_MATCHES + 1] = {match_of(line)};
    const cJSON *item;
    size_t n = 0;
    cJSON_ArrayForEach(item, cJSON_GetObjectItemCaseSensitive(line, "or"))
    {
        matches[n].next = &matches[n + 1];
        matches[++n] = match_of(item);
    }
    const char *app = host_string(line, "app");
    double wait_ms = host_number(line, "wait_ms", -1);
    if (wait_ms < 0)
        return pusherc_reauthorize(server, app, matches, reauthorized, NULL);
    uint64_t kept = 0, revoked = 0;
    int err = pusherc_reauthorize_wait(server, app, matches, (uint32_t)wait_ms, &kept, &revoked);
    cJSON_AddNumberToObject(reply, "kept", (double)kept);
    cJSON_AddNumberToObject(reply, "revoked", (double)revoked);
    return err;
}

static int unsubscribe(pusherc_server *server, const cJSON *line)
{
    return pusherc_server_unsubscribe(
        server, host_string(line, "app"), socket_of(line),
        host_slice(cJSON_GetObjectItemCaseSensitive(line, "user")),
        host_slice(cJSON_GetObjectItemCaseSensitive(line, "channel")),
        cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(line, "reason")));
}

bool rules_obey(struct host *host, pusherc_server *server, const char *command, const cJSON *line,
                cJSON *reply)
{
    const char *app = host_string(line, "app");
    int err;
    if (strcmp(command, "answers") == 0) {
        err = replace_answers(host, line);
    } else if (strcmp(command, "authorize") == 0) {
        err = answer(hooks_take(host, QUESTION_AUTHORIZE, line), line);
    } else if (strcmp(command, "reauthorize") == 0) {
        err = reauthorize(server, line, reply);
    } else if (strcmp(command, "add_rule") == 0) {
        err = add_rule(host, server, line, NULL);
    } else if (strcmp(command, "remove_rule") == 0) {
        const char *of_app = host_string(line, "of_app");
        err = pusherc_server_remove_rule(server, of_app[0] ? of_app : NULL,
                                         host_string(line, "pattern"), NULL);
    } else if (strcmp(command, "unsubscribe") == 0) {
        err = unsubscribe(server, line);
    } else if (strcmp(command, "explain") == 0) {
        err = pusherc_explain(
            server, app, host_slice(cJSON_GetObjectItemCaseSensitive(line, "channel")),
            host_slice(cJSON_GetObjectItemCaseSensitive(line, "user")), explained, reply);
    } else {
        return false;
    }
    host_add_rc(reply, err);
    return true;
}
