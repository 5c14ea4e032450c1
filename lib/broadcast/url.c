#include "broadcast/url.h"

#include <pusherc/error.h>

#include "auth/sign.h"
#include "codec/crypto.h"
#include "codec/pairs.h"

#define MAX_BYTES 8192

/* What a setting begins with. */
static const struct scheme {
    pusherc_slice begins;
    enum pc_carrier_kind kind;
    uint16_t port; /* where none is named; 0 = by `scheme=` */
    bool tls;
    bool is_sdk_url; /* its path is [PREFIX]/apps/ID */
    bool sentinel;   /* its path is MASTER[/DB] */
} schemes[] = {
    {PUSHERC_LIT("pusher://"), PC_CARRIER_HTTP, 0, true, false, false},
    {PUSHERC_LIT("reverb://"), PC_CARRIER_HTTP, 0, true, false, false},
    {PUSHERC_LIT("https://"), PC_CARRIER_HTTP, 443, true, true, false},
    {PUSHERC_LIT("http://"), PC_CARRIER_HTTP, 80, false, true, false},
    {PUSHERC_LIT("redis://"), PC_CARRIER_REDIS, 6379, false, false, false},
    {PUSHERC_LIT("rediss://"), PC_CARRIER_REDIS, 6379, true, false, false},
    {PUSHERC_LIT("redis+sentinel://"), PC_CARRIER_REDIS, 26379, false, false, true},
    {PUSHERC_LIT("rediss+sentinel://"), PC_CARRIER_REDIS, 26379, true, false, true},
    {PUSHERC_LIT("local:"), PC_CARRIER_LOCAL, 0, false, false, false},
    {PUSHERC_LIT("log:"), PC_CARRIER_LOG, 0, false, false, false},
    {PUSHERC_LIT("null:"), PC_CARRIER_NULL, 0, false, false, false},
    {PUSHERC_LIT("host:"), PC_CARRIER_HOST, 0, false, false, false},
    {PUSHERC_LIT("failover:"), PC_CARRIER_FAILOVER, 0, false, false, false},
};

static const struct scheme *scheme_of(pusherc_slice text)
{
    for (size_t i = 0; i < sizeof schemes / sizeof schemes[0]; i++)
        if (pc_slice_starts(text, schemes[i].begins))
            return &schemes[i];
    return NULL;
}

bool pc_broadcast_url_next(pusherc_slice *list, pusherc_slice *one)
{
    if (list->len == 0)
        return false;
    for (size_t i = 0; i < list->len; i++) {
        if (list->ptr[i] == ',' && scheme_of(pc_slice_skip(*list, i + 1))) {
            *one = pc_slice_first(*list, i);
            *list = pc_slice_skip(*list, i + 1);
            return true;
        }
    }
    *one = *list;
    *list = PC_S("");
    return true;
}

/* -- pieces; all of them lie in out->text, which is decoded in place -- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = pc_ascii_lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The piece becomes shorter. False: a '%' without two digits, or a control character. */
static bool decode(pusherc_slice *piece)
{
    char *to = (char *)piece->ptr;
    size_t len = 0;
    for (size_t i = 0; i < piece->len; i++) {
        char c = piece->ptr[i];
        if (c == '%') {
            int high = i + 2 < piece->len ? hex_digit(piece->ptr[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(piece->ptr[i + 2]) : -1;
            if (low < 0)
                return false;
            c = (char)(high * 16 + low);
            i += 2;
        }
        if ((unsigned char)c < 0x20 || c == 0x7f)
            return false;
        to[len++] = c;
    }
    piece->len = len;
    return pc_utf8_valid(*piece);
}

/* Cuts off what stands before `c`; without one all of it. True: there was one. */
static bool cut(pusherc_slice *rest, char c, pusherc_slice *before)
{
    size_t at = pc_slice_find(*rest, c);
    bool found = at < rest->len;
    *before = pc_slice_first(*rest, at);
    *rest = pc_slice_skip(*rest, found ? at + 1 : at);
    return found;
}

static bool is_host(pusherc_slice name, bool ipv6)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = pc_ascii_lower(name.ptr[i]);
        bool hex = hex_digit(c) >= 0;
        if (ipv6 ? !(hex || c == ':' || c == '.')
                 : !((c >= 'a' && c <= 'z') || hex || c == '.' || c == '-' || c == '_'))
            return false;
    }
    return name.len > 0 && name.len <= 253;
}

/* HOST, HOST:PORT, [IPV6] or [IPV6]:PORT. */
static bool read_host(struct pc_broadcast_url *out, pusherc_slice text)
{
    uint64_t port = 0;
    if (out->host_count == PC_BROADCAST_MAX_HOSTS)
        return false;
    struct pc_broadcast_host *host = &out->hosts[out->host_count++];
    host->is_ipv6 = pc_slice_starts(text, PC_S("["));
    if (host->is_ipv6) {
        pusherc_slice rest = pc_slice_skip(text, 1);
        if (!cut(&rest, ']', &host->name) || (rest.len && rest.ptr[0] != ':'))
            return false;
        text = rest;
    } else {
        size_t at = pc_slice_find(text, ':');
        host->name = pc_slice_first(text, at);
        text = pc_slice_skip(text, at);
    }
    if (text.len && (!pc_slice_to_u64(pc_slice_skip(text, 1), &port) || port == 0 || port > 65535))
        return false;
    host->port = (uint16_t)port;
    return is_host(host->name, host->is_ipv6);
}

static const char *read_hosts(struct pc_broadcast_url *out, pusherc_slice list)
{
    pusherc_slice one;
    while (list.len) {
        cut(&list, ',', &one);
        if (!read_host(out, one))
            return "a host is not HOST, HOST:PORT or [IPV6]:PORT, or there are more than 8";
    }
    return NULL;
}

/* USER:PASSWORD before the last '@', if there is one. */
static const char *read_user(struct pc_broadcast_url *out, pusherc_slice *authority)
{
    size_t at = authority->len;
    while (at > 0 && authority->ptr[at - 1] != '@')
        at--;
    if (at == 0)
        return NULL;
    pusherc_slice user = pc_slice_first(*authority, at - 1);
    *authority = pc_slice_skip(*authority, at);
    cut(&user, ':', &out->user);
    out->password = user;
    return decode(&out->user) && decode(&out->password)
               ? NULL
               : "name or password are not percent-encoded UTF-8";
}

/* -- parameters -- */

struct params {
    pusherc_slice scheme, cluster, master_key, idempotency;
};

static const char *read_params(struct pc_broadcast_url *out, pusherc_slice query,
                               struct params *params)
{
    const struct {
        pusherc_slice name;
        pusherc_slice *value;
        enum pc_carrier_kind of;
    } known[] = {
        {PC_S("scheme"), &params->scheme, PC_CARRIER_HTTP},
        {PC_S("cluster"), &params->cluster, PC_CARRIER_HTTP},
        {PC_S("path"), &out->path, PC_CARRIER_HTTP},
        {PC_S("encryption_master_key"), &params->master_key, PC_CARRIER_HTTP},
        {PC_S("idempotency"), &params->idempotency, PC_CARRIER_HTTP},
        {PC_S("prefix"), &out->prefix, PC_CARRIER_REDIS},
        {PC_S("sentinel_user"), &out->sentinel_user, PC_CARRIER_REDIS},
        {PC_S("sentinel_password"), &out->sentinel_password, PC_CARRIER_REDIS},
        {PC_S("ca_file"), &out->ca_file, PC_CARRIER_REDIS},
        {PC_S("cert_file"), &out->cert_file, PC_CARRIER_REDIS},
        {PC_S("key_file"), &out->key_file, PC_CARRIER_REDIS},
    };
    struct pc_pair pair;
    while (pc_query_next(&query, &pair)) {
        size_t i = 0;
        while (i < sizeof known / sizeof known[0] &&
               (known[i].of != out->kind || !pc_slice_eq(known[i].name, pair.name)))
            i++;
        if (i == sizeof known / sizeof known[0])
            return out->kind == PC_CARRIER_REDIS
                       ? "unknown parameter: there are prefix, ca_file, cert_file, key_file, "
                         "sentinel_user, sentinel_password"
                       : "unknown parameter: there are scheme, cluster, path, "
                         "encryption_master_key, idempotency";
        *known[i].value = pair.value;
        if (!decode(known[i].value))
            return "a parameter is not percent-encoded UTF-8";
    }
    return NULL;
}

static const char *take_scheme(struct pc_broadcast_url *out, const struct scheme *scheme,
                               pusherc_slice word)
{
    if (word.len == 0)
        return NULL;
    if (scheme->is_sdk_url ||
        !(pc_slice_eq(word, PC_S("http")) || pc_slice_eq(word, PC_S("https"))))
        return "scheme is http or https, and belongs to pusher://";
    out->tls = word.len == 5;
    return NULL;
}

static const char *take_params(struct pc_broadcast_url *out, const struct scheme *scheme,
                               const struct params *params)
{
    const char *why = take_scheme(out, scheme, params->scheme);
    if (why)
        return why;
    if (params->master_key.len) {
        if (pusherc_master_key_decode(params->master_key, out->master_key))
            return "encryption_master_key is not base64 of 32 bytes";
        out->has_master_key = true;
    }
    if (params->idempotency.len && !pc_slice_eq(params->idempotency, PC_S("on"))) {
        if (!pc_slice_eq(params->idempotency, PC_S("off")))
            return "idempotency is on or off";
        out->no_keys = true;
    }
    return NULL;
}

/* -- the forms -- */

/* [PREFIX]/apps/ID, or ID. */
static const char *read_app(struct pc_broadcast_url *out, const struct scheme *scheme,
                            pusherc_slice path)
{
    static const pusherc_slice apps = PUSHERC_LIT("apps/");
    size_t at = path.len;
    while (at > 0 && path.ptr[at - 1] != '/')
        at--;
    out->app_id = pc_slice_skip(path, at);
    pusherc_slice before = pc_slice_first(path, at);
    if (scheme->is_sdk_url) {
        if (!pc_slice_ends(before, apps))
            return "the path is not /apps/ID";
        before.len -= apps.len;
        if (before.len) /* "PREFIX/": the slash before it stands in the text as well */
            out->path = pc_slice(before.ptr - 1, before.len);
    } else if (before.len) {
        return "the path is the app's id, without a slash";
    }
    return out->app_id.len > 0 && out->app_id.len <= 200 && decode(&out->app_id)
               ? NULL
               : "there is no app's id behind the host";
}

static bool is_path(pusherc_slice path)
{
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.ptr[i] <= 0x20 || (unsigned char)path.ptr[i] >= 0x7f ||
            path.ptr[i] == '?' || path.ptr[i] == '#')
            return false;
    return path.len == 0 || (path.ptr[0] == '/' && path.ptr[path.len - 1] != '/');
}

/* Pusher's own servers. The name is put behind the text, which has room for it. */
static const char *name_cluster(struct pc_broadcast_url *out, pusherc_slice cluster, size_t at)
{
    const pusherc_slice parts[] = {PC_S("api-"), cluster.len ? cluster : PC_S("mt1"),
                                   PC_S(".pusher.com")};
    struct pc_broadcast_host *host = &out->hosts[out->host_count++];
    char *to = out->text + at;
    if (cluster.len > 32 || (cluster.len && !is_host(cluster, false)))
        return "cluster is no name";
    host->name.ptr = to;
    for (size_t i = 0; i < 3; i++) {
        memcpy(to + host->name.len, parts[i].ptr, parts[i].len);
        host->name.len += parts[i].len;
    }
    return NULL;
}

static const char *check_http(struct pc_broadcast_url *out)
{
    if (out->user.len == 0 || pc_slice_find(out->user, ':') < out->user.len ||
        out->password.len == 0)
        return "key and secret are missing: KEY:SECRET@HOST";
    for (size_t i = 0; i < out->host_count; i++)
        if (!out->hosts[i].port)
            out->hosts[i].port = out->tls ? 443 : 80;
    return is_path(out->path) ? NULL : "path does not begin with a slash, or is no path of a URL";
}

static const char *read_http(struct pc_broadcast_url *out, const struct scheme *scheme,
                             pusherc_slice authority, pusherc_slice path, pusherc_slice query)
{
    struct params params = {.scheme = PC_S("")};
    const size_t room = pc_slice_starts(scheme->begins, PC_S("pusher")) ? out->text_size - 64 : 0;
    const char *why = read_user(out, &authority);
    if (!why)
        why = read_app(out, scheme, path);
    if (!why)
        why = read_params(out, query, &params);
    if (!why)
        why = take_params(out, scheme, &params);
    if (!why && authority.len)
        why = read_hosts(out, authority);
    else if (!why && room)
        why = name_cluster(out, params.cluster, room);
    else if (!why)
        why = "there is no host";
    return why ? why : check_http(out);
}

/* [DB], or MASTER[/DB]. */
static const char *read_redis_path(struct pc_broadcast_url *out, const struct scheme *scheme,
                                   pusherc_slice path)
{
    uint64_t db = 0;
    if (scheme->sentinel) {
        cut(&path, '/', &out->master);
        if (out->master.len == 0 || out->master.len > 100 || !decode(&out->master))
            return "the path is MASTER or MASTER/DB";
    }
    if (path.len && (!pc_slice_to_u64(path, &db) || db > 65535))
        return "the path is the number of a database";
    out->db = (uint32_t)db;
    return NULL;
}

static const char *read_redis(struct pc_broadcast_url *out, const struct scheme *scheme,
                              pusherc_slice authority, pusherc_slice path, pusherc_slice query)
{
    struct params unused = {.scheme = PC_S("")};
    const char *why = read_user(out, &authority);
    if (!why && authority.len == 0)
        why = "there is no host";
    if (!why)
        why = read_hosts(out, authority);
    if (!why)
        why = read_redis_path(out, scheme, path);
    if (!why)
        why = read_params(out, query, &unused);
    if (!why && !out->tls && (out->ca_file.len || out->cert_file.len || out->key_file.len))
        why = "ca_file, cert_file and key_file belong to rediss://";
    if (!why && !scheme->sentinel && (out->sentinel_user.len || out->sentinel_password.len))
        why = "sentinel_user and sentinel_password belong to redis+sentinel://";
    for (size_t i = 0; i < out->host_count; i++)
        if (!out->hosts[i].port)
            out->hosts[i].port = scheme->port;
    return why;
}

static const char *read_rest(struct pc_broadcast_url *out, const struct scheme *scheme,
                             pusherc_slice rest)
{
    pusherc_slice authority, path, before;
    switch (scheme->kind) {
    case PC_CARRIER_HTTP:
    case PC_CARRIER_REDIS:
        cut(&rest, '?', &before);
        cut(&before, '/', &authority);
        path = before;
        return scheme->kind == PC_CARRIER_HTTP ? read_http(out, scheme, authority, path, rest)
                                               : read_redis(out, scheme, authority, path, rest);
    case PC_CARRIER_LOCAL:
        out->app_id = rest;
        return rest.len && decode(&out->app_id) ? NULL : "local: needs an app's id";
    case PC_CARRIER_LOG:
    case PC_CARRIER_NULL:
    case PC_CARRIER_HOST:
        return rest.len == 0 ? NULL : "nothing stands behind log:, null: and host:";
    case PC_CARRIER_FAILOVER:
        out->rest = rest;
        return rest.len ? NULL : "failover: needs a list of settings";
    }
    return NULL;
}

int pc_broadcast_url_parse(struct pc_broadcast_url *out, const struct pc_mem *mem,
                           pusherc_slice text, const char **why)
{
    const struct scheme *scheme = scheme_of(text);
    *out = (struct pc_broadcast_url){.mem = mem};
    *why = "a setting begins with pusher://, reverb://, http://, https://, redis://, rediss://, "
           "redis+sentinel://, local:, log:, "
           "null:, host: or failover:";
    if (!scheme)
        return PUSHERC_EINVAL;
    *why = "the setting is too long";
    if (text.len > MAX_BYTES)
        return PUSHERC_EINVAL;
    out->text_size = text.len + 64; /* name_cluster() */
    out->text = pc_alloc(mem, out->text_size);
    if (!out->text)
        return PUSHERC_ENOMEM;
    memcpy(out->text, text.ptr, text.len);
    out->kind = scheme->kind;
    out->tls = scheme->tls;
    *why = read_rest(out, scheme,
                     pc_slice(out->text + scheme->begins.len, text.len - scheme->begins.len));
    if (!*why)
        return 0;
    pc_broadcast_url_free(out);
    return PUSHERC_EINVAL;
}

void pc_broadcast_url_free(struct pc_broadcast_url *url)
{
    if (url->text) {
        pc_wipe(url->text, url->text_size);
        pc_free(url->mem, url->text);
    }
    pc_wipe(url->master_key, sizeof url->master_key);
    url->text = NULL;
}
