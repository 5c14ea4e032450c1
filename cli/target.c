#include "target.h"

#include <stdlib.h>
#include <string.h>

#define DEFAULT_SETTING "pusher://app-key:app-secret@127.0.0.1:6001/app-id?scheme=http"
#define PUSHER_DOMAIN   ".pusher.com"
#define MAX_SETTING     8192

static const struct scheme {
    const char *text;
    bool tls;
} schemes[] = {
    {"pusher://", true}, {"https://", true}, {"http://", false}, {"wss://", true}, {"ws://", false},
};

/* Copies len bytes with "%40" as "@"; false: it does not fit, or is no text. */
static bool copy(char *out, size_t cap, const char *text, size_t len)
{
    size_t count = 0;

    for (size_t i = 0; i < len; i++) {
        unsigned byte = (unsigned char)text[i];
        if (byte == '%') {
            if (len - i < 3 || strspn(text + i + 1, "0123456789abcdefABCDEF") < 2 ||
                sscanf(text + i + 1, "%2x", &byte) != 1)
                return false;
            i += 2;
        }
        if (byte < ' ' || byte == 0x7f || count + 1 >= cap)
            return false;
        out[count++] = (char)byte;
    }
    out[count] = '\0';
    return true;
}

/* Cuts KEY:SECRET@ off the text. */
static bool read_user(struct cli_target *t, const char **at, const char *end)
{
    const char *behind = NULL;

    for (const char *c = *at; c < end; c++) {
        if (*c == '@')
            behind = c;
    }
    if (!behind)
        return true;
    const char *colon = memchr(*at, ':', (size_t)(behind - *at));
    if (!colon)
        colon = behind;
    bool good = copy(t->key, sizeof t->key, *at, (size_t)(colon - *at));
    if (colon < behind)
        good &= copy(t->secret, sizeof t->secret, colon + 1, (size_t)(behind - colon - 1));
    *at = behind + 1;
    return good;
}

static bool read_host(struct cli_address *a, const char *at, const char *end)
{
    const char *host = at, *host_end = end, *port = NULL;
    char digits[8] = "";
    uint64_t number;

    if (at < end && *at == '[') {
        host++;
        host_end = memchr(at, ']', (size_t)(end - at));
        if (!host_end)
            return false;
        port = host_end + 1;
    } else {
        port = memchr(at, ':', (size_t)(end - at));
        host_end = port ? port : end;
    }
    if (host == host_end || !copy(a->host, sizeof a->host, host, (size_t)(host_end - host)))
        return false;
    if (!port || port == end)
        return true;
    if (*port != ':' || !copy(digits, sizeof digits, port + 1, (size_t)(end - port - 1)) ||
        !cli_parse_number(digits, &number) || number == 0 || number > 65535)
        return false;
    a->port = (uint16_t)number;
    return true;
}

/* Finds the last `part` in the path, such as "/apps/", and takes the name behind it. */
static bool read_path(struct cli_target *t, const char *at, const char *end)
{
    static const char apps[] = "/apps/", app[] = "/app/";
    char path[512];

    if (!copy(path, sizeof path, at, (size_t)(end - at)))
        return false;
    char *name = strstr(path, apps), *key = strstr(path, app);
    char *behind = name ? name + sizeof apps - 1 : key ? key + sizeof app - 1 : NULL;
    if (behind) {
        size_t len = strcspn(behind, "/");
        if (!copy(name ? t->id : t->key, sizeof t->id, behind, len))
            return false;
        *(name ? name : key) = '\0';
    }
    for (size_t len = strlen(path); len > 0 && path[len - 1] == '/'; len--)
        path[len - 1] = '\0';
    return copy(t->api.prefix, sizeof t->api.prefix, path, strlen(path));
}

/* The path and query of pusher://...: the app's id, and the scheme. */
static bool read_setting(struct cli_target *t, const char *path, const char *path_end)
{
    const char *query = *path_end == '?' ? path_end + 1 : "";
    const char *last = path_end;

    while (last > path && last[-1] != '/')
        last--;
    if (!copy(t->id, sizeof t->id, last, (size_t)(path_end - last)))
        return false;
    size_t before = (size_t)(last - path);
    if (before > 0)
        before--; /* the slash */
    if (!copy(t->api.prefix, sizeof t->api.prefix, path, before))
        return false;
    while (*query) {
        size_t len = strcspn(query, "&");
        if (len == 11 && strncmp(query, "scheme=http", len) == 0) {
            t->api.tls = false;
        } else if (len > 8 && strncmp(query, "cluster=", 8) == 0 && !t->api.host[0]) {
            char cluster[64];
            if (!copy(cluster, sizeof cluster, query + 8, len - 8))
                return false;
            (void)snprintf(t->api.host, sizeof t->api.host, "api-%s%s", cluster, PUSHER_DOMAIN);
        }
        query += len + (query[len] == '&');
    }
    if (!t->api.host[0])
        (void)snprintf(t->api.host, sizeof t->api.host, "api-mt1%s", PUSHER_DOMAIN);
    return true;
}

/* Pusher has one host for its API and another for its WebSockets. */
static void set_ws(struct cli_target *t)
{
    size_t len = strlen(t->api.host), domain = sizeof PUSHER_DOMAIN - 1;

    t->ws = t->api;
    if (len > domain && strcmp(t->api.host + len - domain, PUSHER_DOMAIN) == 0 &&
        strncmp(t->api.host, "api", 3) == 0)
        (void)snprintf(t->ws.host, sizeof t->ws.host, "ws%s", t->api.host + 3);
}

int cli_target_parse(struct cli_target *target, const char *text, struct cli_error *error)
{
    struct cli_target t = {0};
    const struct scheme *scheme = NULL;

    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0] && !scheme; i++) {
        if (strncmp(text, schemes[i].text, strlen(schemes[i].text)) == 0)
            scheme = &schemes[i];
    }
    if (!scheme)
        return cli_fail(error, "a server is http://HOST:PORT, https://KEY:SECRET@HOST/apps/APP-ID, "
                               "wss://HOST/app/KEY or pusher://KEY:SECRET@HOST:PORT/APP-ID");
    const char *at = text + strlen(scheme->text);
    const char *host_end = at + strcspn(at, "/?#");
    const char *path_end = host_end + strcspn(host_end, "?#");
    bool setting = scheme == schemes;
    t.api.tls = scheme->tls;
    bool good =
        read_user(&t, &at, host_end) &&
        ((setting && at == host_end) || read_host(&t.api, at, host_end)) &&
        (setting ? read_setting(&t, host_end, path_end) : read_path(&t, host_end, path_end));
    if (!good) /* without the text, which may hold a secret */
        return cli_fail(error,
                        "the server's URL cannot be read: %s[KEY:SECRET@]HOST[:PORT]/... is "
                        "expected, with %%40 for an @ inside a part",
                        scheme->text);
    if (t.api.port == 0)
        t.api.port = t.api.tls ? 443 : 80;
    set_ws(&t);
    *target = t;
    return 0;
}

int cli_target_look_up(struct cli_target *target, pusherc_lookup_fn lookup, void *user_data,
                       struct cli_error *error)
{
    pusherc_errinfo info = {0};
    char setting[MAX_SETTING];

    int err = pusherc_broadcast_url(lookup, user_data, setting, sizeof setting, NULL, &info);
    if (err == PUSHERC_ENOENT)
        return 0;
    if (err)
        return cli_fail(error, "%s", info.text[0] ? info.text : pusherc_strerror(err));
    if (strncmp(setting, "pusher://", 9) != 0 && strncmp(setting, "http", 4) != 0)
        return cli_fail(error,
                        "the environment publishes by \"%.*s\", which is no server of the "
                        "Pusher protocol",
                        (int)strcspn(setting, ":"), setting);
    return cli_target_parse(target, setting, error) ? -1 : 1;
}

int cli_target_set_app(struct cli_target *target, const char *text, struct cli_error *error)
{
    size_t id = strcspn(text, ":");
    const char *key = text + id + (text[id] == ':');
    size_t key_len = strcspn(key, ":");
    const char *secret = key + key_len + (key[key_len] == ':');

    if (id == 0 || key_len == 0 || !*secret || id >= sizeof target->id ||
        key_len >= sizeof target->key || strlen(secret) >= sizeof target->secret)
        return cli_fail(error, "--app must be ID:KEY:SECRET, three parts with a colon between");
    (void)snprintf(target->id, sizeof target->id, "%.*s", (int)id, text);
    (void)snprintf(target->key, sizeof target->key, "%.*s", (int)key_len, key);
    (void)snprintf(target->secret, sizeof target->secret, "%s", secret);
    return 0;
}

int cli_target_set_ws(struct cli_target *target, const char *text, struct cli_error *error)
{
    struct cli_target other;

    if (cli_target_parse(&other, text, error))
        return -1;
    target->ws = other.ws;
    return 0;
}

static const char *from_process(const char *name, void *user_data)
{
    (void)user_data;
    return getenv(name);
}

/* Takes what `to` lacks, if both do not name different apps. */
static void fill(struct cli_target *to, const struct cli_target *from)
{
    if ((to->id[0] && strcmp(to->id, from->id) != 0) ||
        (to->key[0] && strcmp(to->key, from->key) != 0))
        return;
    if (!to->id[0])
        memcpy(to->id, from->id, sizeof to->id);
    if (!to->key[0])
        memcpy(to->key, from->key, sizeof to->key);
    if (!to->secret[0])
        memcpy(to->secret, from->secret, sizeof to->secret);
}

int cli_target_find(struct cli_target *target, const char *url, const char *app,
                    struct cli_error *error)
{
    struct cli_target around = {0};
    struct cli_error ignored;

    if (url && cli_target_parse(target, url, error))
        return -1;
    int found = cli_target_look_up(&around, from_process, NULL, url ? &ignored : error);
    if (found < 0 && !url)
        return -1;
    if (!url && found == 0 && cli_target_parse(&around, DEFAULT_SETTING, error))
        return -1;
    if (!url)
        *target = around;
    if (app)
        return cli_target_set_app(target, app, error);
    if (url && found > 0)
        fill(target, &around);
    return 0;
}

pusherc_credentials cli_target_credentials(const struct cli_target *target)
{
    pusherc_credentials c = PUSHERC_CREDENTIALS_INIT;

    c.app_id = pusherc_slice_of(target->id);
    c.key = pusherc_slice_of(target->key);
    c.secret = pusherc_slice_of(target->secret);
    return c;
}

void cli_address_print(const struct cli_address *address, bool ws, char out[CLI_ADDRESS_TEXT])
{
    bool ipv6 = strchr(address->host, ':') != NULL;

    (void)snprintf(out, CLI_ADDRESS_TEXT, "%s%s://%s%s%s:%u%s", ws ? "ws" : "http",
                   address->tls ? "s" : "", ipv6 ? "[" : "", address->host, ipv6 ? "]" : "",
                   (unsigned)address->port, address->prefix);
}
