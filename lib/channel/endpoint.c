#include "channel/endpoint.h"

#include "base/log.h"
#include "base/options.h"
#include "codec/http.h"

#define MAX_URL_BYTES    2048
#define MAX_FILTER_BYTES 200
#define MAX_FIELD_BYTES  4096 /* of a name, and of a value */

/* -- checking -- */

struct check {
    const char *app_id;
    size_t number; /* of the endpoint, from 1 */
    pusherc_errinfo *info;
};

/* The text contains no value of the host: URLs and header fields carry secrets, and hosts log this text. */
static int refuse_endpoint(const struct check *check, const char *why)
{
    return pc_errinfo(check->info, PUSHERC_EINVAL, 0, "app %.60s: webhook %zu: %s", check->app_id,
                      check->number, why);
}

static bool all_visible_ascii(pusherc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] >= 0x7f)
            return false;
    return true;
}

static bool port_valid(pusherc_slice port)
{
    uint64_t number;
    return port.len == 0 || (pc_slice_to_u64(port, &number) && number >= 1 && number <= 65535);
}

/* host, host:port, [v6], [v6]:port, all with or without user:password@ */
static bool authority_valid(pusherc_slice authority)
{
    size_t at = 0;
    for (size_t i = 0; i < authority.len; i++)
        if (authority.ptr[i] == '@')
            at = i + 1;
    pusherc_slice host = pc_slice_skip(authority, at);
    bool bracket = host.len && host.ptr[0] == '[';
    size_t end = bracket ? pc_slice_find(host, ']') + 1 : pc_slice_find(host, ':');
    if (end > host.len || end < (bracket ? 4 : 1))
        return false;
    pusherc_slice rest = pc_slice_skip(host, end);
    return rest.len == 0 || (rest.ptr[0] == ':' && port_valid(pc_slice_skip(rest, 1)));
}

static bool url_valid(pusherc_slice url)
{
    size_t scheme = pc_slice_find(url, ':');
    bool http = pc_slice_eq_nocase(pc_slice_first(url, scheme), PC_S("http")) ||
                pc_slice_eq_nocase(pc_slice_first(url, scheme), PC_S("https"));
    if (!http || url.len > MAX_URL_BYTES || !all_visible_ascii(url) ||
        !pc_slice_starts(pc_slice_skip(url, scheme), PC_S("://")))
        return false;
    pusherc_slice authority = pc_slice_skip(url, scheme + 3);
    for (size_t i = 0; i < authority.len; i++)
        if (memchr("/?#\\", authority.ptr[i], 4))
            authority.len = i;
    return authority_valid(authority);
}

static bool field_name_valid(pusherc_slice name)
{
    return name.len <= MAX_FIELD_BYTES && pc_http_is_token(name);
}

static bool field_value_valid(pusherc_slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        unsigned char c = (unsigned char)value.ptr[i];
        if ((c < ' ' && c != '\t') || c == 0x7f)
            return false;
    }
    return value.len <= MAX_FIELD_BYTES;
}

/* Fields that only the server may set: sender, content and framing of the request. */
static bool is_reserved_field(pusherc_slice name)
{
    static const pusherc_slice reserved[] = {
        PUSHERC_LIT("content-type"),
        PUSHERC_LIT("content-length"),
        PUSHERC_LIT("content-encoding"),
        PUSHERC_LIT("x-pusher-key"),
        PUSHERC_LIT("x-pusher-signature"),
        PUSHERC_LIT("transfer-encoding"),
        PUSHERC_LIT("connection"),
        PUSHERC_LIT("keep-alive"),
        PUSHERC_LIT("expect"),
        PUSHERC_LIT("te"),
        PUSHERC_LIT("trailer"),
        PUSHERC_LIT("upgrade"),
        PUSHERC_LIT("host"),
    };
    for (size_t i = 0; i < sizeof reserved / sizeof reserved[0]; i++)
        if (pc_slice_eq_nocase(name, reserved[i]))
            return true;
    return false;
}

static int check_fields(const struct check *check, const pusherc_webhook *hook)
{
    if (hook->header_count > PC_ENDPOINT_MAX_FIELDS || (hook->header_count && !hook->headers))
        return refuse_endpoint(check, "headers: at most 16, and not NULL");
    for (size_t i = 0; i < hook->header_count; i++) {
        pusherc_slice name = pc_slice_of(hook->headers[i].name);
        if (!field_name_valid(name))
            return refuse_endpoint(check,
                                   "headers: a name must be made of letters, digits and '-'");
        if (is_reserved_field(name))
            return refuse_endpoint(check,
                                   "headers: Host, Connection, Content-* and X-Pusher-* are set by "
                                   "the server, as is what frames a request");
        if (!field_value_valid(pc_slice_of(hook->headers[i].value)))
            return refuse_endpoint(check,
                                   "headers: a value must be without control characters, and "
                                   "at most 4096 bytes");
    }
    return 0;
}

static int check_one(const struct check *check, const pusherc_webhook *from)
{
    pusherc_webhook copied, *const hook = &copied;
    pusherc_errinfo why;
    if (PC_TAKE(webhook, hook, from, &why))
        return refuse_endpoint(check, why.text);
    if (!url_valid(pc_slice_of(hook->url)))
        return refuse_endpoint(check,
                               "url must be \"http://\" or \"https://\" with a host, at most 2048 "
                               "bytes, without spaces");
    if (hook->events & ~(uint32_t)PUSHERC_WEBHOOK_ALL)
        return refuse_endpoint(check, "events: more than PUSHERC_WEBHOOK_ALL");
    if (pc_slice_of(hook->channel_prefix).len > MAX_FILTER_BYTES ||
        pc_slice_of(hook->channel_suffix).len > MAX_FILTER_BYTES)
        return refuse_endpoint(check, "channel_prefix and channel_suffix: at most 200 bytes");
    return check_fields(check, hook);
}

int pc_endpoints_check(const pusherc_app_options *options, pusherc_errinfo *info)
{
    struct check check = {.app_id = options->id, .info = info};
    int err = 0;
    if (options->webhook_count > PUSHERC_MAX_WEBHOOKS ||
        (options->webhook_count && !options->webhooks))
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "app %.60s: webhooks: at most %d, and not NULL",
                          options->id, PUSHERC_MAX_WEBHOOKS);
    if (options->webhook_count && !field_value_valid(pc_slice_of(options->key)))
        return pc_errinfo(info, PUSHERC_EINVAL, 0,
                          "app %.60s: webhooks: the key goes into a header, so it must be without "
                          "control characters",
                          options->id);
    for (check.number = 1; check.number <= options->webhook_count && err == 0; check.number++)
        err = check_one(&check, PUSHERC_AT(options->webhooks, check.number - 1));
    return err;
}

/* -- copying -- */

pusherc_slice pc_url_host(pusherc_slice url)
{
    pusherc_slice host = pc_slice_skip(url, pc_slice_find(url, ':') + 3);
    for (size_t i = 0; i < host.len; i++)
        if (memchr("/?#", host.ptr[i], 3))
            host.len = i;
    size_t at = 0;
    for (size_t i = 0; i < host.len; i++)
        if (host.ptr[i] == '@')
            at = i + 1;
    return pc_slice_skip(host, at);
}

uint32_t pc_kinds_with_pairs(uint32_t kinds)
{
    static const uint32_t pairs[] = {
        PUSHERC_WEBHOOK_CHANNEL_OCCUPIED | PUSHERC_WEBHOOK_CHANNEL_VACATED,
        PUSHERC_WEBHOOK_MEMBER_ADDED | PUSHERC_WEBHOOK_MEMBER_REMOVED,
    };
    uint32_t all = kinds;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (kinds & pairs[i])
            all |= pairs[i];
    if (kinds & (PUSHERC_WEBHOOK_CACHE_MISS | PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT))
        all |= PUSHERC_WEBHOOK_CHANNEL_VACATED;
    return all;
}

/* Wipes the text before it frees it: URLs and header fields carry secrets. */
static void free_secret(const struct pc_mem *mem, pusherc_slice text)
{
    if (text.ptr)
        pc_wipe((char *)text.ptr, text.len);
    pc_free(mem, (char *)text.ptr);
}

static void free_all(struct pc_endpoints *endpoints)
{
    const struct pc_mem mem = endpoints->mem;
    for (size_t i = 0; i < endpoints->count; i++) {
        struct pc_endpoint *e = &endpoints->items[i];
        for (size_t f = 0; f < e->field_count; f++) {
            free_secret(&mem, e->fields[f].name);
            free_secret(&mem, e->fields[f].value);
        }
        pc_free(&mem, e->fields);
        free_secret(&mem, pc_slice_of(e->url));
        pc_free(&mem, (char *)e->prefix.ptr);
        pc_free(&mem, (char *)e->suffix.ptr);
    }
    pc_hmac_key_free(endpoints->secret);
    pc_free(&mem, (char *)endpoints->app_id.ptr);
    pc_free(&mem, (char *)endpoints->app_key.ptr);
    pc_free(&mem, endpoints);
}

static int copy(const struct pc_mem *mem, const char *text, pusherc_slice *out)
{
    pusherc_slice slice = pc_slice_of(text);
    *out = pc_slice(pc_dup(mem, slice), slice.len);
    return out->ptr ? 0 : PUSHERC_ENOMEM;
}

static int copy_fields(struct pc_endpoint *e, const struct pc_mem *mem, const pusherc_webhook *hook)
{
    if (hook->header_count == 0)
        return 0;
    e->fields = pc_alloc_array(mem, hook->header_count, sizeof *e->fields);
    int err = e->fields ? 0 : PUSHERC_ENOMEM;
    while (err == 0 && e->field_count < hook->header_count) {
        const pusherc_webhook_header *from = &hook->headers[e->field_count];
        struct pc_pair *to = &e->fields[e->field_count++];
        err = copy(mem, from->name, &to->name);
        err = err ? err : copy(mem, from->value, &to->value);
    }
    return err;
}

static int copy_one(struct pc_endpoints *endpoints, const pusherc_webhook *from)
{
    const struct pc_mem *mem = &endpoints->mem;
    pusherc_webhook copied, *const hook = &copied;
    int err = PC_TAKE(webhook, hook, from, NULL);
    if (err)
        return err;
    struct pc_endpoint *e = &endpoints->items[endpoints->count];
    for (size_t i = 0; i < endpoints->count; i++)
        e->nth += strcmp(endpoints->items[i].url, hook->url) == 0;
    endpoints->count++; /* from here on free_all() sees it */
    e->kinds = hook->events ? hook->events : PUSHERC_WEBHOOK_ALL;
    endpoints->kinds |= pc_kinds_with_pairs(e->kinds);
    e->url = pc_dup(mem, pc_slice_of(hook->url));
    err = e->url ? 0 : PUSHERC_ENOMEM;
    err = err ? err : copy(mem, hook->channel_prefix, &e->prefix);
    err = err ? err : copy(mem, hook->channel_suffix, &e->suffix);
    return err ? err : copy_fields(e, mem, hook);
}

int pc_endpoints_new(struct pc_endpoints **out, const struct pc_mem *mem,
                     const pusherc_app_options *options)
{
    *out = NULL;
    struct pc_endpoints *endpoints =
        pc_alloc_zero(mem, sizeof *endpoints + options->webhook_count * sizeof endpoints->items[0]);
    if (!endpoints)
        return PUSHERC_ENOMEM;
    endpoints->mem = *mem;
    atomic_init(&endpoints->refs, 1);
    int err = copy(mem, options->id, &endpoints->app_id);
    err = err ? err : copy(mem, options->key, &endpoints->app_key);
    err = err ? err : pc_hmac_key_new(&endpoints->secret, mem, pc_slice_of(options->secret));
    for (size_t i = 0; i < options->webhook_count && err == 0; i++)
        err = copy_one(endpoints, PUSHERC_AT(options->webhooks, i));
    if (err)
        free_all(endpoints);
    else
        *out = endpoints;
    return err;
}

struct pc_endpoints *pc_endpoints_ref(struct pc_endpoints *endpoints)
{
    if (endpoints)
        atomic_fetch_add_explicit(&endpoints->refs, 1, memory_order_relaxed);
    return endpoints;
}

void pc_endpoints_unref(struct pc_endpoints *endpoints)
{
    /* acquire: the thread that frees sees everything the other holders did */
    if (endpoints && atomic_fetch_sub_explicit(&endpoints->refs, 1, memory_order_acq_rel) == 1)
        free_all(endpoints);
}

const struct pc_endpoint *pc_endpoints_find(const struct pc_endpoints *endpoints,
                                            const struct pc_endpoint *like)
{
    for (size_t i = 0; endpoints && i < endpoints->count; i++) {
        const struct pc_endpoint *e = &endpoints->items[i];
        if (e->nth == like->nth && strcmp(e->url, like->url) == 0)
            return e;
    }
    return NULL;
}
