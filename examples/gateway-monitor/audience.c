#include "audience.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/store.h"
#include "fleet.h"
#include "replay.h"

#define VIEW_BYTES 24

/* -- who -- */

#define AUDIENCE                                                                                   \
    "SELECT p.user_id, p.admin, coalesce(iif(p.admin, (SELECT sum(1 << id) FROM sites),"           \
    " (SELECT sum(1 << site_id) FROM permissions m WHERE m.user_id = p.user_id)), 0) sites"        \
    " FROM people p WHERE p.user_id = "

static void read_audience(cJSON *row, struct audience *out)
{
    *out = (struct audience){.user_id = row_int(row, "user_id"),
                             .admin = row_int(row, "admin") == 1,
                             .sites = (uint64_t)row_int(row, "sites")};
    cJSON_Delete(row);
}

void audience_of_user(struct program *program, int64_t user_id, struct audience *out)
{
    read_audience(store_row(program->store, AUDIENCE "?", VALUES(INT(user_id))), out);
}

static void audience_of_session(struct program *program, pusherc_slice id, struct audience *out)
{
    read_audience(store_row(program->store,
                            AUDIENCE "(SELECT user_id FROM sessions WHERE token_hash = ?"
                                     " AND expires_at > unixepoch())",
                            VALUES(SLICE(id))),
                  out);
}

void audience_of(struct program *program, const pusherc_http_request *request,
                 struct session *session, struct audience *out)
{
    accounts_find(program, request, session);
    audience_of_user(program, session->user_id, out);
}

const struct gateway *audience_gateway(struct program *program, pusherc_http_request *request,
                                       const struct http_params *params,
                                       const struct audience *audience)
{
    const struct gateway *gateway =
        fleet_gateway(monitor_of(program), strtoll(params->value[0], NULL, 10));
    if (audience_sees(audience, gateway))
        return gateway;
    http_send_error(request, 404, "There is no such gateway, or it is not yours.");
    return NULL;
}

/* -- which channels -- */

static void answer(struct program *program, pusherc_auth_request *request,
                   const struct audience *audience, bool allowed)
{
    pusherc_slice channel = pusherc_auth_channel(request);
    char view[VIEW_BYTES];
    snprintf(view, sizeof view, "%c%" PRIx64, audience->admin ? 'a' : 'v', audience->sites);
    if (program->trace)
        fprintf(stderr, "broadcast: %.*s: %s user %" PRId64 "\n", (int)channel.len, channel.ptr,
                allowed ? "for" : "not for", audience->user_id);
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.view = pusherc_slice_of(view);
    if (allowed)
        pusherc_auth_allow(request, &grant);
    else
        pusherc_auth_deny(request, 403, audience->user_id ? "This is not yours" : "Please sign in");
}

static int64_t param(const pusherc_auth_request *request)
{
    char text[24];
    http_copy(text, sizeof text, pusherc_auth_param(request, "id"));
    return text[0] && !text[strspn(text, "0123456789")] ? strtoll(text, NULL, 10) : 0;
}

static void decide_all(pusherc_auth_request *request, void *user_data)
{
    struct audience audience;
    audience_of_session(user_data, pusherc_auth_user_id(request), &audience);
    answer(user_data, request, &audience, audience.user_id != 0);
}

static void decide_gateway(pusherc_auth_request *request, void *user_data)
{
    struct audience audience;
    audience_of_session(user_data, pusherc_auth_user_id(request), &audience);
    answer(user_data, request, &audience,
           audience_sees(&audience, fleet_gateway(monitor_of(user_data), param(request))));
}

static void decide_user(pusherc_auth_request *request, void *user_data)
{
    struct audience audience;
    audience_of_session(user_data, pusherc_auth_user_id(request), &audience);
    answer(user_data, request, &audience, audience.user_id && audience.user_id == param(request));
}

static void decide_replay(pusherc_auth_request *request, void *user_data)
{
    struct audience audience;
    audience_of_session(user_data, pusherc_auth_user_id(request), &audience);
    answer(user_data, request, &audience,
           audience.user_id &&
               replay_owner(monitor_of(user_data), param(request)) == audience.user_id);
}

/* -- what of an event -- */

static void read_view(const pusherc_render *render, struct audience *out)
{
    char text[VIEW_BYTES];
    http_copy(text, sizeof text, pusherc_render_view(render));
    *out = (struct audience){.admin = text[0] == 'a',
                             .sites = text[0] ? strtoull(text + 1, NULL, 16) : 0};
}

/* Behind the site with which poll.c begins each reading; NULL: it is not for them, or not of ours. */
static const char *for_sites(const char *at, const char *end, uint64_t sites)
{
    static const char head[] = "{\"site\":";
    unsigned site = 0;
    if ((size_t)(end - at) < sizeof head || memcmp(at, head, sizeof head - 1) != 0)
        return NULL;
    for (at += sizeof head - 1; at < end && *at >= '0' && *at <= '9'; at++)
        site = site * 10 + (unsigned)(*at - '0');
    return at < end && *at == ',' && site <= MAX_SITES && sites >> site & 1 ? at + 1 : NULL;
}

/* Behind the JSON object that begins at `at`. */
static const char *object_end(const char *at, const char *end)
{
    int depth = 0;
    for (bool text = false; at < end; at++) {
        if (text && *at == '\\')
            at++;
        else if (*at == '"')
            text = !text;
        else if (!text && *at == '{')
            depth++;
        else if (!text && *at == '}' && --depth == 0)
            return at + 1;
    }
    return end;
}

/* One reading, or those of a batch that are for them. NULL if there is none. To be freed. */
static char *pick_readings(pusherc_slice data, uint64_t sites, bool batch)
{
    char *text = malloc(data.len + 128);
    char *out = text;
    const char *end = data.ptr + data.len;
    if (!text)
        return NULL;
    if (batch)
        out = stpcpy(out, "{\"readings\":[");
    char *first = out;
    for (const char *at = data.ptr + batch, *next; at < end && *at == '{'; at = next + 1) {
        next = object_end(at, end);
        const char *rest = for_sites(at, next, sites);
        if (!rest)
            continue;
        if (out > first)
            *out++ = ',';
        *out++ = '{';
        out = mempcpy(out, rest, (size_t)(next - rest));
    }
    if (out == first) {
        free(text);
        return NULL;
    }
    char now[TIME_BYTES];
    write_time(now, now_ms());
    if (batch)
        out += snprintf(out, 64, "],\"timestamp\":\"%s\"}", now);
    *out = '\0';
    return text;
}

static char *pick_status(pusherc_slice data, const struct audience *audience)
{
    cJSON *event = cJSON_ParseWithLength(data.ptr, data.len);
    int64_t site = row_int(event, "site");
    bool sees = site > 0 && site <= MAX_SITES && audience->sites >> site & 1;
    cJSON_DeleteItemFromObjectCaseSensitive(event, "site");
    if (!audience->admin)
        cJSON_DeleteItemFromObjectCaseSensitive(cJSON_GetObjectItem(event, "gateway"),
                                                "ip_address");
    char *text = sees ? cJSON_PrintUnformatted(event) : NULL;
    cJSON_Delete(event);
    return text;
}

static pusherc_render_verdict render(pusherc_render *render, void *user_data)
{
    (void)user_data;
    struct audience audience;
    pusherc_slice event = pusherc_render_event(render);
    pusherc_slice data = pusherc_render_data(render);
    char *text = NULL;
    read_view(render, &audience);
    if (pusherc_slice_equal(event, pusherc_slice_of("reading.batch")))
        text = pick_readings(data, audience.sites, true);
    else if (pusherc_slice_equal(event, pusherc_slice_of("reading.new")))
        text = pick_readings(data, audience.sites, false);
    else if (pusherc_slice_equal(event, pusherc_slice_of("gateway.status-changed")))
        text = pick_status(data, &audience);
    int status = text ? pusherc_render_payload(render, pusherc_slice_of(text)) : -1;
    free(text);
    return status == 0 ? PUSHERC_RENDER_REPLACED : PUSHERC_RENDER_NOTHING;
}

int audience_add_rules(struct program *program, pusherc_errinfo *info)
{
    static const struct {
        const char *pattern;
        pusherc_authorize_fn authorize;
        pusherc_render_fn render;
        uint32_t kinds;
    } rules[] = {
        {"readings", decide_all, render, PUSHERC_RULE_PUBLIC},
        {"gateways", decide_all, render, PUSHERC_RULE_PUBLIC},
        {"gateway.{id}", decide_gateway, render, PUSHERC_RULE_PUBLIC},
        {"user.{id}", decide_user, NULL, PUSHERC_RULE_PRIVATE},
        {"replay.{id}", decide_replay, NULL, PUSHERC_RULE_PRIVATE},
    };
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof rules / sizeof rules[0]; i++) {
        pusherc_rule rule = PUSHERC_RULE_INIT;
        rule.pattern = rules[i].pattern;
        rule.authorize = rules[i].authorize;
        rule.render = rules[i].render;
        rule.kinds = rules[i].kinds;
        rule.user_data = program;
        status = pusherc_server_add_rule(program->server, &rule, info);
    }
    return status;
}
