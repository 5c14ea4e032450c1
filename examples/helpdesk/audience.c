#include "audience.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

#define INFO_BYTES 640

/* -- who -- */

/* Of the session ?1. Numbers of channels are compared as text: "012" and "12abc" are none. */
#define PERSON                                                                                     \
    " FROM sessions s JOIN persons p ON p.id = s.user_id"                                          \
    " WHERE s.token_hash = ?1 AND s.expires_at > unixepoch()"
#define MEMBER                                                                                     \
    "CAST(p.id AS TEXT) user_id, json_object('id', p.id, 'name', p.name, 'role', p.role) info"
#define HAS_VIEW "iif(p.role = 'customer', 'customer', 'agent')"

static const char user_sql[] =
    "SELECT " MEMBER ", iif(CAST(p.id AS TEXT) = ?2, " HAS_VIEW ", '') view" PERSON;
static const char office_sql[] =
    "SELECT " MEMBER ", iif((p.role = 'admin' AND EXISTS (SELECT 1 FROM offices o"
    "  WHERE CAST(o.id AS TEXT) = ?2))"
    " OR (p.role = 'agent' AND EXISTS (SELECT 1 FROM office_people o WHERE o.user_id = p.id"
    "  AND CAST(o.office_id AS TEXT) = ?2)), 'agent', '') view" PERSON;
/* Of all questions at once: ?1 is an array of [session, uuid]. */
static const char tickets_sql[] =
    "SELECT CAST(p.user_id AS TEXT) user_id, json_object('id', p.user_id, 'name', u.name,"
    "  'role', p.role) info, coalesce((SELECT a.audience FROM access a WHERE a.uuid = q.value ->> 1"
    "  AND a.user_id = p.user_id), '') view FROM json_each(?1) q"
    " LEFT JOIN sessions s ON s.token_hash = q.value ->> 0 AND s.expires_at > unixepoch()"
    " LEFT JOIN people p ON p.user_id = s.user_id LEFT JOIN users u ON u.id = p.user_id"
    " ORDER BY q.key";

/* `row`: user_id, info and view of who asks; NULL, or without a user: the client has not signed in. */
static void answer(struct program *program, pusherc_auth_request *request, const cJSON *row)
{
    pusherc_slice channel = pusherc_auth_channel(request);
    const char *view = row_text(row, "view");
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    grant.user_id = pusherc_slice_of(row_text(row, "user_id"));
    grant.user_info_json = pusherc_slice_of(row_text(row, "info"));
    grant.view = pusherc_slice_of(view);
    if (program->trace)
        fprintf(stderr, "broadcast: %.*s: %s%s %s\n", (int)channel.len, channel.ptr,
                *view ? "for " : "not for user", view, row_text(row, "user_id"));
    if (*view)
        pusherc_auth_allow(request, &grant);
    else if (grant.user_id.len > 0)
        pusherc_auth_deny(request, 403, "This is not yours");
    else
        pusherc_auth_deny(request, 401, "Please sign in");
}

static void decide(struct program *program, pusherc_auth_request *request, const char *sql,
                   const char *name)
{
    pusherc_slice session = pusherc_auth_user_id(request);
    cJSON *row = store_row(
        program->store, sql,
        VALUES(session.len ? SLICE(session) : TEXT(""), SLICE(pusherc_auth_param(request, name))));
    answer(program, request, row);
    cJSON_Delete(row);
}

static void decide_user(pusherc_auth_request *request, void *user_data)
{
    decide(user_data, request, user_sql, "userId");
}

static void decide_office(pusherc_auth_request *request, void *user_data)
{
    decide(user_data, request, office_sql, "officeId");
}

static void add_text(cJSON *array, pusherc_slice slice)
{
    char text[256];
    http_copy(text, sizeof text, slice);
    cJSON_AddItemToArray(array, cJSON_CreateString(text));
}

/* A page with forty tickets asks forty questions, and one query answers them. */
static void decide_tickets(pusherc_auth_request *const *requests, size_t count, void *user_data)
{
    struct program *program = user_data;
    cJSON *questions = cJSON_CreateArray();
    for (size_t i = 0; i < count; i++) {
        cJSON *question = cJSON_CreateArray();
        add_text(question, pusherc_auth_user_id(requests[i]));
        add_text(question, pusherc_auth_param(requests[i], "uuid"));
        cJSON_AddItemToArray(questions, question);
    }
    desk_of(program)->batches++;
    desk_of(program)->questions += count;
    char *text = cJSON_PrintUnformatted(questions);
    cJSON *rows = store_rows(program->store, tickets_sql, VALUES(TEXT(text ? text : "[]")));
    const cJSON *row = rows ? rows->child : NULL;
    for (size_t i = 0; i < count; i++, row = row ? row->next : NULL)
        answer(program, requests[i], row);
    cJSON_Delete(rows);
    cJSON_free(text);
    cJSON_Delete(questions);
}

/* -- what of an event -- */

enum place {
    PLACE_TICKET,
    PLACE_USER,
    PLACE_OFFICE
};

static bool is_true(const cJSON *object, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, name));
}

static bool is_false(const cJSON *object, const char *name)
{
    return cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(object, name));
}

static void keep(cJSON *to, cJSON *from, const char *name)
{
    cJSON *item = cJSON_DetachItemFromObjectCaseSensitive(from, name);
    if (item)
        cJSON_AddItemToObject(to, name, item);
}

/* A whisper says that its sender types, and nothing else: what a page puts beside that goes nowhere. */
static cJSON *of_whisper(cJSON *data, bool customer)
{
    if (!cJSON_IsObject(data) || (customer && !is_false(data, "internal")))
        return NULL;
    cJSON *out = cJSON_CreateObject();
    keep(out, data, "typing");
    keep(out, data, "internal");
    if (is_true(data, "ended"))
        cJSON_AddBoolToObject(out, "ended", true);
    return out;
}

/* Events that customers hear at all. The others, and events that are not ours, are the agents'. */
static bool is_for_customers(pusherc_slice event, const cJSON *data, const cJSON *extra)
{
    static const char *const names[] = {"ticket.reply.created",
                                        "ticket.updated",
                                        "ticket.status.changed",
                                        "ticket.reply.delivered",
                                        "ticket.reply.read",
                                        "user.updated",
                                        "desk.echo"};
    size_t i = 0;
    while (i < sizeof names / sizeof names[0] &&
           !pusherc_slice_equal(event, pusherc_slice_of(names[i])))
        i++;
    if (i == sizeof names / sizeof names[0] || !is_false(extra, "internal"))
        return false;
    return i > 0 || is_false(cJSON_GetObjectItemCaseSensitive(data, "reply"), "is_internal");
}

/* "for" says to whom an event goes, and is no part of it: whether it is internal, what a customer sees as the revision, and
 * the initials of a user who shows no more to the office. */
static void shorten_name(cJSON *data, const cJSON *extra)
{
    const cJSON *initials = cJSON_GetObjectItemCaseSensitive(extra, "initials");
    cJSON *users[] = {
        cJSON_GetObjectItemCaseSensitive(data, "user"),
        cJSON_GetObjectItemCaseSensitive(cJSON_GetObjectItemCaseSensitive(data, "reply"), "user")};
    for (size_t i = 0; cJSON_IsString(initials) && i < 2; i++) {
        if (cJSON_HasObjectItem(users[i], "name"))
            cJSON_ReplaceItemInObjectCaseSensitive(users[i], "name",
                                                   cJSON_CreateString(initials->valuestring));
    }
}

static cJSON *of_event(pusherc_slice event, cJSON *data, bool customer, enum place place)
{
    cJSON *extra = cJSON_DetachItemFromObjectCaseSensitive(data, "for");
    bool seen = cJSON_IsObject(data) && (!customer || is_for_customers(event, data, extra));
    cJSON *revision = cJSON_GetObjectItemCaseSensitive(data, "revision");
    if (seen && customer && revision)
        cJSON_SetNumberHelper(revision, (double)row_int(extra, "public_revision"));
    if (seen && place == PLACE_OFFICE)
        shorten_name(data, extra);
    cJSON_Delete(extra);
    return seen ? data : NULL;
}

static pusherc_render_verdict render(pusherc_render *call, enum place place)
{
    pusherc_slice event = pusherc_render_event(call);
    pusherc_slice text = pusherc_render_data(call);
    bool customer = !pusherc_slice_equal(pusherc_render_view(call), pusherc_slice_of("agent"));
    if (pusherc_slice_equal(event, pusherc_slice_of(PUSHERC_RENDER_MEMBER)))
        return PUSHERC_RENDER_SAME;
    cJSON *data = cJSON_ParseWithLength(text.ptr, text.len);
    bool whisper = pusherc_slice_equal(event, pusherc_slice_of("client-typing"));
    bool other =
        event.len > 7 && memcmp(event.ptr, "client-", 7) == 0; /* no page of ours sends it */
    cJSON *shown = whisper ? of_whisper(data, customer)
                   : other ? NULL
                           : of_event(event, data, customer, place);
    char *out = shown ? cJSON_PrintUnformatted(shown) : NULL;
    int status = out ? pusherc_render_payload(call, pusherc_slice_of(out)) : -1;
    cJSON_free(out);
    if (shown != data)
        cJSON_Delete(shown);
    cJSON_Delete(data);
    return status == 0 ? PUSHERC_RENDER_REPLACED : PUSHERC_RENDER_NOTHING;
}

static pusherc_render_verdict render_ticket(pusherc_render *call, void *user_data)
{
    (void)user_data;
    return render(call, PLACE_TICKET);
}

static pusherc_render_verdict render_user(pusherc_render *call, void *user_data)
{
    (void)user_data;
    return render(call, PLACE_USER);
}

static pusherc_render_verdict render_office(pusherc_render *call, void *user_data)
{
    (void)user_data;
    return render(call, PLACE_OFFICE);
}

int audience_add_rules(struct program *program, pusherc_errinfo *info)
{
    const pusherc_rule rules[] = {
        {.struct_size = sizeof rules[0],
         .pattern = "tickets.{uuid}",
         .authorize_batch = decide_tickets,
         .render = render_ticket,
         .kinds = PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE},
        {.struct_size = sizeof rules[0],
         .pattern = "user.{userId}",
         .authorize = decide_user,
         .render = render_user,
         .kinds = PUSHERC_RULE_PRIVATE},
        {.struct_size = sizeof rules[0],
         .pattern = "office.{officeId}",
         .authorize = decide_office,
         .render = render_office,
         .kinds = PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE},
    };
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof rules / sizeof rules[0]; i++) {
        pusherc_rule rule = rules[i];
        rule.user_data = program;
        status = pusherc_server_add_rule(program->server, &rule, info);
    }
    return status;
}

/* -- asking again -- */

struct waiting {
    pusherc_http_request *request;
    char location[64];
};

static void asked_again(uint64_t kept, uint64_t revoked, void *user_data)
{
    struct waiting *waiting = user_data;
    (void)kept;
    (void)revoked;
    if (!waiting)
        return;
    if (http_wants_json(waiting->request))
        http_send(waiting->request, &(struct http_answer){.status = 204});
    else
        http_redirect(waiting->request, waiting->location, NULL);
    free(waiting);
}

/* The sessions of the user: each is a user to the library. How many matches that are. */
static size_t match_sessions(struct program *program, int64_t user_id, cJSON **rows,
                             pusherc_grant_match *matches, size_t room)
{
    const cJSON *row;
    size_t count = 0;
    *rows = store_rows(program->store,
                       "SELECT token_hash FROM sessions WHERE user_id = ?"
                       " AND expires_at > unixepoch() ORDER BY expires_at DESC",
                       VALUES(INT(user_id)));
    cJSON_ArrayForEach(row, *rows)
    {
        if (count < room) {
            matches[count] = (pusherc_grant_match)PUSHERC_GRANT_MATCH_INIT;
            matches[count++].user_id = pusherc_slice_of(row_text(row, "token_hash"));
        }
    }
    /* More of them than one call names: everything is asked again. */
    if (*rows && (size_t)cJSON_GetArraySize(*rows) > room) {
        matches[0].user_id = (pusherc_slice){0};
        count = 1;
    }
    return count;
}

void audience_changed(struct program *program, int64_t user_id, const char *uuid,
                      pusherc_http_request *request, const char *location)
{
    static const size_t room = PUSHERC_MAX_GRANT_MATCHES - 1;
    pusherc_grant_match matches[PUSHERC_MAX_GRANT_MATCHES];
    char pattern[64];
    cJSON *rows = NULL;
    size_t count = user_id ? match_sessions(program, user_id, &rows, matches, room) : 0;
    if (!user_id || uuid) {
        snprintf(pattern, sizeof pattern, "tickets.%s", uuid && *uuid ? uuid : "{uuid}");
        matches[count] = (pusherc_grant_match)PUSHERC_GRANT_MATCH_INIT;
        matches[count++].channel_pattern = pusherc_slice_of(pattern);
    }
    for (size_t i = 0; i + 1 < count; i++)
        matches[i].next = &matches[i + 1];
    struct waiting *waiting = request ? calloc(1, sizeof *waiting) : NULL;
    if (waiting) {
        waiting->request = request;
        snprintf(waiting->location, sizeof waiting->location, "%s", location ? location : "/");
    }
    int status = count == 0            ? PUSHERC_ENOENT
                 : request && !waiting ? PUSHERC_ENOMEM
                                       : pusherc_reauthorize(program->server, program->app_id,
                                                             matches, asked_again, waiting);
    if (status == PUSHERC_ENOENT && count == 0) {
        asked_again(0, 0, waiting); /* the user is not signed in anywhere */
    } else if (status != 0) {
        say("listeners not asked again: %s", pusherc_strerror(status));
        free(waiting);
        if (request)
            http_send_error(request, 500, "Open pages could not be told. Please try again.");
    }
    cJSON_Delete(rows);
}
