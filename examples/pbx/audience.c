#include "audience.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/say.h"

#define GRACE_MS      3000 /* a reload is not leaving */
#define SAID_A_SECOND 10

static const char signed_out[] = "Please sign in";
static const char no_token[] = "Not signed in: the token is ";
static const char over[] = "Your token has expired or was revoked";
static const char foreign[] = "You are not in this organization";
static const char not_yours[] = "This is not yours";

/* -- who -- */

#define PERSON                                                                                     \
    "SELECT p.user_id, p.organization_id, p.role, p.active, u.name, u.email, p.role = 'admin' "    \
    "admin, p.role = 'operator' operator"

static void read_person(const cJSON *row, struct person *out)
{
    *out = (struct person){.user_id = row_int(row, "user_id"),
                           .organization_id = row_int(row, "organization_id"),
                           .admin = row_int(row, "admin") == 1,
                           .operator= row_int(row, "operator") == 1,
                           .active = row_int(row, "active") == 1};
    snprintf(out->name, sizeof out->name, "%s", row_text(row, "name"));
}

void person_of(struct program *program, const pusherc_http_request *request,
               struct session *session, struct person *out)
{
    accounts_find(program, request, session);
    cJSON *row = store_row(program->store,
                           PERSON " FROM people p JOIN users u ON u.id = p.user_id"
                                  " WHERE p.user_id = ?",
                           VALUES(INT(session->user_id)));
    read_person(row, out);
    cJSON_Delete(row);
}

bool person_is_in(struct program *program, pusherc_http_request *request, struct session *session,
                  struct person *out)
{
    person_of(program, request, session, out);
    bool in = out->active && out->organization_id != 0;
    if (!in)
        http_send_error(request, session->user_id ? 403 : 401,
                        session->user_id ? "You are in no organization." : "Please sign in.");
    return in;
}

void audience_identify(pusherc_identify_request *request, void *user_data)
{
    struct program *program = user_data;
    char reason[96];
    pusherc_slice bearer = pusherc_identify_bearer(request);
    bool connects = pusherc_identify_purpose_of(request) == PUSHERC_IDENTIFY_CONNECT;
    const char *fault = bearer.len ? accounts_bearer_fault(program, bearer) : "missing";
    if (!bearer.len && connects) {
        pusherc_identify_accept(request, NULL); /* it may sign in later */
    } else if (!fault) {
        accounts_identify(request, program);
    } else {
        snprintf(reason, sizeof reason, "%s%s", no_token, fault);
        pusherc_identify_reject(request, 4009, reason);
    }
}

/* -- which channels -- */

/* The person behind a session, with the time that is left of it; NULL: it is over. */
static cJSON *find_person(struct program *program, pusherc_slice session)
{
    return store_row(program->store,
                     PERSON ", s.expires_at FROM sessions s JOIN people p USING (user_id)"
                            " JOIN users u ON u.id = s.user_id"
                            " WHERE s.token_hash = ? AND s.expires_at > unixepoch()",
                     VALUES(SLICE(session)));
}

static char *describe(const cJSON *row)
{
    char id[24];
    cJSON *info = cJSON_CreateObject();
    snprintf(id, sizeof id, "%" PRId64, row_int(row, "user_id"));
    cJSON_AddStringToObject(info, "id", id);
    cJSON_AddStringToObject(info, "name", row_text(row, "name"));
    cJSON_AddStringToObject(info, "role", row_text(row, "role"));
    cJSON_AddStringToObject(info, "email", row_text(row, "email")); /* the view takes it out */
    char *text = cJSON_PrintUnformatted(info);
    cJSON_Delete(info);
    return text;
}

static void allow(pusherc_auth_request *request, const cJSON *row)
{
    char id[24];
    char *info = describe(row);
    int64_t left_ms = row_int(row, "expires_at") * 1000 - now_ms();
    pusherc_grant grant = PUSHERC_GRANT_INIT;
    snprintf(id, sizeof id, "%" PRId64, row_int(row, "user_id"));
    grant.user_id = pusherc_slice_of(id);
    grant.user_info_json = pusherc_slice_of(info ? info : "{}");
    grant.view = pusherc_slice_of(row_int(row, "admin") ? "admin" : "member");
    grant.expires_in_ms = left_ms > 0 ? (uint32_t)left_ms + 1 : 1;
    pusherc_auth_allow(request, &grant);
    cJSON_free(info);
}

/* As text: "01" is not "1". */
static bool is_id(pusherc_slice text, int64_t id)
{
    char right[24];
    snprintf(right, sizeof right, "%" PRId64, id);
    return id && pusherc_slice_equal(text, pusherc_slice_of(right));
}

static void decide(pusherc_auth_request *request, struct program *program, bool of_user)
{
    pusherc_slice session = pusherc_auth_user_id(request);
    cJSON *row = session.len ? find_person(program, session) : NULL;
    pusherc_slice id = pusherc_auth_param(request, "id");
    if (!row)
        pusherc_auth_deny(request, session.len ? 403 : 401, session.len ? over : signed_out);
    else if (!row_int(row, "active") ||
             !is_id(id, row_int(row, of_user ? "user_id" : "organization_id")))
        pusherc_auth_deny(request, 403, of_user ? not_yours : foreign);
    else
        allow(request, row);
    cJSON_Delete(row);
}

static void decide_organization(pusherc_auth_request *request, void *user_data)
{
    decide(request, user_data, false);
}

static void decide_user(pusherc_auth_request *request, void *user_data)
{
    decide(request, user_data, true);
}

int audience_add_rules(struct program *program, pusherc_errinfo *info)
{
    static const struct {
        const char *pattern;
        pusherc_authorize_fn authorize;
        uint32_t kinds;
        bool views;
    } rules[] = {
        {"presence.org.{id}", decide_organization, PUSHERC_RULE_PUBLIC | PUSHERC_RULE_PRESENCE,
         true},
        {"org.{id}", decide_organization, PUSHERC_RULE_PRESENCE, true},
        {"user.{id}", decide_user, PUSHERC_RULE_PRIVATE, false},
    };
    static const pusherc_slice hidden[] = {PUSHERC_LIT("email")};
    pusherc_redaction views[2] = {PUSHERC_REDACTION_INIT, PUSHERC_REDACTION_INIT};
    views[0].view = pusherc_slice_of("admin");
    views[1].view = pusherc_slice_of("member");
    views[1].members = hidden;
    views[1].member_count = 1;
    int status = 0;
    for (size_t i = 0; status == 0 && i < sizeof rules / sizeof rules[0]; i++) {
        pusherc_rule rule = PUSHERC_RULE_INIT;
        rule.pattern = rules[i].pattern;
        rule.authorize = rules[i].authorize;
        rule.kinds = rules[i].kinds;
        rule.user_data = program;
        rule.presence_grace_ms = GRACE_MS;
        rule.redactions = rules[i].views ? views : NULL;
        rule.redaction_count = rules[i].views ? 2 : 0;
        status = pusherc_server_add_rule(program->server, &rule, info);
    }
    return status;
}

/* -- asking again -- */

/* A user may have more sessions than one call takes. */
struct asking {
    size_t waits;
    void (*done)(void *user_data);
    void *user_data;
};

static void one_asked(uint64_t kept, uint64_t revoked, void *user_data)
{
    (void)kept, (void)revoked;
    struct asking *asking = user_data;
    if (--asking->waits > 0)
        return;
    if (asking->done)
        asking->done(asking->user_data);
    free(asking);
}

/* Up to as many sessions as one call takes. */
static void ask_some(struct program *program, struct asking *asking, const cJSON **row)
{
    pusherc_grant_match matches[PUSHERC_MAX_GRANT_MATCHES];
    size_t count = 0;
    for (; *row && count < PUSHERC_MAX_GRANT_MATCHES; *row = (*row)->next, count++) {
        matches[count] = (pusherc_grant_match)PUSHERC_GRANT_MATCH_INIT;
        matches[count].user_id = pusherc_slice_of(row_text(*row, "token_hash"));
        if (count > 0)
            matches[count - 1].next = &matches[count];
    }
    if (count == 0)
        return;
    asking->waits++;
    int status = pusherc_reauthorize(program->server, program->app_id, matches, one_asked, asking);
    if (status != 0) {
        say("listeners not asked for again: %s", pusherc_strerror(status));
        asking->waits--;
    }
}

cJSON *audience_sessions(struct program *program, int64_t user_id)
{
    return store_rows(program->store, "SELECT token_hash FROM sessions WHERE user_id = ?",
                      VALUES(INT(user_id)));
}

void audience_ask_again(struct program *program, cJSON *sessions, void (*done)(void *user_data),
                        void *user_data)
{
    struct asking *asking = calloc(1, sizeof *asking);
    const cJSON *row = sessions ? sessions->child : NULL;
    if (asking) {
        *asking = (struct asking){.waits = 1, .done = done, .user_data = user_data};
        while (row)
            ask_some(program, asking, &row);
        one_asked(0, 0, asking);
    } else if (done) {
        done(user_data);
    }
    cJSON_Delete(sessions);
}

/* -- why not -- */

void say_seldom(struct pbx *pbx, const char *format, ...)
{
    char text[512];
    int64_t second = now_ms() / 1000;
    va_list values;
    if (second != pbx->said_second) {
        if (pbx->said > SAID_A_SECOND)
            say("and %u lines of that kind more", pbx->said - SAID_A_SECOND);
        pbx->said_second = second;
        pbx->said = 0;
    }
    if (++pbx->said > SAID_A_SECOND)
        return;
    va_start(values, format);
    vsnprintf(text, sizeof text, format, values);
    va_end(values);
    say("%s", text);
}

/* The cause, for who looks after a page that gets 403. */
static const char *cause_of(const pusherc_denial *denial)
{
    switch (denial->reason) {
    case PUSHERC_DENIED_NO_USER:
    case PUSHERC_DENIED_COOKIE_IDENTITY:
        return "not signed in";
    case PUSHERC_DENIED_BAD_SIGNATURE:
    case PUSHERC_DENIED_NO_SIGNATURE:
        return "signature";
    case PUSHERC_DENIED_LIMIT:
        return "a limit of the app";
    default:
        break;
    }
    if (memmem(denial->detail.ptr, denial->detail.len, foreign, sizeof foreign - 1))
        return "wrong organization";
    if (memmem(denial->detail.ptr, denial->detail.len, over, sizeof over - 1) ||
        memmem(denial->detail.ptr, denial->detail.len, no_token, sizeof no_token - 1))
        return "not signed in";
    return "the rule said no";
}

void audience_denied(const pusherc_denial *denial, void *user_data)
{
    struct program *program = user_data;
    if (denial->reason == PUSHERC_DENIED_NO_USER && denial->status == 401 && !program->trace)
        return; /* it is told to sign in, as stock clients do next */
    say_seldom(program->own, "refused: %s: %.*s: %.*s (%d %s)", cause_of(denial),
               denial->channel.len ? (int)denial->channel.len : 12,
               denial->channel.len ? denial->channel.ptr : "a connection", (int)denial->detail.len,
               denial->detail.ptr ? denial->detail.ptr : "", denial->status,
               pusherc_denial_name(denial->reason));
}
