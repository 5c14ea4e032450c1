/*
 * Several organisations share one app. The rules keep each user out of the other organisations' channels.
 *
 *   presence.org.{id}    has a dot, so the protocol treats it as a public name, open to every client; here a rule
 *                        guards it
 *   presence-org.{id}    a presence channel: its members see each other
 *
 *   tenants [PORT [WORKERS]]    port 0, the default: the system picks one; 1 worker
 *
 * A bearer token or the cookie "session" identifies the user; the table lists their values. Clients send no
 * authorization for public names, so the connection itself needs an identity: from the cookie, or from
 * pusher.signin(), which asks the built-in /broadcasting/user-auth.
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include <pusherc/pusherc.h>

struct person {
    const char *session, *id, *org, *info; /* info: what other members see */
};

static const struct person people[] = {
    {"session-1", "user-1", "1", "{\"name\":\"user 1 of org 1\"}"},
    {"session-2", "user-2", "1", "{\"name\":\"user 2 of org 1\"}"},
    {"session-3", "user-3", "2", "{\"name\":\"user 3 of org 2\"}"},
};

static bool is(pusherc_slice text, const char *expected)
{
    return pusherc_slice_equal(text, pusherc_slice_of(expected));
}

/*
 * The server asks who a client is. Browsers send cookies with every WebSocket, whatever page opens it. Therefore the
 * library refuses a connection whose cookie was read if the page comes from another origin and the app has no
 * allowed_origins. The hook does not have to check that.
 */
static void identify(pusherc_identify_request *request, void *user_data)
{
    pusherc_identity identity = PUSHERC_IDENTITY_INIT;
    pusherc_slice session = pusherc_identify_bearer(request);

    (void)user_data;
    if (session.len == 0)
        session = pusherc_identify_cookie(request, "session");
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        if (is(session, people[i].session)) {
            identity.user_id = pusherc_slice_of(people[i].id);
            identity.user_info_json = pusherc_slice_of(people[i].info);
        }
    }
    (void)pusherc_identify_accept(request, &identity); /* without user id: anonymous */
}

/* The decision of both rules: a user may have the channels of the user's own organisation. */
static void may_have_org(pusherc_auth_request *request, void *user_data)
{
    pusherc_slice user_id = pusherc_auth_user_id(request), org = pusherc_auth_param(request, "id");

    (void)user_data;
    for (size_t i = 0; i < sizeof people / sizeof people[0]; i++) {
        if (is(user_id, people[i].id) && is(org, people[i].org)) {
            /* NULL: a presence member has the id and info of the identity */
            (void)pusherc_auth_allow(request, NULL);
            return;
        }
    }
    (void)pusherc_auth_deny(request, 403, "Not your organisation");
}

static int add_rules(pusherc_server *server, pusherc_errinfo *why)
{
    pusherc_rule guarded = PUSHERC_RULE_INIT, presence = PUSHERC_RULE_INIT;

    guarded.pattern = "presence.org.{id}";
    guarded.kinds =
        PUSHERC_RULE_PUBLIC; /* only the names that match; other public names stay open */
    guarded.authorize = may_have_org;
    presence.pattern = "org.{id}"; /* a pattern has no prefix such as "presence-" */
    presence.kinds = PUSHERC_RULE_PRESENCE;
    presence.authorize = may_have_org;
    int status = pusherc_server_add_rule(server, &guarded, why);
    return status ? status : pusherc_server_add_rule(server, &presence, why);
}

int main(int argc, char **argv)
{
    pusherc_server *server;
    pusherc_server_options options = PUSHERC_SERVER_OPTIONS_INIT;
    pusherc_hooks hooks = PUSHERC_HOOKS_INIT;
    pusherc_app_options app = PUSHERC_APP_OPTIONS_INIT;
    pusherc_listen_options listen = PUSHERC_LISTEN_OPTIONS_INIT;
    pusherc_errinfo why = {0};
    sigset_t signals;
    int number, status = 0;

    /* Block the signals before the workers start, which inherit the mask: sigwait() below gets them. */
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, NULL);

    hooks.identify = identify;
    options.hooks = &hooks;
    options.log_fn = pusherc_log_to_stderr;
    options.worker_count = (uint32_t)(argc > 2 ? atoi(argv[2]) : 1);
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    /* For presence channels. A rule for public names is asked in every mode. */
    app.auth_mode = PUSHERC_AUTH_RULES;
    listen.port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 0);
    if (pusherc_server_new(&server, &options, &why) || add_rules(server, &why) ||
        pusherc_server_put_app(server, &app, &why) ||
        pusherc_server_listen(server, &listen, &why) || pusherc_server_start(server, &why)) {
        (void)fprintf(stderr, "%s\n", why.text);
        status = 1;
    } else {
        printf("listening on http://127.0.0.1:%d\n", pusherc_server_port(server, 0));
        (void)fflush(stdout);
        (void)sigwait(&signals, &number);
    }
    pusherc_server_free(server);
    return status;
}
