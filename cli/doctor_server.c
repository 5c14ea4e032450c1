/*
 * The checks of a server. All facts are gathered first: what the WebSocket and the HTTP API say about key, id and secret
 * together tells which of them is wrong. A key is proved by a connection, a secret by a private channel, an id by the API
 * once the other two are known to be right.
 */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <pusherc/server.h>

#define MAX_SKEW_S    600 /* as servers have it */
#define NOTED_SKEW_S  30
#define SOON_DAYS     14
#define EVENT         "pusherc-doctor"
#define SHOWN         160 /* bytes of an answer's body */
#define CHANNEL_COUNT 3

enum outcome {
    NOT_TRIED,
    GOOD,
    REFUSED,
    NO_ANSWER
};

struct facts {
    struct cli_client client;
    bool connected;
    int64_t connect_us;
    char channels[CHANNEL_COUNT][64]; /* public, private, presence */
    enum outcome joined[CHANNEL_COUNT];
    char refusals[CHANNEL_COUNT][SHOWN + 1];
    struct cli_http_answer api; /* to a signed question */
    struct cli_error api_error; /* why there is none */
    bool has_clock;
    int64_t clock_s; /* the server's, minus ours */
};

static void shorten(const char *text, char out[SHOWN + 1])
{
    (void)snprintf(out, SHOWN + 1, "%.*s", SHOWN, text);
    cli_make_plain(out);
}

static bool is_pushers(const char *host)
{
    size_t len = strlen(host);
    return len > 11 && strcmp(host + len - 11, ".pusher.com") == 0;
}

/* -- names, ports, certificates -- */

static bool check_name(struct cli_doctor *d, const struct cli_address *a,
                       struct cli_wire_addresses *found)
{
    struct cli_error error;
    char text[64];

    if (cli_wire_look_up(found, a->host, a->port, &error)) {
        cli_doctor_say(d,
                       is_pushers(a->host) ? CLI_FINDING_CLUSTER_UNKNOWN : CLI_FINDING_NAME_UNKNOWN,
                       "%s", error.text);
        return false;
    }
    cli_wire_address_text(found, 0, text);
    cli_doctor_say(d, CLI_FINDING_NAME_OK, "%s: %s%s", a->host, text,
                   found->count > 1 ? " and others" : "");
    return true;
}

/* Opens a connection to the first address that takes one. */
static int open_first(struct cli_wire *wire, const struct cli_doctor *d,
                      const struct cli_wire_addresses *to, struct cli_wire_tls *tls,
                      const char *name)
{
    int status = -1;

    for (size_t i = 0; i < to->count && status; i++) {
        if (i > 0)
            cli_wire_close(wire);
        cli_wire_connect(wire, to, i, tls, name);
        status = cli_wire_open(wire, cli_wire_now_us() + d->link.timeout_us);
    }
    return status;
}

static bool check_tcp(struct cli_doctor *d, const struct cli_address *a,
                      const struct cli_wire_addresses *to)
{
    int64_t begin = cli_wire_now_us();
    struct cli_wire wire;

    int status = open_first(&wire, d, to, NULL, a->host);
    if (status == 0) {
        cli_doctor_say(d, CLI_FINDING_TCP_OK, "%s:%u (%.1f ms)", a->host, (unsigned)a->port,
                       (double)(cli_wire_now_us() - begin) / 1000);
    } else {
        cli_doctor_say(d, wire.refused ? CLI_FINDING_TCP_REFUSED : CLI_FINDING_TCP_SILENT,
                       "%s:%u: %s", a->host, (unsigned)a->port, wire.error.text);
    }
    cli_wire_close(&wire);
    return status == 0;
}

static void say_certificate(struct cli_doctor *d, const struct cli_address *a,
                            const struct cli_wire_certificate *c)
{
    static const struct {
        unsigned wrong;
        enum cli_finding finding;
    } known[] = {
        {CLI_WIRE_TLS_EXPIRED, CLI_FINDING_TLS_EXPIRED},
        {CLI_WIRE_TLS_FUTURE, CLI_FINDING_TLS_FUTURE},
        {CLI_WIRE_TLS_OTHER_NAME, CLI_FINDING_TLS_OTHER_NAME},
        {CLI_WIRE_TLS_UNTRUSTED, CLI_FINDING_TLS_UNTRUSTED},
        {CLI_WIRE_TLS_OTHER, CLI_FINDING_TLS_FAILED},
    };

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (c->wrong & known[i].wrong)
            cli_doctor_say(d, known[i].finding, "%s: for %s, issued by %s, %lld days left", a->host,
                           c->names, c->issuer, (long long)c->days_left);
    }
    if (c->wrong)
        return;
    cli_doctor_say(d, c->days_left < SOON_DAYS ? CLI_FINDING_TLS_SOON : CLI_FINDING_TLS_OK,
                   "%s: %s, for %s, %lld days left", a->host, c->version, c->names,
                   (long long)c->days_left);
}

/* Does the port answer as an HTTP server would? `tls` NULL: one without TLS. */
static bool speaks_http(struct cli_doctor *d, const struct cli_address *a,
                        const struct cli_wire_addresses *to, struct cli_wire_tls *tls, int *status)
{
    const struct cli_http_request request = {.method = "GET", .target = "/"};
    struct cli_http_answer answer = {0};
    struct cli_error error;
    struct cli_wire wire;

    bool speaks = open_first(&wire, d, to, tls, a->host) == 0 &&
                  cli_http_ask(&wire, a, &request, cli_wire_now_us() + d->link.timeout_us, &answer,
                               &error) == 0;
    *status = answer.status;
    cli_http_answer_free(&answer);
    cli_wire_close(&wire);
    return speaks;
}

/* For an address without TLS: does it speak TLS after all? */
static bool check_no_tls(struct cli_doctor *d, const struct cli_address *a,
                         const struct cli_wire_addresses *to)
{
    struct cli_wire_tls *tls = NULL;
    struct cli_error ignored;
    struct cli_wire wire = {.fd = -1};
    int status = 0;
    bool required = false;

    if (speaks_http(d, a, to, NULL, &status) && status != 400)
        return true;
    if (cli_wire_tls_new(&tls, NULL, false, &ignored) == 0)
        required = open_first(&wire, d, to, tls, a->host) == 0;
    if (required)
        cli_doctor_say(d, CLI_FINDING_TLS_REQUIRED, "%s:%u", a->host, (unsigned)a->port);
    cli_wire_close(&wire);
    cli_wire_tls_free(tls);
    return !required;
}

static bool check_tls(struct cli_doctor *d, const struct cli_address *a,
                      const struct cli_wire_addresses *to)
{
    struct cli_wire_certificate certificate;
    struct cli_wire wire;
    int status;

    if (!a->tls)
        return check_no_tls(d, a, to);
    bool open = open_first(&wire, d, to, d->link.tls, a->host) == 0;
    if (open && cli_wire_certificate(&wire, &certificate))
        say_certificate(d, a, &certificate);
    else if (!open && wire.not_tls && speaks_http(d, a, to, NULL, &status))
        cli_doctor_say(d, CLI_FINDING_TLS_NONE, "%s:%u", a->host, (unsigned)a->port);
    else if (!open)
        cli_doctor_say(d, CLI_FINDING_TLS_FAILED, "%s:%u: %s", a->host, (unsigned)a->port,
                       wire.error.text);
    cli_wire_close(&wire);
    return open;
}

static bool same_address(const struct cli_address *a, const struct cli_address *b)
{
    return a->tls == b->tls && a->port == b->port && strcmp(a->host, b->host) == 0;
}

/* The network up to an open connection, for API and WebSocket, which often have one address. */
static bool check_network(struct cli_doctor *d)
{
    struct cli_link *link = &d->link;
    const struct cli_address *api = &link->target.api, *ws = &link->target.ws;
    struct cli_error error;
    bool one = same_address(api, ws) || d->given.address;

    if (d->given.address) {
        if (cli_link_open(link, d->given.ca_file, true, d->given.address, &error)) {
            cli_doctor_say(d, CLI_FINDING_NAME_UNKNOWN, "%s", error.text);
            return false;
        }
    } else if (!check_name(d, api, &link->api) || (!one && !check_name(d, ws, &link->ws))) {
        return false;
    } else if (cli_link_open(link, d->given.ca_file, true, NULL, &error)) {
        cli_doctor_say(d, CLI_FINDING_TLS_FAILED, "%s", error.text);
        return false;
    }
    bool good = check_tcp(d, api, &link->api) && check_tls(d, api, &link->api);
    if (!one)
        good &= check_tcp(d, ws, &link->ws) && check_tls(d, ws, &link->ws);
    return good;
}

/* -- gathering -- */

/* Takes messages until each subscription is decided, or the time is over. */
static void await_joins(struct facts *f, int64_t deadline_us)
{
    struct cli_message *m;
    size_t open = 0;

    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        open += f->joined[i] == NO_ANSWER;
    while (open > 0 && (m = cli_client_next(&f->client, deadline_us))) {
        bool succeeded = strcmp(m->event, "pusher_internal:subscription_succeeded") == 0;
        bool refused = strcmp(m->event, "pusher:subscription_error") == 0 ||
                       strcmp(m->event, "pusher:error") == 0;
        for (size_t i = 0; i < CHANNEL_COUNT && (succeeded || refused); i++) {
            /* Some servers name no channel in an error: it is then the first that is open. */
            bool meant = *m->channel ? strcmp(m->channel, f->channels[i]) == 0 : refused;
            if (f->joined[i] != NO_ANSWER || !meant)
                continue;
            f->joined[i] = succeeded ? GOOD : REFUSED;
            shorten(m->data, f->refusals[i]);
            open--;
            break;
        }
        cli_message_free(m);
    }
}

static void join(struct cli_doctor *d, struct facts *f)
{
    static const char *const prefixes[CHANNEL_COUNT] = {"", "private-", "presence-"};
    const char *member = "{\"user_id\":\"pusherc-doctor\"}";
    struct cli_error error;
    int64_t now = cli_wire_now_us();

    for (size_t i = 0; i < CHANNEL_COUNT; i++) {
        (void)snprintf(f->channels[i], sizeof f->channels[i], "%spusherc-doctor-%llx", prefixes[i],
                       (unsigned long long)now);
        if (i > 0 && (!d->link.target.secret[0] || d->given.guarded))
            continue;
        /* One by one, for servers that name no channel in an error. */
        if (cli_client_subscribe(&f->client, &d->link, f->channels[i], i == 2 ? member : NULL,
                                 &error) == 0)
            f->joined[i] = NO_ANSWER;
        await_joins(f, cli_wire_now_us() + d->link.timeout_us);
    }
}

static void put_origin(const struct cli_doctor *d, char *out, size_t cap)
{
    out[0] = '\0';
    if (d->given.origin)
        (void)snprintf(out, cap, "Origin: %.200s\r\n", d->given.origin);
}

static void gather_websocket(struct cli_doctor *d, struct facts *f)
{
    int64_t begin = cli_wire_now_us();
    char fields[256];

    put_origin(d, fields, sizeof fields);
    cli_client_connect(&f->client, &d->link, *fields ? fields : NULL);
    f->connected = cli_client_establish(&f->client, begin + d->link.timeout_us) == 0;
    f->connect_us = cli_wire_now_us() - begin;
    if (f->connected)
        join(d, f);
}

/* The server's time: from the field Date, or from a refusal as Pusher words it. */
static void read_clock(struct facts *f)
{
    static const char words[] = "server time (";
    struct tm date = {0};
    char text[64];
    const char *in_body = strstr(cli_http_body(&f->api), words);
    int64_t server_s = 0;

    if (in_body)
        server_s = strtoll(in_body + sizeof words - 1, NULL, 10);
    else if (cli_http_field(&f->api, "date", 0, text, sizeof text) &&
             strptime(text, "%a, %d %b %Y %H:%M:%S", &date))
        server_s = (int64_t)timegm(&date);
    f->has_clock = server_s > 0;
    f->clock_s = server_s - (int64_t)time(NULL);
}

static void gather_api(struct cli_doctor *d, struct facts *f)
{
    (void)cli_link_api(&d->link, "GET", "/channels", NULL, 0, NULL, &f->api, &f->api_error);
    read_clock(f);
}

/* -- the WebSocket -- */

/* Does the server answer an upgrade as it answers a request without one? */
static bool upgrade_is_eaten(struct cli_doctor *d, const struct facts *f)
{
    const struct cli_http_answer *with = &f->client.ws.answer;
    const struct cli_address *to = &d->link.target.ws;
    struct cli_http_answer without = {0};
    char target[CLI_PATH_TEXT], key[640];
    const struct cli_http_request request = {.method = "GET", .target = target};
    struct cli_error error;
    struct cli_wire wire;

    cli_put_percent(key, sizeof key, d->link.target.key);
    (void)snprintf(target, sizeof target, "%s/app/%s?protocol=7", to->prefix, key);
    bool same = open_first(&wire, d, &d->link.ws, to->tls ? d->link.tls : NULL, to->host) == 0 &&
                cli_http_ask(&wire, to, &request, cli_wire_now_us() + d->link.timeout_us, &without,
                             &error) == 0 &&
                without.status == with->status &&
                strcmp(cli_http_body(&without), cli_http_body(with)) == 0;
    cli_wire_close(&wire);
    cli_http_answer_free(&without);
    return same;
}

static void say_no_upgrade(struct cli_doctor *d, const struct facts *f)
{
    const struct cli_http_answer *answer = &f->client.ws.answer;
    enum cli_finding finding = CLI_FINDING_WS_REFUSED;
    char body[SHOWN + 1], place[SHOWN + 1] = "";
    int status = answer->status;

    shorten(cli_http_body(answer), body);
    if (status >= 300 && status < 400) {
        finding = CLI_FINDING_WS_REDIRECT;
        (void)cli_http_field(answer, "location", 0, place, sizeof place);
        cli_make_plain(place);
    } else if (status >= 502 && status <= 504) {
        finding = CLI_FINDING_WS_GATEWAY;
    } else if (status == 426 || upgrade_is_eaten(d, f)) {
        /* 404 without an upgrade as well: the path may be wrong as easily */
        finding = status == 404 ? CLI_FINDING_WS_PATH : CLI_FINDING_WS_UPGRADE_EATEN;
    }
    cli_doctor_say(d, finding, "HTTP %d %s%s", status, place, body);
}

static void say_closed(struct cli_doctor *d, const struct facts *f, int code)
{
    static const struct {
        int code;
        enum cli_finding finding;
    } known[] = {
        {4000, CLI_FINDING_WS_TLS_ONLY},     {4001, CLI_FINDING_KEY_UNKNOWN},
        {4003, CLI_FINDING_WS_DISABLED},     {4004, CLI_FINDING_WS_QUOTA},
        {4005, CLI_FINDING_WS_PATH},         {4006, CLI_FINDING_WS_QUERY_EATEN},
        {4007, CLI_FINDING_WS_QUERY_EATEN},  {4008, CLI_FINDING_WS_QUERY_EATEN},
        {4009, CLI_FINDING_WS_UNAUTHORIZED}, {4100, CLI_FINDING_WS_QUOTA},
    };
    enum cli_finding finding = CLI_FINDING_WS_CLOSED;
    struct cli_error why;

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].code == code)
            finding = known[i].finding;
    }
    if (finding == CLI_FINDING_KEY_UNKNOWN)
        cli_doctor_say(d, CLI_FINDING_WS_OK, "%.1f ms", (double)f->connect_us / 1000);
    if (finding == CLI_FINDING_KEY_UNKNOWN && is_pushers(d->link.target.ws.host))
        finding = CLI_FINDING_CLUSTER_OTHER;
    cli_client_why(&f->client, &why);
    cli_doctor_say(d, finding, "%s", why.text);
}

static void say_websocket(struct cli_doctor *d, const struct facts *f)
{
    const struct cli_ws *ws = &f->client.ws;

    if (f->connected) {
        cli_doctor_say(d, CLI_FINDING_WS_OK, "%.1f ms, socket id %s", (double)f->connect_us / 1000,
                       f->client.socket_id);
        cli_doctor_say(d, CLI_FINDING_KEY_OK, "%s", d->link.target.key);
    } else if (f->client.error_code || ws->close_code) {
        say_closed(d, f, f->client.error_code ? f->client.error_code : ws->close_code);
    } else if (ws->wrong_accept) {
        cli_doctor_say(d, CLI_FINDING_WS_WRONG_ACCEPT, "%s", "");
    } else if (ws->answer.status && !ws->answer.upgraded) {
        say_no_upgrade(d, f);
    } else if (ws->state == CLI_WS_OPEN) {
        cli_doctor_say(d, CLI_FINDING_WS_SILENT, "nothing within %.1f s",
                       (double)d->link.timeout_us / 1e6);
    } else {
        struct cli_error why;
        cli_client_why(&f->client, &why);
        cli_doctor_say(d, ws->answer.upgraded ? CLI_FINDING_WS_CLOSED : CLI_FINDING_WS_NO_ANSWER,
                       "%s", why.text);
    }
}

/* -- the HTTP API: id, secret, signature -- */

/* Asks again for a path that is signed as another, or asked for as another. Returns the status, 0 = no answer. */
static int ask_as(struct cli_doctor *d, const char *path, const char *signed_path)
{
    struct cli_http_answer answer;
    struct cli_error error;

    (void)cli_link_api_as(&d->link, "GET", path, signed_path, (uint64_t)time(NULL), NULL, 0, NULL,
                          &answer, &error);
    int status = answer.status;
    cli_http_answer_free(&answer);
    return status;
}

/* A proxy may change the path. If the server takes the signature for another path, then this is what it has seen. */
static bool say_other_path(struct cli_doctor *d)
{
    const char *prefix = d->link.target.api.prefix;
    char path[CLI_PATH_TEXT], doubled[CLI_PATH_TEXT + 1], joined[CLI_PATH_TEXT];

    cli_api_path(&d->link.target, "/channels", path);
    const char *plain = path + strlen(prefix);
    (void)snprintf(doubled, sizeof doubled, "/%s", plain);
    /* "location /ws" and "proxy_pass http://host/" make "/ws/apps" to "//apps", and "/wsapps" to "/apps" */
    (void)snprintf(joined, sizeof joined, "%s%s", prefix, plain + 1);
    if (ask_as(d, path, doubled) == 200 || (*prefix && ask_as(d, joined, plain) == 200)) {
        cli_doctor_say(d, CLI_FINDING_API_SLASH, "asked for %s, the server sees %s", path, doubled);
        return true;
    }
    if (*prefix && ask_as(d, path, path) == 200) {
        cli_doctor_say(d, CLI_FINDING_API_PATH,
                       "the server sees %s, and its path_prefix is not set: sign the whole path",
                       path);
        return true;
    }
    return false;
}

static bool body_says(const struct facts *f, const char *word, const char *other)
{
    const char *body = cli_http_body(&f->api);
    return strcasestr(body, word) && strcasestr(body, other);
}

/* The answer to a path that no API has. */
static bool is_answer_to_any_path(struct cli_doctor *d, const struct facts *f)
{
    char target[CLI_PATH_TEXT];
    const struct cli_http_request request = {.method = "GET", .target = target};
    struct cli_http_answer answer;
    struct cli_error error;

    (void)snprintf(target, sizeof target, "%s/pusherc-doctor-nothing", d->link.target.api.prefix);
    bool same = cli_link_ask(&d->link, &request, &answer, &error) == 0 &&
                answer.status == f->api.status &&
                strcmp(cli_http_body(&answer), cli_http_body(&f->api)) == 0;
    cli_http_answer_free(&answer);
    return same;
}

static void say_not_found(struct cli_doctor *d, const struct facts *f, const char *body)
{
    if (!is_answer_to_any_path(d, f))
        cli_doctor_say(d, CLI_FINDING_ID_UNKNOWN, "%s: %s", d->link.target.id, body);
    else if (!say_other_path(d))
        cli_doctor_say(d, CLI_FINDING_API_PATH_UNKNOWN, "HTTP %d %s", f->api.status, body);
}

static void say_signed_string(struct cli_doctor *d, const char *body)
{
    char path[CLI_PATH_TEXT];

    cli_api_path(&d->link.target, "/channels", path);
    cli_doctor_say(
        d, CLI_FINDING_SIGNATURE_REFUSED,
        "%s; signed was \"GET\\n%s\\nauth_key=%.60s&auth_timestamp=...&auth_version=1.0\"", body,
        path + strlen(d->link.target.api.prefix), d->link.target.key);
}

/* 400, 401, 403: what is it that the server refuses? */
static void say_refused(struct cli_doctor *d, const struct facts *f, const char *body)
{
    int code = f->client.error_code ? f->client.error_code : f->client.ws.close_code;
    bool key_known = f->connected;
    bool private_good = f->joined[1] == GOOD;

    if (f->has_clock && llabs(f->clock_s) > MAX_SKEW_S)
        return; /* said already */
    if (body_says(f, "missing", "auth_") || body_says(f, "required", "auth_")) {
        cli_doctor_say(d, CLI_FINDING_API_QUERY_EATEN, "HTTP %d %s", f->api.status, body);
        return;
    }
    if (code == 4001 || code == 4003)
        return; /* the app: said already */
    if (!key_known && body_says(f, "auth_key", "unknown")) {
        cli_doctor_say(d, CLI_FINDING_KEY_UNKNOWN, "HTTP %d %s", f->api.status, body);
        return;
    }
    if (f->joined[1] == REFUSED || say_other_path(d))
        return; /* the secret is said later */
    if (private_good && body_says(f, "app", "id"))
        cli_doctor_say(d, CLI_FINDING_ID_UNKNOWN, "HTTP %d %s", f->api.status, body);
    else if (private_good)
        say_signed_string(d, body);
    else
        cli_doctor_say(d, CLI_FINDING_SECRET_WRONG, "HTTP %d %s", f->api.status, body);
}

static bool is_list_of_channels(const struct facts *f)
{
    cJSON *json = cJSON_Parse(cli_http_body(&f->api));
    bool is = cJSON_HasObjectItem(json, "channels");

    cJSON_Delete(json);
    return is;
}

static void say_clock(struct cli_doctor *d, const struct facts *f)
{
    enum cli_finding finding = llabs(f->clock_s) > MAX_SKEW_S     ? CLI_FINDING_CLOCK_OFF
                               : llabs(f->clock_s) > NOTED_SKEW_S ? CLI_FINDING_CLOCK_DIFFERS
                                                                  : CLI_FINDING_CLOCK_OK;

    if (f->has_clock)
        cli_doctor_say(d, finding, "the server is %lld s %s", llabs(f->clock_s),
                       f->clock_s < 0 ? "behind" : "ahead");
}

/* True if the API takes what is signed. */
static bool say_api(struct cli_doctor *d, const struct facts *f)
{
    char body[SHOWN + 1], place[SHOWN + 1];
    int status = f->api.status;

    shorten(cli_http_body(&f->api), body);
    if (status == 0) {
        cli_doctor_say(d, CLI_FINDING_API_NO_ANSWER, "%s", f->api_error.text);
        return false;
    }
    say_clock(d, f);
    if (status == 200 && is_list_of_channels(f)) {
        cli_doctor_say(d, CLI_FINDING_API_OK, "GET /apps/%s/channels", d->link.target.id);
        cli_doctor_say(d, CLI_FINDING_ID_OK, "%s", d->link.target.id);
        return true;
    }
    if (status >= 300 && status < 400) {
        (void)cli_http_field(&f->api, "location", 0, place, sizeof place);
        cli_make_plain(place);
        cli_doctor_say(d, CLI_FINDING_API_REDIRECT, "HTTP %d to %s", status, place);
    } else if (status >= 502 && status <= 504) {
        cli_doctor_say(d, CLI_FINDING_API_GATEWAY, "HTTP %d %s", status, body);
    } else if (status >= 500) {
        cli_doctor_say(d, CLI_FINDING_API_ERROR, "HTTP %d %s", status, body);
    } else if (status == 404) {
        say_not_found(d, f, body);
    } else if (status == 400 || status == 401 || status == 403) {
        say_refused(d, f, body);
    } else {
        cli_doctor_say(d, CLI_FINDING_API_OTHER, "HTTP %d %s", status, body);
    }
    return false;
}

/* What a private channel and the API together say about the secret. */
static void say_secret(struct cli_doctor *d, const struct facts *f, bool api_good)
{
    char body[SHOWN + 1];

    if (api_good || f->joined[1] == GOOD) {
        cli_doctor_say(d, CLI_FINDING_SECRET_OK, "%s", "");
    } else if (f->joined[1] == REFUSED) {
        shorten(f->api.status == 401 ? cli_http_body(&f->api) : "", body);
        cli_doctor_say(d, CLI_FINDING_SECRET_WRONG, "%s %s", f->refusals[1], body);
    }
}

/* -- channels and events -- */

static void say_channels(struct cli_doctor *d, const struct facts *f, bool api_good)
{
    static const enum cli_finding good[CHANNEL_COUNT] = {
        CLI_FINDING_PUBLIC_OK, CLI_FINDING_PRIVATE_OK, CLI_FINDING_PRESENCE_OK};
    static const enum cli_finding bad[CHANNEL_COUNT] = {
        CLI_FINDING_PUBLIC_REFUSED, CLI_FINDING_PRIVATE_REFUSED, CLI_FINDING_PRESENCE_REFUSED};

    for (size_t i = 0; i < CHANNEL_COUNT; i++) {
        if (f->joined[i] == GOOD)
            cli_doctor_say(d, good[i], "%s", f->channels[i]);
        else if (f->joined[i] == NOT_TRIED || (i > 0 && f->joined[1] == REFUSED && !api_good))
            continue; /* the secret: it has been said */
        else
            cli_doctor_say(d, bad[i], "%s: %s", f->channels[i],
                           f->joined[i] == REFUSED ? f->refusals[i] : "no answer");
    }
}

/* Asks for a channel without a signature. */
static int ask_as_stranger(struct facts *f, const char *channel)
{
    cJSON *message = cJSON_CreateObject();
    cJSON_AddStringToObject(message, "event", "pusher:subscribe");
    cJSON *data = cJSON_AddObjectToObject(message, "data");
    cJSON_AddStringToObject(data, "channel", channel);
    char *text = cJSON_PrintUnformatted(message);
    int status = text ? cli_ws_send(&f->client.ws, text, strlen(text)) : -1;
    cJSON_free(text);
    cJSON_Delete(message);
    return status;
}

static void check_guard(struct cli_doctor *d, struct facts *f)
{
    const char *name = d->given.guarded;
    int64_t deadline_us = cli_wire_now_us() + d->link.timeout_us;
    struct cli_message *m;
    bool refused = false, got = false;

    if (!f->connected || ask_as_stranger(f, name))
        return;
    while (!refused && !got && (m = cli_client_next(&f->client, deadline_us))) {
        refused = strcmp(m->event, "pusher:subscription_error") == 0 ||
                  strcmp(m->event, "pusher:error") == 0;
        got = strcmp(m->event, "pusher_internal:subscription_succeeded") == 0 &&
              strcmp(m->channel, name) == 0;
        cli_message_free(m);
    }
    if (refused || got)
        cli_doctor_say(d, got ? CLI_FINDING_GUARD_NONE : CLI_FINDING_GUARD_OK, "%s", name);
}

static void await_event(struct cli_doctor *d, struct facts *f, int64_t sent_us)
{
    bool wanted[CHANNEL_COUNT];
    struct cli_message *m;
    size_t open = 0;
    int64_t last_us = sent_us, deadline_us = sent_us + d->link.timeout_us;
    char missing[256] = "";

    for (size_t i = 0; i < CHANNEL_COUNT; i++)
        open += wanted[i] = f->joined[i] == GOOD;
    while (open > 0 && (m = cli_client_next(&f->client, deadline_us))) {
        for (size_t i = 0; i < CHANNEL_COUNT; i++) {
            if (wanted[i] && strcmp(m->event, EVENT) == 0 &&
                strcmp(m->channel, f->channels[i]) == 0) {
                wanted[i] = false;
                last_us = m->came_us;
                open--;
            }
        }
        cli_message_free(m);
    }
    for (size_t i = 0, len = 0; i < CHANNEL_COUNT; i++) {
        if (wanted[i])
            len += (size_t)snprintf(missing + len, sizeof missing - len, " %s", f->channels[i]);
    }
    if (open > 0)
        cli_doctor_say(d, CLI_FINDING_RECEIVE_NOTHING, "nothing within %.1f s on%s",
                       (double)d->link.timeout_us / 1e6, missing);
    else
        cli_doctor_say(
            d, last_us - sent_us > d->slow_us ? CLI_FINDING_RECEIVE_SLOW : CLI_FINDING_RECEIVE_OK,
            "%.1f ms from publish to receive", (double)(last_us - sent_us) / 1000);
}

static void check_event(struct cli_doctor *d, struct facts *f)
{
    struct cli_http_answer answer;
    struct cli_error error;
    char body[512], shown[SHOWN + 1];
    size_t len;
    int64_t sent_us = cli_wire_now_us();

    len = (size_t)snprintf(body, sizeof body,
                           "{\"name\":\"" EVENT "\",\"data\":\"{}\",\"channels\":[");
    bool any = false;
    for (size_t i = 0; i < CHANNEL_COUNT; i++) {
        if (f->joined[i] == GOOD || (i == 0 && !f->connected)) {
            len += (size_t)snprintf(body + len, sizeof body - len, "%s\"%s\"", any ? "," : "",
                                    f->channels[i][0] ? f->channels[i] : EVENT);
            any = true;
        }
    }
    (void)snprintf(body + len, sizeof body - len, "]}");
    if (!any)
        return;
    (void)cli_link_api(&d->link, "POST", "/events", NULL, 0, body, &answer, &error);
    shorten(answer.status ? cli_http_body(&answer) : error.text, shown);
    if (answer.status == 200)
        cli_doctor_say(d, CLI_FINDING_PUBLISH_OK, "%.1f ms",
                       (double)(cli_wire_now_us() - sent_us) / 1000);
    else
        cli_doctor_say(d, CLI_FINDING_PUBLISH_REFUSED, "HTTP %d %s", answer.status, shown);
    if (answer.status == 200 && f->connected)
        await_event(d, f, sent_us);
    cli_http_answer_free(&answer);
}

static void say_what_lacks(struct cli_doctor *d)
{
    const struct cli_target *t = &d->link.target;
    int status;

    if (!t->key[0]) {
        cli_doctor_say(d, CLI_FINDING_KEY_MISSING, "%s", "");
        if (!speaks_http(d, &t->api, &d->link.api, t->api.tls ? d->link.tls : NULL, &status))
            cli_doctor_say(d, CLI_FINDING_API_NO_ANSWER, "%s", "no HTTP");
    } else if (!t->secret[0]) {
        cli_doctor_say(d, CLI_FINDING_SECRET_MISSING, "%s", "");
    } else if (!t->id[0]) {
        cli_doctor_say(d, CLI_FINDING_ID_MISSING, "%s", "");
    }
}

void cli_doctor_check_server(struct cli_doctor *d)
{
    const struct cli_target *t = &d->link.target;
    struct facts *f = calloc(1, sizeof *f);
    bool api_good = false;

    if (!f || !check_network(d)) {
        free(f);
        return;
    }
    f->client.ws.wire.fd = -1;
    f->client.last = &f->client.first;
    say_what_lacks(d);
    if (t->key[0]) {
        gather_websocket(d, f);
        say_websocket(d, f);
    }
    if (t->key[0] && t->secret[0] && t->id[0]) {
        gather_api(d, f);
        api_good = say_api(d, f);
    }
    say_secret(d, f, api_good);
    say_channels(d, f, api_good);
    if (api_good)
        check_event(d, f);
    if (d->given.guarded)
        check_guard(d, f);
    if (d->given.auth_endpoint)
        cli_doctor_check_auth(d, f->client.socket_id);
    cli_client_close(&f->client);
    cli_http_answer_free(&f->api);
    free(f);
}
