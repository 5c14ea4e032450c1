/* An auth endpoint as a browser asks it: the answer, CORS, and the rules of cookies. */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_CHANNEL "private-pusherc-doctor"
#define DEFAULT_SOCKET  "1234.5678"
#define SHOWN           160

struct endpoint {
    struct cli_doctor *doctor;
    struct cli_link link;
    char path[600];
    const char *channel, *socket_id;
    bool cross_origin;
};

/* "https://host:port" of the endpoint, as browsers write origins. */
static void put_origin(const struct cli_address *a, char *out, size_t cap)
{
    char host[300];

    cli_http_host(a, host);
    (void)snprintf(out, cap, "http%s://%s", a->tls ? "s" : "", host);
}

/* Reads http[s]://HOST[:PORT]/PATH. */
static bool read_endpoint(struct endpoint *e, const char *url)
{
    struct cli_error error;
    char origin[400];
    const char *behind = strstr(url, "://");
    const char *path = behind ? strchr(behind + 3, '/') : NULL;
    char base[400];

    (void)snprintf(base, sizeof base, "%.*s", (int)(path ? path - url : (ptrdiff_t)strlen(url)),
                   url);
    (void)snprintf(e->path, sizeof e->path, "%s", path ? path : "/");
    e->path[strcspn(e->path, "#")] = '\0';
    if (!behind || strncmp(url, "http", 4) != 0 || strpbrk(e->path, " \r\n") ||
        cli_target_parse(&e->link.target, base, &error)) {
        cli_doctor_say(e->doctor, CLI_FINDING_AUTH_UNREACHABLE, "%.200s is no http(s) URL", url);
        return false;
    }
    e->link.timeout_us = e->doctor->link.timeout_us;
    if (cli_link_open(&e->link, e->doctor->given.ca_file, false, NULL, &error)) {
        cli_doctor_say(e->doctor, CLI_FINDING_AUTH_UNREACHABLE, "%s", error.text);
        return false;
    }
    put_origin(&e->link.target.api, origin, sizeof origin);
    e->cross_origin = e->doctor->given.origin && strcasecmp(e->doctor->given.origin, origin) != 0;
    return true;
}

static bool ask(struct endpoint *e, const char *method, const char *fields, const char *body,
                struct cli_http_answer *answer)
{
    const struct cli_http_request request = {.method = method,
                                             .target = e->path,
                                             .fields = fields,
                                             .body = body,
                                             .content_type = "application/x-www-form-urlencoded"};
    struct cli_error error;

    if (cli_link_ask(&e->link, &request, answer, &error) == 0)
        return true;
    cli_doctor_say(e->doctor, CLI_FINDING_AUTH_UNREACHABLE, "%s", error.text);
    return false;
}

/* -- the answer -- */

/* Compares the signature with that of the app's secret. */
static void check_signature(struct endpoint *e, const char *auth, const char *channel_data)
{
    const struct cli_target *t = &e->doctor->link.target;
    pusherc_credentials credentials = cli_target_credentials(t);
    pusherc_socket_id socket_id;
    char right[320];
    size_t key_len = strlen(t->key);

    if (t->key[0] && (strncmp(auth, t->key, key_len) != 0 || auth[key_len] != ':')) {
        cli_doctor_say(e->doctor, CLI_FINDING_AUTH_KEY, "%.*s in place of %s",
                       (int)(strcspn(auth, ":") > 60 ? 60 : strcspn(auth, ":")), auth, t->key);
        return;
    }
    if (t->secret[0] &&
        (pusherc_socket_id_parse(pusherc_slice_of(e->socket_id), &socket_id) ||
         pusherc_sign_channel(&credentials, socket_id, pusherc_slice_of(e->channel),
                              pusherc_slice_of(channel_data), right, sizeof right, NULL) ||
         strcmp(right, auth) != 0)) {
        cli_doctor_say(e->doctor, CLI_FINDING_AUTH_SIGNATURE, "to be signed is \"%s:%s%s%.100s\"",
                       e->socket_id, e->channel, *channel_data ? ":" : "", channel_data);
        return;
    }
    cli_doctor_say(e->doctor, CLI_FINDING_AUTH_OK, "%s for %s%s", e->path, e->channel,
                   t->secret[0] ? "" : "; the signature was not compared: no secret was given");
}

static void check_body(struct endpoint *e, const struct cli_http_answer *answer)
{
    cJSON *json = cJSON_Parse(cli_http_body(answer));
    const char *auth = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "auth"));
    const char *data = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(json, "channel_data"));

    if (!json)
        cli_doctor_say(e->doctor, CLI_FINDING_AUTH_NOT_JSON, "%.*s", SHOWN, cli_http_body(answer));
    else if (!auth || (cli_channel_is_presence(e->channel) && !data))
        cli_doctor_say(e->doctor, CLI_FINDING_AUTH_LACKS, "%.*s", SHOWN, cli_http_body(answer));
    else
        check_signature(e, auth, data ? data : "");
    cJSON_Delete(json);
}

static void check_answer(struct endpoint *e, const struct cli_http_answer *answer)
{
    static const struct {
        int from, to;
        enum cli_finding finding;
    } known[] = {
        {300, 399, CLI_FINDING_AUTH_REDIRECT},  {401, 401, CLI_FINDING_AUTH_FORBIDDEN},
        {403, 403, CLI_FINDING_AUTH_FORBIDDEN}, {404, 405, CLI_FINDING_AUTH_NOT_FOUND},
        {419, 419, CLI_FINDING_AUTH_CSRF},
    };
    enum cli_finding finding = CLI_FINDING_AUTH_ERROR;
    char place[200];

    if (answer->status >= 200 && answer->status < 300) {
        check_body(e, answer);
        return;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (answer->status >= known[i].from && answer->status <= known[i].to)
            finding = known[i].finding;
    }
    bool moved = cli_http_field(answer, "location", 0, place, sizeof place);
    cli_doctor_say(e->doctor, finding, "HTTP %d %s%.*s", answer->status, moved ? "to " : "", SHOWN,
                   moved ? place : cli_http_body(answer));
}

/* -- CORS -- */

static void check_preflight(struct endpoint *e)
{
    struct cli_http_answer answer;
    char fields[400], methods[200];

    (void)snprintf(fields, sizeof fields,
                   "Origin: %.200s\r\nAccess-Control-Request-Method: POST\r\n"
                   "Access-Control-Request-Headers: content-type,x-csrf-token\r\n",
                   e->doctor->given.origin);
    if (!ask(e, "OPTIONS", fields, NULL, &answer))
        return;
    bool allowed =
        cli_http_field(&answer, "access-control-allow-origin", 0, methods, sizeof methods);
    if (answer.status < 200 || answer.status > 299 || !allowed)
        cli_doctor_say(e->doctor, CLI_FINDING_CORS_PREFLIGHT, "HTTP %d%s", answer.status,
                       allowed ? "" : ", without Access-Control-Allow-Origin");
    cli_http_answer_free(&answer);
}

static void check_cors(struct endpoint *e, const struct cli_http_answer *answer)
{
    const char *origin = e->doctor->given.origin;
    bool cookies = e->doctor->given.cookie != NULL;
    char allowed[300], credentials[16];
    enum cli_finding finding = CLI_FINDING_CORS_OK;

    bool any = cli_http_field(answer, "access-control-allow-origin", 0, allowed, sizeof allowed);
    (void)cli_http_field(answer, "access-control-allow-credentials", 0, credentials,
                         sizeof credentials);
    if (!any)
        finding = CLI_FINDING_CORS_MISSING;
    else if (strcmp(allowed, "*") == 0)
        finding = cookies ? CLI_FINDING_CORS_STAR : CLI_FINDING_CORS_OK;
    else if (strcmp(allowed, origin) != 0)
        finding = CLI_FINDING_CORS_OTHER;
    else if (cookies && strcmp(credentials, "true") != 0)
        finding = CLI_FINDING_CORS_CREDENTIALS;
    cli_doctor_say(e->doctor, finding, "%.100s: %s", origin, any ? allowed : "nothing");
}

/* -- cookies -- */

/* Hosts of one site share their last two labels; an address is a site of its own. */
static const char *site_of(const char *host)
{
    size_t dots = 0;

    if (strspn(host, "0123456789.") == strlen(host))
        return host;
    for (const char *c = host + strlen(host); c > host; c--) {
        if (c[-1] == '.' && ++dots == 2)
            return c;
    }
    return host;
}

static bool is_cross_site(const struct endpoint *e)
{
    struct cli_target page;
    struct cli_error error;

    return e->doctor->given.origin &&
           cli_target_parse(&page, e->doctor->given.origin, &error) == 0 &&
           strcasecmp(site_of(page.api.host), site_of(e->link.target.api.host)) != 0;
}

/* Is the attribute in "name=value; SameSite=Lax; Secure"? */
static bool has_attribute(const char *cookie, const char *attribute)
{
    size_t len = strlen(attribute);

    for (const char *at = strchr(cookie, ';'); at; at = strchr(at, ';')) {
        at += 1 + strspn(at + 1, " ");
        if (strncasecmp(at, attribute, len) == 0 && (at[len] == '\0' || strchr("; ", at[len])))
            return true;
    }
    return false;
}

static void check_cookies(struct endpoint *e, const struct cli_http_answer *answer)
{
    bool cross_site = is_cross_site(e);
    char cookie[1000];

    for (size_t i = 0; cli_http_field(answer, "set-cookie", i, cookie, sizeof cookie); i++) {
        bool none = has_attribute(cookie, "SameSite=None");
        bool secure = has_attribute(cookie, "Secure");
        int name = (int)(strcspn(cookie, "=") > 60 ? 60 : strcspn(cookie, "="));

        if (cross_site && !none)
            cli_doctor_say(e->doctor, CLI_FINDING_COOKIE_SAMESITE, "%.*s", name, cookie);
        if (none && !secure)
            cli_doctor_say(e->doctor, CLI_FINDING_COOKIE_INSECURE, "%.*s", name, cookie);
        else if (secure && !e->link.target.api.tls)
            cli_doctor_say(e->doctor, CLI_FINDING_COOKIE_PLAIN, "%.*s", name, cookie);
    }
}

/* -- all of it -- */

static void put_fields(const struct cli_doctor_options *given, char *out, size_t cap)
{
    size_t len = (size_t)snprintf(out, cap,
                                  "Accept: application/json\r\n"
                                  "X-Requested-With: XMLHttpRequest\r\n");

    if (given->origin)
        len += (size_t)snprintf(out + len, cap - len, "Origin: %.200s\r\n", given->origin);
    if (given->cookie)
        len += (size_t)snprintf(out + len, cap - len, "Cookie: %.3000s\r\n", given->cookie);
    if (given->header)
        (void)snprintf(out + len, cap - len, "%.3000s\r\n", given->header);
}

void cli_doctor_check_auth(struct cli_doctor *doctor, const char *socket_id)
{
    struct endpoint e = {.doctor = doctor,
                         .channel = doctor->given.channel ? doctor->given.channel : DEFAULT_CHANNEL,
                         .socket_id = *socket_id ? socket_id : DEFAULT_SOCKET};
    struct cli_http_answer answer = {0};
    char fields[7000], channel[640], body[800];

    put_fields(&doctor->given, fields, sizeof fields);
    cli_put_percent(channel, sizeof channel, e.channel);
    (void)snprintf(body, sizeof body, "socket_id=%s&channel_name=%s", e.socket_id, channel);
    if (read_endpoint(&e, doctor->given.auth_endpoint) && ask(&e, "POST", fields, body, &answer)) {
        check_answer(&e, &answer);
        if (e.cross_origin) {
            check_preflight(&e);
            check_cors(&e, &answer);
        }
        check_cookies(&e, &answer);
    }
    cli_http_answer_free(&answer);
    cli_link_free(&e.link);
}
