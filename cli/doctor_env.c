/* Settings of an .env file that contradict each other. */
#include "doctor.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "environment.h"

/* One family of names: what the application publishes by, and what the pages are built with. */
static const struct family {
    const char *connection; /* in BROADCAST_CONNECTION */
    const char *key, *secret, *host, *port, *scheme;
    const char *page_key, *page_host, *page_port, *page_scheme, *page_tls;
} families[] = {
    {"reverb", "REVERB_APP_KEY", "REVERB_APP_SECRET", "REVERB_HOST", "REVERB_PORT", "REVERB_SCHEME",
     "VITE_REVERB_APP_KEY", "VITE_REVERB_HOST", "VITE_REVERB_PORT", "VITE_REVERB_SCHEME",
     "VITE_REVERB_FORCE_TLS"},
    {"pusher", "PUSHER_APP_KEY", "PUSHER_APP_SECRET", "PUSHER_HOST", "PUSHER_PORT", "PUSHER_SCHEME",
     "VITE_PUSHER_APP_KEY", "VITE_PUSHER_HOST", "VITE_PUSHER_PORT", "VITE_PUSHER_SCHEME",
     "VITE_PUSHER_FORCE_TLS"},
};
#define FAMILY_COUNT (sizeof families / sizeof families[0])

static const char *const page_names[] = {
    "VITE_REVERB_APP_KEY",   "VITE_REVERB_HOST",      "VITE_REVERB_PORT",
    "VITE_REVERB_SCHEME",    "VITE_PUSHER_HOST",      "VITE_PUSHER_APP_KEY",
    "VITE_PUSHER_PORT",      "VITE_PUSHER_SCHEME",    "VITE_PUSHER_APP_CLUSTER",
    "VITE_REVERB_FORCE_TLS", "VITE_PUSHER_FORCE_TLS",
};
#define PAGE_NAME_COUNT (sizeof page_names / sizeof page_names[0])

/* Names that tools build into pages begin so. */
static const char *const public_prefixes[] = {"VITE_", "MIX_", "NEXT_PUBLIC_", "REACT_APP_"};

static bool starts(const char *text, const char *with)
{
    return strncmp(text, with, strlen(with)) == 0;
}

static bool is_public(const char *name)
{
    for (size_t i = 0; i < sizeof public_prefixes / sizeof public_prefixes[0]; i++) {
        if (starts(name, public_prefixes[i]))
            return true;
    }
    return false;
}

static bool is_page_name(const char *name)
{
    for (size_t i = 0; i < PAGE_NAME_COUNT; i++) {
        if (strcmp(name, page_names[i]) == 0)
            return true;
    }
    return false;
}

static const struct family *family_of(struct cli_dotenv *env)
{
    const char *connection = cli_dotenv_value(env, "BROADCAST_CONNECTION");

    if (!connection)
        connection = cli_dotenv_value(env, "BROADCAST_DRIVER");
    for (size_t i = 0; i < FAMILY_COUNT; i++) {
        if (connection ? strcmp(connection, families[i].connection) == 0
                       : cli_dotenv_value(env, families[i].key) != NULL)
            return &families[i];
    }
    return NULL;
}

/* -- line by line -- */

/* The name that was probably meant; false: the name is known, or belongs to something else. */
static bool is_unread(struct cli_dotenv *env, const char *name, const char **nearest)
{
    if (starts(name, "VITE_PUSHER_") || starts(name, "VITE_REVERB_")) {
        *nearest = cli_nearest(name, page_names, PAGE_NAME_COUNT);
        return *nearest && strcmp(*nearest, name) != 0;
    }
    *nearest = NULL;
    if (starts(name, "MIX_PUSHER_")) /* of Laravel Mix, which Vite has replaced */
        return cli_dotenv_get("VITE_PUSHER_APP_KEY", env) || cli_dotenv_get("VITE_APP_NAME", env);
    return cli_environment_is_unknown(name, nearest);
}

static void check_entry(struct cli_doctor *d, const struct cli_dotenv_entry *entry,
                        const char *secret)
{
    const char *name = entry->name, *nearest;

    if (entry->open_quote || entry->inner_quote)
        cli_doctor_say(d, CLI_FINDING_ENV_QUOTE, "%s, line %u", name, entry->line);
    if (entry->repeated)
        cli_doctor_say(d, CLI_FINDING_ENV_REPEATED, "%s, line %u", name, entry->line);
    if (is_public(name) && *entry->value &&
        ((secret && strcmp(entry->value, secret) == 0) ||
         ((strstr(name, "PUSHER") || strstr(name, "REVERB")) && strstr(name, "SECRET"))))
        cli_doctor_say(d, CLI_FINDING_ENV_SECRET_PUBLIC, "%s, line %u", name, entry->line);
    else if (!*entry->value && is_page_name(name) &&
             !cli_dotenv_value(d->env, name + strlen("VITE_")))
        cli_doctor_say(d, CLI_FINDING_ENV_PAGE_EMPTY, "%s, line %u; %s is not set", name,
                       entry->line, name + strlen("VITE_"));
    else if (is_unread(d->env, name, &nearest))
        cli_doctor_say(d, CLI_FINDING_ENV_UNREAD, "%s, line %u%s%s", name, entry->line,
                       nearest ? "; probably meant: " : "", nearest ? nearest : "");
}

/* -- the application against the pages -- */

static void check_port(struct cli_doctor *d, const char *name, const char *port, bool tls)
{
    if (port && strcmp(port, tls ? "80" : "443") == 0)
        cli_doctor_say(d, CLI_FINDING_ENV_PORT_SCHEME, "%s=%s with %s", name, port,
                       tls ? "https" : "http");
}

/* Pages that Laravel makes use TLS unless the scheme is another one. */
static bool page_has_tls(struct cli_dotenv *env, const struct family *f, const char **source)
{
    const char *scheme = cli_dotenv_value(env, f->page_scheme);
    const char *force = cli_dotenv_value(env, f->page_tls);
    bool tls;

    *source = f->page_tls;
    if (force && cli_parse_switch(force, &tls))
        return tls;
    *source = f->page_scheme;
    return !scheme || strcasecmp(scheme, "https") == 0;
}

static void check_pages(struct cli_doctor *d, const struct family *f)
{
    struct cli_dotenv *env = d->env;
    struct cli_target *t = &d->link.target;
    const char *key = cli_dotenv_value(env, f->page_key);
    const char *host = cli_dotenv_value(env, f->page_host);
    const char *port = cli_dotenv_value(env, f->page_port), *source;
    uint64_t number = 0;

    if (!key && !host && !port)
        return;
    if (key && strcmp(key, t->key) != 0)
        cli_doctor_say(d, CLI_FINDING_ENV_PAGE_KEY, "%s=%.80s and %s=%.80s", f->page_key, key,
                       f->key, t->key);
    bool tls = page_has_tls(env, f, &source);
    bool own = host || cli_dotenv_value(env, f->host); /* not Pusher's */
    if (host && strcmp(host, t->api.host) != 0)
        cli_doctor_say(d, CLI_FINDING_ENV_PAGE_HOST, "%s=%.80s and %.80s", f->page_host, host,
                       t->api.host);
    if (port && cli_parse_number(port, &number) && number != t->api.port)
        cli_doctor_say(d, CLI_FINDING_ENV_PAGE_PORT, "%s=%.8s and %u", f->page_port, port,
                       (unsigned)t->api.port);
    else if (own && tls != t->api.tls && !(host && strcmp(host, t->api.host) != 0))
        cli_doctor_say(d, CLI_FINDING_ENV_PAGE_SCHEME, "%s=%.20s makes pages use %s, %s=%.20s",
                       source, cli_dotenv_value(env, source) ? cli_dotenv_value(env, source) : "",
                       tls ? "wss" : "ws", f->scheme,
                       cli_dotenv_value(env, f->scheme) ? cli_dotenv_value(env, f->scheme) : "");
    check_port(d, f->page_port, port, tls);
    /* the WebSocket is tried where the pages try it */
    if (!own)
        return;
    t->ws.tls = tls;
    if (host)
        (void)snprintf(t->ws.host, sizeof t->ws.host, "%s", host);
    if (number > 0 && number <= 65535)
        t->ws.port = (uint16_t)number;
}

static bool find_target(struct cli_doctor *d)
{
    const char *connection = cli_dotenv_value(d->env, "BROADCAST_CONNECTION");
    struct cli_error error;

    if (!connection)
        connection = cli_dotenv_value(d->env, "BROADCAST_DRIVER");
    if (connection && (strcmp(connection, "log") == 0 || strcmp(connection, "null") == 0 ||
                       strcmp(connection, "redis") == 0 || strcmp(connection, "ably") == 0)) {
        cli_doctor_say(d, CLI_FINDING_ENV_ELSEWHERE, "BROADCAST_CONNECTION=%s", connection);
        return false;
    }
    int found = cli_target_look_up(&d->link.target, cli_dotenv_get, d->env, &error);
    if (found <= 0)
        cli_doctor_say(d, CLI_FINDING_ENV_LACKS, "%s", found < 0 ? error.text : "");
    else if (!connection && !cli_dotenv_value(d->env, "BROADCAST_URL"))
        cli_doctor_say(d, CLI_FINDING_ENV_UNCHOSEN, "%s", "");
    return found > 0;
}

bool cli_doctor_check_env(struct cli_doctor *d)
{
    const struct family *f = family_of(d->env);
    const char *secret = f ? cli_dotenv_value(d->env, f->secret) : NULL;

    for (unsigned i = 0; i < d->env->count; i++)
        check_entry(d, &d->env->entries[i], secret);
    bool found = find_target(d);
    if (found && f) {
        check_port(d, f->port, cli_dotenv_value(d->env, f->port), d->link.target.api.tls);
        check_pages(d, f);
    }
    if (d->counts[1] + d->counts[2] == 0)
        cli_doctor_say(d, CLI_FINDING_ENV_OK, "%u names", d->env->count);
    return found;
}
