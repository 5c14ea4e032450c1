/*
 * How a client enters. Admission needs up to three answers from elsewhere, in this order: which app has the key (hook
 * `find_app`), may the app have one more connection (pc_engine.permits), which user is the client (hook `identify`).
 * Each is a step that may make the connection wait; `struct entry` holds the state meanwhile. Every way ends in
 * open_session() or turn_away(), or in abandon() if the client leaves, and each of them frees it.
 */
#include "net/entrance.h"

#include <pusherc/error.h>

#include "net/ask.h"
#include "protocol/close.h"
#include "session/app_request.h"
#include "session/seats.h"

#define SHOWN_BYTES 100 /* in log lines, of what a client sent */

struct entry {
    struct pc_conn *conn;
    const struct pc_http_message *request;
    const struct pc_entrance *entrance;
    struct pc_admission admission;
};

static void entry_free(struct entry *u)
{
    pc_newcomer_free(&u->admission.newcomer);
    pc_app_unref(u->admission.refused_by);
    pc_free(u->conn->loop->worker->mem, u);
}

static void abandon(struct pc_conn *conn, void *of)
{
    (void)conn;
    entry_free(of);
}

/* The operator may have to set something: a proxy's path, allowed_origins, a limit. Not while the server
 * stops: then nothing has to be set. */
static void log_refusal(struct pc_conn *conn, const struct pc_http_message *request,
                        const struct pc_app *app, uint16_t code, pusherc_slice reason)
{
    struct pc_engine *engine = conn->loop->engine;
    pusherc_slice path = pc_slice_first(request->path, SHOWN_BYTES), below;
    pusherc_slice origin = pc_slice_first(pc_http_field(request, PC_S("Origin")), SHOWN_BYTES);
    pusherc_slice version =
        pc_slice_first(pc_query_value(request->query, PC_S("protocol")), SHOWN_BYTES);
    bool versioned = code == PC_CLOSE_BAD_VERSION || code == PC_CLOSE_UNSUPPORTED_VERSION;
    bool doubled = code == PC_CLOSE_PATH_NOT_FOUND &&
                   pc_strip_prefix(engine, request->path, &below) &&
                   pc_slice_starts(below, PC_S("/app/app/"));
    struct pc_log_about about = {.subject = "ws", .topic = code};
    if (app)
        about.app_id = app->id;
    if (code == PC_CLOSE_RECONNECT && !pc_log_wants(&engine->log, PUSHERC_LOG_DEBUG))
        return;
    PC_LOG(&engine->log, INFO, about, "connection to \"%.*s\" refused, %u %.*s%s%.*s%s%s%.*s%s%s",
           (int)path.len, path.ptr, code, (int)reason.len, reason.ptr,
           versioned ? "; it asked for version \"" : "", versioned ? (int)version.len : 0,
           version.len ? version.ptr : "", versioned ? "\"" : "",
           origin.len ? "; its Origin is \"" : "; it has no Origin", (int)origin.len,
           origin.len ? origin.ptr : "", origin.len ? "\"" : "",
           doubled ? "; the client's wsPath is to be set without \"/app\"" : "");
}

/* Refuses the client and frees `u`. app NULL = the client named no known app. */
static void turn_away(struct entry *u, const struct pc_app *app, uint16_t code,
                      pusherc_slice reason)
{
    log_refusal(u->conn, u->request, app, code, reason);
    pc_engine_note(u->conn->loop->engine, u->conn->loop->worker,
                   &(struct pc_happening){.kind = PC_HAPPENED_DENIAL,
                                          .app_id = app ? app->id : PC_S(""),
                                          .status = code,
                                          .name = PC_S("connection"),
                                          .detail = reason});
    u->entrance->turn_away(u->conn, u->request, app, code, reason);
    entry_free(u);
}

static void wait_for(struct entry *u, const struct pc_http_waiting *how)
{
    pc_http_wait(u->conn, how, u, u->request, u->conn->loop->engine->options.identify_timeout_ms);
}

/* -- which user is this? -- */

/* Counts a denial and reports it to the host's hook on_denied. */
static void tell_denied(struct pc_conn *conn, struct pc_app *app, pusherc_denial_reason reason,
                        uint16_t code, pusherc_slice text)
{
    const pusherc_hooks *hooks = conn->loop->worker->hooks;
    pusherc_denial denial = {.struct_size = sizeof denial,
                             .reason = reason,
                             .app_id = app->id,
                             .status = code,
                             .detail = text};
    pc_stat_add_shared(&app->state->refusals.denials[reason], 1);
    if (hooks->on_denied)
        hooks->on_denied(&denial, hooks->user_data);
}

static void deny(struct entry *u, pusherc_denial_reason reason, uint16_t code, pusherc_slice text)
{
    struct pc_conn *conn = u->conn;
    struct pc_app *app = u->admission.newcomer.app;
    pc_app_ref(app);
    turn_away(u, app, code, text);
    tell_denied(conn, app, reason, code, text);
    pc_app_unref(app);
}

static void open_session(struct entry *u, uint32_t expires_in_ms)
{
    struct pc_conn *conn = u->conn;
    struct pc_app *app = u->admission.newcomer.app;
    pc_app_ref(app);
    int err = u->entrance->open(conn, u->request, &u->admission.newcomer, expires_in_ms);
    u->admission.newcomer = (struct pc_newcomer){0}; /* taken over */
    if (err == PUSHERC_ELIMIT)
        tell_denied(conn, app, PUSHERC_DENIED_LIMIT, PC_CLOSE_OVER_QUOTA, PC_S(PC_USER_OVER_QUOTA));
    pc_app_unref(app);
    entry_free(u);
}

static void identified(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    struct entry *u = of;
    struct pusherc_identify_request *r = pc_identify_of(answer);
    pc_ask_give_back(&r->ask, conn);
    if (r->reject_code) {
        deny(u, r->cookie_refused ? PUSHERC_DENIED_COOKIE_IDENTITY : PUSHERC_DENIED_BY_RULE,
             r->reject_code, pc_slice_of(r->reject_reason));
        return;
    }
    u->admission.newcomer.identity = r->identity;
    r->identity = NULL;
    open_session(u, r->expires_in_ms);
}

static void identify_is_late(struct pc_conn *conn, void *of)
{
    (void)conn;
    deny(of, PUSHERC_DENIED_TIMEOUT, PC_CLOSE_UNAUTHORIZED,
         PC_S("The application did not answer in time"));
}

static void identify(struct entry *u)
{
    static const struct pc_http_waiting waiting = {
        .resume = identified, .too_late = identify_is_late, .abandon = abandon};
    struct pc_engine *engine = u->conn->loop->engine;
    struct pc_app *app = u->admission.newcomer.app;
    if (!engine->hooks.identify) {
        open_session(u, 0);
        return;
    }
    struct pusherc_identify_request *r;
    int err = pc_identify_new(&r, u->conn, u->request, app);
    if (err == PUSHERC_ELIMIT) {
        deny(u, PUSHERC_DENIED_LIMIT, PC_CLOSE_OVER_CAPACITY, PC_S(PC_ASK_TOO_MANY));
        return;
    }
    if (err) {
        turn_away(u, app, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
        return;
    }
    wait_for(u, &waiting);
    pc_identify_ask(r);
}

/* -- may the app have one more connection? -- */

static void permitted(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    const struct pc_permit *permit = PC_CONTAINER(answer, struct pc_permit, pending);
    struct entry *u = of;
    (void)conn;
    if (permit->code)
        turn_away(u, u->admission.newcomer.app, permit->code, pc_slice_of(permit->reason));
    else
        identify(u);
}

static void permit_is_late(struct pc_conn *conn, void *of)
{
    struct entry *u = of;
    (void)conn;
    turn_away(u, u->admission.newcomer.app, PC_CLOSE_OVER_CAPACITY,
              PC_S("The connection could not be counted in time"));
}

static void ask_for_permit(struct entry *u, pusherc_slice address)
{
    static const struct pc_http_waiting waiting = {
        .resume = permitted, .too_late = permit_is_late, .abandon = abandon};
    const struct pc_permits *permits = &u->conn->loop->engine->permits;
    struct pc_app *app = u->admission.newcomer.app;
    int err = permits->ask ? permits->ask(permits->ctx, u->conn->loop->worker, app, address,
                                          pc_http_await(u->conn))
                           : 0;
    if (err < 0)
        turn_away(u, app, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    else if (err)
        wait_for(u, &waiting);
    else
        identify(u);
}

/* -- which app is this? -- */

static void ask_for_app(struct entry *u, struct pc_address address);

static void admit(struct entry *u, bool may_ask)
{
    struct pc_engine *engine = u->conn->loop->engine;
    struct pc_address client =
        pc_client_address(u->conn->fd, u->request, engine->options.proxy_count);
    pusherc_slice address = pc_address_network(&client);
    enum pc_admit_result result =
        pc_admit_app(engine, u->request, u->conn->tls != NULL, address, &u->admission);
    u->admission.newcomer.address = client;
    if (result == PC_ADMIT_OK)
        ask_for_permit(u, address);
    else if (result == PC_ADMIT_UNKNOWN_APP && may_ask)
        ask_for_app(u, client);
    else
        turn_away(u, u->admission.refused_by, u->admission.code, pc_slice_of(u->admission.reason));
}

static void app_answered(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    (void)conn;
    (void)answer; /* if the host knows the app, it has added it before it answered */
    admit(of, false);
}

static void app_is_late(struct pc_conn *conn, void *of)
{
    (void)conn;
    turn_away(of, NULL, PC_CLOSE_UNAUTHORIZED, PC_S("The application did not answer in time"));
}

static void ask_for_app(struct entry *u, struct pc_address address)
{
    static const struct pc_http_waiting waiting = {
        .resume = app_answered, .too_late = app_is_late, .abandon = abandon};
    pusherc_slice key = pc_slice(u->admission.key, u->admission.key_len);
    struct pc_conn *conn = u->conn;
    struct pusherc_app_request *r;
    int err = pc_find_app_new(&r, conn->loop->worker, pc_http_await(conn), address, PC_S(""), key);
    if (err == 0) {
        wait_for(u, &waiting);
        pc_find_app_ask(r);
    } else if (err == PUSHERC_ENOENT) {
        turn_away(u, NULL, u->admission.code, pc_slice_of(u->admission.reason));
    } else if (err == PUSHERC_ELIMIT) {
        turn_away(u, NULL, PC_CLOSE_OVER_CAPACITY, PC_S(PC_FIND_APP_TOO_MANY));
    } else {
        turn_away(u, NULL, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
    }
}

void pc_enter(struct pc_conn *conn, const struct pc_http_message *request, pusherc_slice key,
              const struct pc_entrance *entrance)
{
    struct entry *u = pc_alloc_zero(conn->loop->worker->mem, sizeof *u);
    if (!u) {
        entrance->turn_away(conn, request, NULL, PC_CLOSE_INTERNAL,
                            pc_close_text(PC_CLOSE_INTERNAL));
        return;
    }
    u->conn = conn;
    u->request = request;
    u->entrance = entrance;
    pc_conn_count_client(conn);
    if (pc_admit_request(conn->loop->engine, request, key, &u->admission) == PC_ADMIT_OK)
        admit(u, true);
    else
        turn_away(u, NULL, u->admission.code, pc_slice_of(u->admission.reason));
}
