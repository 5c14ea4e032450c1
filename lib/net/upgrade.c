/*
 * How an upgrade works. Admission needs up to three answers from elsewhere, in this order: which app has the key (hook
 * `find_app`), may the app have one more connection (pc_engine.permits), which user is the client (hook `identify`).
 * Each is a step that may make the connection wait; `struct upgrade` holds the state meanwhile. Every way ends in
 * open_session() or turn_away(), or in abandon() if the client leaves, and each of them frees it.
 */
#include "net/upgrade.h"

#include <pusherc/error.h>

#include "net/ask.h"
#include "net/ws_conn.h"
#include "session/app_request.h"

struct upgrade {
    struct pc_conn *conn;
    const struct pc_http_message *request;
    struct pc_admission admission;
};

static void upgrade_free(struct upgrade *u)
{
    pc_newcomer_free(&u->admission.newcomer);
    pc_app_unref(u->admission.refused_by);
    pc_free(u->conn->loop->worker->mem, u);
}

static void abandon(struct pc_conn *conn, void *of)
{
    (void)conn;
    upgrade_free(of);
}

/* Refuses the client and frees `u`. app NULL = the client named no known app. */
static void turn_away(struct upgrade *u, const struct pc_app *app, uint16_t code,
                      pusherc_slice reason)
{
    pc_ws_conn_turn_away(u->conn, u->request, app, code, reason);
    upgrade_free(u);
}

static void wait_for(struct upgrade *u, const struct pc_http_waiting *how)
{
    pc_http_wait(u->conn, how, u, u->request, u->conn->loop->engine->options.identify_timeout_ms);
}

/* -- which user is this? -- */

/* Counts a denial and reports it to the host's hook on_denied. */
static void tell_denied(struct pc_conn *conn, struct pc_app *app, pusherc_denial_reason reason,
                        uint16_t code, pusherc_slice text)
{
    const pusherc_hooks *hooks = &conn->loop->engine->hooks;
    pusherc_denial denial = {.struct_size = sizeof denial,
                             .reason = reason,
                             .app_id = app->id,
                             .status = code,
                             .detail = text};
    pc_stat_add_shared(&app->state->refusals.denials[reason], 1);
    if (hooks->on_denied)
        hooks->on_denied(&denial, hooks->user_data);
}

static void deny(struct upgrade *u, pusherc_denial_reason reason, uint16_t code, pusherc_slice text)
{
    struct pc_conn *conn = u->conn;
    struct pc_app *app = u->admission.newcomer.app;
    pc_app_ref(app);
    turn_away(u, app, code, text);
    tell_denied(conn, app, reason, code, text);
    pc_app_unref(app);
}

static void open_session(struct upgrade *u, uint32_t expires_in_ms)
{
    struct pc_conn *conn = u->conn;
    struct pc_app *app = u->admission.newcomer.app;
    pc_app_ref(app);
    int err = pc_ws_conn_open(conn, u->request, &u->admission.newcomer);
    u->admission.newcomer = (struct pc_newcomer){0}; /* taken over */
    if (err == 0)
        pc_ws_conn_expire_identity(conn, expires_in_ms);
    else if (err == PUSHERC_ELIMIT)
        tell_denied(conn, app, PUSHERC_DENIED_LIMIT, PC_CLOSE_OVER_QUOTA, PC_S(PC_USER_OVER_QUOTA));
    pc_app_unref(app);
    upgrade_free(u);
}

static void identified(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    struct upgrade *u = of;
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

static void identify(struct upgrade *u)
{
    static const struct pc_http_waiting waiting = {identified, identify_is_late, abandon};
    struct pc_engine *engine = u->conn->loop->engine;
    struct pc_app *app = u->admission.newcomer.app;
    if (!engine->hooks.identify) {
        open_session(u, 0);
        return;
    }
    struct pusherc_identify_request *r = pc_identify_new(u->conn, u->request, app);
    if (!r) {
        turn_away(u, app, PC_CLOSE_INTERNAL, pc_close_text(PC_CLOSE_INTERNAL));
        return;
    }
    wait_for(u, &waiting);
    pc_identify_ask(r, engine);
}

/* -- may the app have one more connection? -- */

static void permitted(struct pc_conn *conn, void *of, struct pc_pending *answer)
{
    const struct pc_permit *permit = PC_CONTAINER(answer, struct pc_permit, pending);
    struct upgrade *u = of;
    (void)conn;
    if (permit->code)
        turn_away(u, u->admission.newcomer.app, permit->code, pc_slice_of(permit->reason));
    else
        identify(u);
}

static void permit_is_late(struct pc_conn *conn, void *of)
{
    struct upgrade *u = of;
    (void)conn;
    turn_away(u, u->admission.newcomer.app, PC_CLOSE_OVER_CAPACITY,
              PC_S("The connection could not be counted in time"));
}

static void ask_for_permit(struct upgrade *u, pusherc_slice address)
{
    static const struct pc_http_waiting waiting = {permitted, permit_is_late, abandon};
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

static bool ask_for_app(struct upgrade *u);

static void admit(struct upgrade *u, bool may_ask)
{
    struct pc_engine *engine = u->conn->loop->engine;
    struct pc_address client =
        pc_client_address(u->conn->fd, u->request, engine->options.proxy_count);
    pusherc_slice address = pc_address_network(&client);
    enum pc_admit_result result =
        pc_admit_app(engine, u->request, u->conn->tls != NULL, address, &u->admission);
    if (result == PC_ADMIT_UNKNOWN_APP && may_ask && ask_for_app(u))
        return;
    if (result == PC_ADMIT_OK)
        ask_for_permit(u, address);
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

/* False: the host cannot be asked. */
static bool ask_for_app(struct upgrade *u)
{
    static const struct pc_http_waiting waiting = {app_answered, app_is_late, abandon};
    pusherc_slice key = pc_slice(u->admission.key, u->admission.key_len);
    struct pusherc_app_request *r =
        pc_find_app_new(u->conn->loop->worker, pc_http_await(u->conn), PC_S(""), key);
    if (!r)
        return false;
    wait_for(u, &waiting);
    pc_find_app_ask(r);
    return true;
}

void pc_upgrade(struct pc_conn *conn, const struct pc_http_message *request)
{
    struct upgrade *u = pc_alloc_zero(conn->loop->worker->mem, sizeof *u);
    if (!u) {
        pc_ws_conn_turn_away(conn, request, NULL, PC_CLOSE_INTERNAL,
                             pc_close_text(PC_CLOSE_INTERNAL));
        return;
    }
    u->conn = conn;
    u->request = request;
    if (pc_admit_request(conn->loop->engine, request, &u->admission) == PC_ADMIT_OK)
        admit(u, true);
    else
        turn_away(u, NULL, u->admission.code, pc_slice_of(u->admission.reason));
}
