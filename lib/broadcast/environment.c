/* The setting that an environment of Laravel, Pusher, Reverb or soketi means (pusherc/broadcast.h). */
#include <pusherc/broadcast.h>

#include "base/log.h"
#include "broadcast/laravel.h"
#include "codec/pairs.h"

struct environment {
    pusherc_lookup_fn lookup;
    void *user_data;
    struct pc_buf out;
    pusherc_errinfo *info;
};

/* len 0: not set, or empty, which files of the environment often have for "not set". */
static pusherc_slice value_of(const struct environment *e, const char *name)
{
    return pc_slice_of(e->lookup(name, e->user_data));
}

static bool is_set(const struct environment *e, const char *name)
{
    return value_of(e, name).len > 0;
}

/* The value of a name is valid until the next look-up, so each is put at once. False: it is not set. */
static bool put_value(struct environment *e, const char *name)
{
    pusherc_slice value = value_of(e, name);
    pc_put_percent(&e->out, value);
    return value.len > 0;
}

static void put_value_or(struct environment *e, const char *name, pusherc_slice fallback)
{
    if (!put_value(e, name))
        pc_buf_put(&e->out, fallback);
}

static int missing(struct environment *e, const char *name)
{
    return pc_errinfo(e->info, PUSHERC_EINVAL, 0, "%s is not set", name);
}

/* -- Pusher's API -- */

struct family {
    const char *id, *key, *secret;
    const char *host, *port, *scheme, *cluster; /* NULL = none */
    pusherc_slice default_host;                 /* len 0: Pusher's own */
    pusherc_slice default_port;                 /* len 0: that of the scheme */
    pusherc_slice default_scheme;
};

static const struct family reverb = {"REVERB_APP_ID",
                                     "REVERB_APP_KEY",
                                     "REVERB_APP_SECRET",
                                     "REVERB_HOST",
                                     "REVERB_PORT",
                                     "REVERB_SCHEME",
                                     NULL,
                                     PUSHERC_LIT("127.0.0.1"),
                                     PUSHERC_LIT(""),
                                     PUSHERC_LIT("https")};
static const struct family pusher = {"PUSHER_APP_ID",      "PUSHER_APP_KEY", "PUSHER_APP_SECRET",
                                     "PUSHER_HOST",        "PUSHER_PORT",    "PUSHER_SCHEME",
                                     "PUSHER_APP_CLUSTER", PUSHERC_LIT(""),  PUSHERC_LIT(""),
                                     PUSHERC_LIT("https")};
static const struct family soketi = {"SOKETI_DEFAULT_APP_ID",
                                     "SOKETI_DEFAULT_APP_KEY",
                                     "SOKETI_DEFAULT_APP_SECRET",
                                     NULL,
                                     "SOKETI_PORT",
                                     NULL,
                                     NULL,
                                     PUSHERC_LIT("127.0.0.1"),
                                     PUSHERC_LIT("6001"),
                                     PUSHERC_LIT("http")};

static void put_address(struct environment *e, const struct family *f)
{
    pusherc_slice host = f->host ? value_of(e, f->host) : f->default_host;
    if (host.len == 0)
        host = f->default_host;
    bool own = host.len == 0; /* Pusher's own servers, which have one port */
    bool ipv6 = pc_slice_find(host, ':') < host.len && host.ptr[0] != '[';
    pc_buf_put(&e->out, ipv6 ? PC_S("[") : PC_S(""));
    pc_buf_put(&e->out, host);
    pc_buf_put(&e->out, ipv6 ? PC_S("]") : PC_S(""));
    if (own || (f->default_port.len == 0 && !is_set(e, f->port)))
        return;
    pc_buf_put_char(&e->out, ':');
    put_value_or(e, f->port, f->default_port);
}

/* pusher://KEY:SECRET@HOST:PORT/ID?scheme=S&cluster=C */
static int put_family(struct environment *e, const struct family *f)
{
    pc_buf_put(&e->out, PC_S("pusher://"));
    if (!put_value(e, f->key))
        return missing(e, f->key);
    pc_buf_put_char(&e->out, ':');
    if (!put_value(e, f->secret))
        return missing(e, f->secret);
    pc_buf_put_char(&e->out, '@');
    put_address(e, f);
    pc_buf_put_char(&e->out, '/');
    if (!put_value(e, f->id))
        return missing(e, f->id);
    pc_buf_put(&e->out, PC_S("?scheme="));
    if (f->scheme)
        put_value_or(e, f->scheme, f->default_scheme);
    else
        pc_buf_put(&e->out, f->default_scheme);
    if (f->cluster && is_set(e, f->cluster)) {
        pc_buf_put(&e->out, PC_S("&cluster="));
        put_value(e, f->cluster);
    }
    return 0;
}

static int put_pusher(struct environment *e)
{
    if (is_set(e, pusher.key) || !is_set(e, "PUSHER_URL"))
        return put_family(e, &pusher);
    pc_buf_put(&e->out, value_of(e, "PUSHER_URL"));
    return 0;
}

/* -- Redis -- */

/* REDIS_PREFIX may be set to nothing on purpose. */
static void put_prefix(struct environment *e)
{
    const char *prefix = e->lookup("REDIS_PREFIX", e->user_data);
    if (prefix) {
        pc_put_percent(&e->out, pc_slice_of(prefix));
        return;
    }
    pc_laravel_put_prefix(&e->out, value_of(e, "APP_NAME"), '-');
}

/* Laravel's files say "null" for no password. */
static bool has_text(const struct environment *e, const char *name)
{
    pusherc_slice value = value_of(e, name);
    return value.len > 0 && !pc_slice_eq(value, PC_S("null"));
}

static int put_redis(struct environment *e)
{
    if (is_set(e, "REDIS_URL")) {
        pusherc_slice url = value_of(e, "REDIS_URL");
        bool query = pc_slice_find(url, '?') < url.len;
        pc_buf_put(&e->out, url);
        pc_buf_put(&e->out, query ? PC_S("&prefix=") : PC_S("?prefix="));
        put_prefix(e);
        return 0;
    }
    pc_buf_put(&e->out, PC_S("redis://"));
    if (has_text(e, "REDIS_PASSWORD")) {
        if (has_text(e, "REDIS_USERNAME"))
            put_value(e, "REDIS_USERNAME");
        pc_buf_put_char(&e->out, ':');
        put_value(e, "REDIS_PASSWORD");
        pc_buf_put_char(&e->out, '@');
    }
    put_value_or(e, "REDIS_HOST", PC_S("127.0.0.1"));
    pc_buf_put_char(&e->out, ':');
    put_value_or(e, "REDIS_PORT", PC_S("6379"));
    pc_buf_put_char(&e->out, '/');
    put_value_or(e, "REDIS_DB", PC_S("0"));
    pc_buf_put(&e->out, PC_S("?prefix="));
    put_prefix(e);
    return 0;
}

/* -- choosing -- */

static int put_connection(struct environment *e, pusherc_slice connection)
{
    if (pc_slice_find(connection, ':') < connection.len) { /* a setting */
        pc_buf_put(&e->out, connection);
        return 0;
    }
    if (pc_slice_eq(connection, PC_S("reverb")))
        return put_family(e, &reverb);
    if (pc_slice_eq(connection, PC_S("pusher")))
        return put_pusher(e);
    if (pc_slice_eq(connection, PC_S("redis")))
        return put_redis(e);
    if (pc_slice_eq(connection, PC_S("log")) || pc_slice_eq(connection, PC_S("null"))) {
        pc_buf_put(&e->out, connection);
        pc_buf_put_char(&e->out, ':');
        return 0;
    }
    return pc_errinfo(e->info, PUSHERC_EINVAL, 0,
                      "BROADCAST_CONNECTION is \"%.*s\": there are reverb, pusher, redis, log, "
                      "null, and settings such as pusher://...",
                      (int)pc_utf8_cut(connection, 40).len, connection.ptr);
}

static int put_setting(struct environment *e)
{
    static const char *const named[] = {"BROADCAST_CONNECTION", "BROADCAST_DRIVER"};
    if (is_set(e, "BROADCAST_URL")) {
        pc_buf_put(&e->out, value_of(e, "BROADCAST_URL"));
        return 0;
    }
    for (size_t i = 0; i < 2; i++)
        if (is_set(e, named[i]))
            return put_connection(e, value_of(e, named[i]));
    if (is_set(e, reverb.key))
        return put_family(e, &reverb);
    if (is_set(e, pusher.key) || is_set(e, "PUSHER_URL"))
        return put_pusher(e);
    if (is_set(e, soketi.key))
        return put_family(e, &soketi);
    return pc_errinfo(e->info, PUSHERC_ENOENT, 0,
                      "none of BROADCAST_URL, BROADCAST_CONNECTION, REVERB_APP_KEY, "
                      "PUSHER_APP_KEY, PUSHER_URL, SOKETI_DEFAULT_APP_KEY is set");
}

int pusherc_broadcast_url(pusherc_lookup_fn lookup, void *user_data, char *out, size_t cap,
                          size_t *len, pusherc_errinfo *info)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct environment e = {.lookup = lookup, .user_data = user_data, .info = info};
    if (!lookup)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "an argument is NULL");
    pc_buf_init(&e.out, &mem, SIZE_MAX);
    int err = put_setting(&e);
    if (err == 0)
        err = pc_buf_hand_over(&e.out, out, cap, len);
    if (e.out.ptr)
        pc_wipe(e.out.ptr, e.out.len);
    pc_buf_free(&e.out);
    return err;
}
