/*
 * What a request says beside its syntax: its query, the form or JSON of an auth request, the offers of a WebSocket, and
 * where its page is from. The input is one HTTP request; what it is read as keeps the rules of each part.
 */
#include <string.h>

#include <pusherc/error.h>

#include "api/auth.h"
#include "channel/origin.h"
#include "codec/crypto.h"
#include "codec/http.h"
#include "codec/ws.h"
#include "require.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD_BYTES 2000
#define BODY_BYTES 2000

/* -- the query -- */

/* The first value that is not empty, found by walking over the bytes once. */
static pusherc_slice value_by_hand(pusherc_slice query, pusherc_slice name)
{
    for (size_t i = 0; i < query.len;) {
        size_t end = i, equals;
        while (end < query.len && query.ptr[end] != '&')
            end++;
        for (equals = i; equals < end && query.ptr[equals] != '=';)
            equals++;
        if (equals + 1 < end && pc_slice_eq(pc_slice(query.ptr + i, equals - i), name))
            return pc_slice(query.ptr + equals + 1, end - equals - 1);
        i = end + 1;
    }
    return PC_S("");
}

/* What is escaped reads as it was. */
static void check_escapes(const struct pc_mem *mem, pusherc_slice text)
{
    struct pc_buf escaped, scratch;
    pusherc_slice again;
    pc_buf_init(&escaped, mem, SIZE_MAX);
    pc_buf_init(&scratch, mem, SIZE_MAX);
    pc_put_percent(&escaped, text);
    REQUIRE(pc_buf_status(&escaped) == 0);
    REQUIRE(pc_http_decode(pc_buf_slice(&escaped), true, &scratch, &again) == 0);
    REQUIRE(pc_slice_eq(text, again));
    pc_buf_free(&escaped);
    pc_buf_free(&scratch);
}

static void check_query(const struct pc_mem *mem, pusherc_slice query)
{
    const pusherc_slice names[] = {PC_S("n"), PC_S("protocol"), PC_S("auth_key"), PC_S("a")};
    struct pc_pair pair;
    pusherc_slice rest = query;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        REQUIRE(pc_slice_eq(pc_query_value(query, names[i]), value_by_hand(query, names[i])));
    while (pc_query_next(&rest, &pair)) {
        REQUIRE(pc_slice_find(pair.name, '=') == pair.name.len);
        REQUIRE(pc_slice_find(pair.value, '&') == pair.value.len);
        check_escapes(mem, pair.value);
    }
    REQUIRE(rest.len == 0);
}

/* -- an auth request -- */

static void check_auth(const struct pc_mem *mem, const struct pc_http_message *m,
                       enum pc_auth_endpoint endpoint)
{
    struct pc_auth_query query;
    struct pc_api_reply reply;
    pc_api_reply_init(&reply, mem);
    if (pc_auth_query_read(m, endpoint, mem, &query, &reply)) {
        char id[PUSHERC_SOCKET_ID_STRLEN];
        struct pc_channel_class class;
        if (query.socket.a) { /* as the client has sent it */
            pusherc_socket_id_format(query.socket, id);
            REQUIRE(pc_slice_eq(query.socket_id, pc_slice_of(id)));
        }
        REQUIRE(query.callback.len == 0 || pc_slice_eq(m->method, PC_S("GET")));
        REQUIRE(endpoint != PC_AUTH_CHANNEL ||
                pc_channel_name_valid(query.channel, PC_CHANNEL_NAME_MAX, &class));
        struct pc_buf copy; /* all of them are still there */
        pc_buf_init(&copy, mem, SIZE_MAX);
        pc_buf_put(&copy, query.socket_id);
        pc_buf_put(&copy, query.app_key);
        pc_buf_put(&copy, query.callback);
        pc_buf_free(&copy);
    } else {
        REQUIRE(reply.status == 400 || reply.status == 403);
        REQUIRE(reply.body.len > 0);
    }
    pc_auth_query_free(&query);
    pc_api_reply_free(&reply);
}

/* -- a WebSocket -- */

static void check_handshake(const struct pc_mem *mem, const struct pc_http_message *m)
{
    struct pc_ws_deflate deflate = {.agreed = false};
    struct pc_buf out;
    const char *text = NULL;
    int status = 0;
    size_t count;
    pc_buf_init(&out, mem, SIZE_MAX);
    int err = pc_ws_handshake(m, &out, &deflate, &status, &text);
    REQUIRE(err == 0 || err == PUSHERC_EPROTO);
    REQUIRE(deflate.window_bits == 0 ||
            (deflate.agreed && deflate.window_bits >= 8 && deflate.window_bits <= 15));
    if (err) {
        REQUIRE((status == 400 || status == 405 || status == 426) && text);
        (void)pc_ws_refusal_fields(status, &count);
    } else {
        const pusherc_slice answer = pc_buf_slice(&out), end = PC_S("\r\n\r\n");
        REQUIRE(pc_slice_starts(answer, PC_S("HTTP/1.1 101 ")) && answer.len > end.len);
        REQUIRE(pc_slice_eq(pc_slice_skip(answer, answer.len - end.len), end));
    }
    pc_buf_free(&out);
}

/* -- the page -- */

static void check_origin(const struct pc_mem *mem, const struct pc_http_message *m)
{
    static const char *const patterns[] = {"https://a.example", "*.b.example", "http://c.example:*",
                                           NULL};
    pusherc_slice origin = pc_http_field(m, PC_S("Origin")), host = pc_http_field(m, PC_S("Host"));
    char **copy;
    REQUIRE(pc_origins_copy(mem, patterns, &copy) == 0);
    REQUIRE(!pc_origins_any(copy) && !pc_origins_allow(copy, PC_S("")));
    (void)pc_origins_allow(copy, origin);
    pc_origins_free(mem, copy);
    if (pc_origin_is_own(origin, true, host))
        REQUIRE(!pc_origin_is_own(origin, false, host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct pc_mem mem = pc_mem_make(NULL);
    struct pc_http_parser *parser;
    size_t consumed;
    REQUIRE(pc_crypto_init() == 0);
    REQUIRE(pc_http_parser_new(&parser, &mem, (struct pc_http_limits){HEAD_BYTES, BODY_BYTES}) ==
            0);
    if (pc_http_parser_feed(parser, pc_slice((const char *)data, size), &consumed) ==
        PC_HTTP_REQUEST) {
        const struct pc_http_message *m = pc_http_parser_message(parser);
        check_query(&mem, m->query);
        check_auth(&mem, m, PC_AUTH_CHANNEL);
        check_auth(&mem, m, PC_AUTH_USER);
        check_handshake(&mem, m);
        check_origin(&mem, m);
    }
    pc_http_parser_free(parser);
    return 0;
}
