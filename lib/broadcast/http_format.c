#include "broadcast/http_format.h"

#include <stdio.h>

#include <pusherc/error.h>

#include "codec/crypto.h"
#include "codec/json.h"
#include "codec/pairs.h"
#include "protocol/names.h"

#define NONCE_BYTES 24
#define MAX_WAIT_S  86400
#define QUERY_BYTES                                                                                \
    1024 /* key, time, two digests; a key has at most 200 bytes, of three characters each */

/* -- encryption -- */

static int hex_value(char c)
{
    return c <= '9' ? c - '0' : c - 'a' + 10;
}

/* The nonce follows from the event, so that each attempt has the same text; its key makes it unique. */
static int make_nonce(const struct pc_mem *mem, const struct pc_broadcast_url *url,
                      const struct pc_broadcast_event *e, uint8_t out[NONCE_BYTES])
{
    const pusherc_slice parts[] = {e->key, PC_S("\n"), e->event.channels[0], PC_S("\n"),
                                   e->event.data};
    char hex[PC_SHA256_HEX];
    struct pc_hmac_key *key;
    int err =
        pc_hmac_key_new(&key, mem, pc_slice((const char *)url->master_key, sizeof url->master_key));
    if (err)
        return err;
    err = pc_hmac_hex(key, parts, 5, hex);
    pc_hmac_key_free(key);
    for (size_t i = 0; err == 0 && i < NONCE_BYTES; i++)
        out[i] = (uint8_t)(hex_value(hex[2 * i]) * 16 + hex_value(hex[2 * i + 1]));
    return err;
}

static bool must_encrypt(const struct pc_broadcast_url *url, const struct pc_broadcast_event *e)
{
    struct pc_channel_class class;
    return url->has_master_key && !e->event.encrypted &&
           pc_channel_name_valid(e->event.channels[0], SIZE_MAX, &class) &&
           class.kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED;
}

static int put_encrypted(struct pc_buf *buf, const struct pc_broadcast_url *url,
                         const struct pc_broadcast_event *e)
{
    uint8_t nonce[NONCE_BYTES];
    struct pc_buf text;
    pc_buf_init(&text, buf->mem, SIZE_MAX);
    int err = e->key.len ? make_nonce(buf->mem, url, e, nonce) : 0;
    if (err == 0)
        err = pc_encrypt(&text, e->event.channels[0], e->event.data, url->master_key,
                         e->key.len ? nonce : NULL);
    if (err == 0)
        pc_json_put_string(buf, pc_buf_slice(&text));
    pc_buf_free(&text);
    return err;
}

/* -- the body -- */

static void put_channels(struct pc_buf *buf, const pusherc_event *event, bool in_batch)
{
    if (in_batch) {
        pc_buf_put(buf, PC_S(",\"channel\":"));
        pc_json_put_string(buf, event->channels[0]);
        return;
    }
    pc_buf_put(buf, PC_S(",\"channels\":["));
    for (size_t i = 0; i < event->channel_count; i++) {
        if (i)
            pc_buf_put_char(buf, ',');
        pc_json_put_string(buf, event->channels[i]);
    }
    pc_buf_put_char(buf, ']');
}

static int put_event(struct pc_buf *buf, const struct pc_http_publisher *p,
                     const struct pc_broadcast_event *e, bool in_batch)
{
    const pusherc_event *event = &e->event;
    int err = 0;
    pc_buf_put(buf, PC_S("{\"name\":"));
    pc_json_put_string(buf, event->name);
    put_channels(buf, event, in_batch);
    pc_buf_put(buf, PC_S(",\"data\":"));
    if (must_encrypt(p->url, e))
        err = put_encrypted(buf, p->url, e);
    else
        pc_json_put_string(buf, event->data);
    if (event->except.a || event->except.b) {
        char id[PUSHERC_SOCKET_ID_STRLEN];
        pc_buf_put(buf, PC_S(",\"socket_id\":"));
        pc_json_put_string(buf, pc_slice(id, pusherc_socket_id_format(event->except, id)));
    }
    if (e->key.len && !p->no_keys) {
        pc_buf_put(buf, PC_S(",\"idempotency_key\":"));
        pc_json_put_string(buf, e->key);
    }
    pc_buf_put_char(buf, '}');
    return err;
}

bool pc_http_uses_batch(const struct pc_http_publisher *p, const struct pc_broadcast_batch *batch)
{
    const struct pc_broadcast_event *first = pc_broadcast_first(batch);
    return batch->count > 1 || (first->event.channel_count == 1 && first->key.len && !p->no_keys);
}

int pc_http_put_body(struct pc_buf *buf, const struct pc_http_publisher *p,
                     const struct pc_broadcast_batch *batch)
{
    const char *comma = "";
    int err = 0;
    if (!pc_http_uses_batch(p, batch)) {
        err = put_event(buf, p, pc_broadcast_first(batch), false);
        return err ? err : pc_buf_status(buf);
    }
    pc_buf_put(buf, PC_S("{\"batch\":["));
    PC_LIST_EACH(l, &batch->events) {
        pc_buf_put(buf, pc_slice_of(comma));
        if (err == 0)
            err = put_event(buf, p, PC_CONTAINER(l, struct pc_broadcast_event, of_state), true);
        comma = ",";
    }
    pc_buf_put(buf, PC_S("]}"));
    return err ? err : pc_buf_status(buf);
}

/* -- the URL -- */

static void put_base(struct pc_buf *buf, const struct pc_broadcast_url *url, size_t nth)
{
    const struct pc_broadcast_host *host = &url->hosts[nth];
    pc_buf_put(buf, url->tls ? PC_S("https://") : PC_S("http://"));
    pc_buf_put(buf, host->is_ipv6 ? PC_S("[") : PC_S(""));
    pc_buf_put(buf, host->name);
    pc_buf_put(buf, host->is_ipv6 ? PC_S("]:") : PC_S(":"));
    pc_buf_put_u64(buf, host->port);
    pc_buf_put(buf, url->path);
}

/* Signs the path without the prefix, as Pusher's SDK for PHP does. */
int pc_http_put_url(struct pc_buf *buf, const struct pc_http_publisher *p, size_t host, bool batch,
                    pusherc_slice body, uint64_t unix_time_s)
{
    const struct pc_broadcast_url *url = p->url;
    const pusherc_credentials credentials = {.struct_size = sizeof credentials,
                                             .app_id = url->app_id,
                                             .key = url->user,
                                             .secret = url->password};
    size_t len = 0;
    put_base(buf, url, host);
    const size_t path = buf->len;
    pc_buf_put(buf, PC_S("/apps/"));
    pc_put_percent(buf, url->app_id);
    pc_buf_put(buf, batch ? PC_S("/batch_events") : PC_S("/events"));
    pc_buf_put_char(buf, '\0');
    if (!pc_buf_reserve(buf, QUERY_BYTES))
        return PUSHERC_ENOMEM;
    char *query = buf->ptr + buf->len;
    int err = pusherc_sign_request(&credentials, "POST", buf->ptr + path, NULL, 0, body,
                                   unix_time_s, query, QUERY_BYTES, &len);
    if (err)
        return err;
    query[-1] = '?';
    pc_buf_advance(buf, len + 1); /* with its NUL */
    return pc_buf_status(buf);
}

/* -- the answer -- */

static const struct verdict {
    int status; /* 0 = of no other row */
    enum pc_broadcast_outcome outcome;
    int code;
} verdicts[] = {
    {400, PC_BROADCAST_REFUSED, PUSHERC_EINVAL}, {401, PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
    {403, PC_BROADCAST_REFUSED, PUSHERC_EAUTH},  {404, PC_BROADCAST_REFUSED, PUSHERC_ENOENT},
    {407, PC_BROADCAST_AWAY, PUSHERC_EIO},       {408, PC_BROADCAST_FAILED, PUSHERC_ETIMEDOUT},
    {413, PC_BROADCAST_REFUSED, PUSHERC_ELIMIT}, {425, PC_BROADCAST_FAILED, PUSHERC_EIO},
    {429, PC_BROADCAST_AWAY, PUSHERC_ELIMIT},    {502, PC_BROADCAST_AWAY, PUSHERC_EIO},
    {503, PC_BROADCAST_AWAY, PUSHERC_EIO},       {504, PC_BROADCAST_AWAY, PUSHERC_EIO},
};

static struct verdict verdict_on(int status)
{
    for (size_t i = 0; i < sizeof verdicts / sizeof verdicts[0]; i++)
        if (verdicts[i].status == status)
            return verdicts[i];
    if (status >= 200 && status <= 299)
        return (struct verdict){status, PC_BROADCAST_ACCEPTED, 0};
    if (status == 0)
        return (struct verdict){status, PC_BROADCAST_AWAY, PUSHERC_EIO};
    if (status >= 500)
        return (struct verdict){status, PC_BROADCAST_FAILED, PUSHERC_EIO};
    return (struct verdict){status, PC_BROADCAST_REFUSED,
                            status >= 400 ? PUSHERC_EINVAL : PUSHERC_EPROTO};
}

/* The first line of the body, as far as it is text. */
static pusherc_slice first_line(pusherc_slice body)
{
    size_t len = 0;
    while (len < body.len && len < 100 && (unsigned char)body.ptr[len] >= 0x20 &&
           (unsigned char)body.ptr[len] < 0x7f)
        len++;
    return pc_slice_first(body, len);
}

void pc_http_judge(struct pc_broadcast_answer *out, const struct pc_http_answer *answer,
                   char room[160])
{
    const struct verdict verdict = verdict_on(answer->status);
    uint32_t wait_s = answer->retry_after_s < MAX_WAIT_S ? answer->retry_after_s : MAX_WAIT_S;
    pusherc_slice line = first_line(answer->body);
    *out = (struct pc_broadcast_answer){
        .outcome = verdict.outcome,
        .code = verdict.code,
        .status = answer->status,
        .retry_after_ms = verdict.outcome == PC_BROADCAST_AWAY ? wait_s * 1000 : 0,
        .too_large = answer->status == 413};
    if (verdict.outcome == PC_BROADCAST_ACCEPTED)
        return;
    if (answer->status == 0)
        (void)snprintf(room, 160, "%s", answer->error ? answer->error : "no answer");
    else
        (void)snprintf(room, 160, "answered %d%s%.*s", answer->status, line.len ? ": " : "",
                       (int)line.len, line.len ? line.ptr : "");
    out->reason = pc_utf8_cut(pc_slice_of(room), 159);
}

bool pc_http_tries_next_host(const struct pc_http_answer *answer)
{
    return answer->status == 0 || answer->status == 502 || answer->status == 503 ||
           answer->status == 504;
}
