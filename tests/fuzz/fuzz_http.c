/*
 * The input is what a client sends on one connection. It is parsed whole, byte by byte and in odd
 * pieces: the requests, and the error at the end if there is one, have to be the same.
 */
#include <stdint.h>
#include <stdlib.h>

#include "codec/http.h"
#include "net/peer.h"

#define HEAD_BYTES 600
#define BODY_BYTES 200
#define MAX_PARAMS 8

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

/* FNV-1a: enough to tell two runs apart. */
static uint64_t mix(uint64_t hash, pusherc_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        hash = (hash ^ (uint8_t)s.ptr[i]) * 0x100000001b3U;
    return (hash ^ 0x100) * 0x100000001b3U;
}

static bool within(pusherc_slice part, pusherc_slice whole)
{
    return part.len == 0 || (part.ptr >= whole.ptr && part.ptr + part.len <= whole.ptr + whole.len);
}

static void check_params(const struct pc_mem *mem, pusherc_slice query)
{
    struct pc_pair params[MAX_PARAMS];
    struct pc_buf scratch;
    size_t count;
    pc_buf_init(&scratch, mem, HEAD_BYTES);
    if (pc_http_params(query, params, MAX_PARAMS, &count, &scratch) == 0)
        for (size_t i = 0; i < count; i++)
            check(params[i].name.len + params[i].value.len <= query.len);
    pc_buf_free(&scratch);
}

/* What a proxy is believed is an address, and reads the same when it is written again. */
static void check_address(const struct pc_http_message *m)
{
    for (uint32_t proxies = 0; proxies < 4; proxies++) {
        char text[PC_ADDRESS_STRLEN];
        struct pc_address address = pc_client_address(-1, m, proxies);
        check(address.len == 0 || (proxies > 0 && (address.len == 4 || address.len == 16)));
        check(pc_address_network(&address).len <= 8);
        pc_address_format(&address, text);
        check((text[0] == '\0') == (address.len == 0));
        if (address.len == 0)
            continue;
        const struct pc_pair field = {PC_S("x-forwarded-for"), pc_slice_of(text)};
        const struct pc_http_message again = {.fields = &field, .field_count = 1};
        struct pc_address same = pc_client_address(-1, &again, 1);
        check(same.len == address.len && memcmp(same.bytes, address.bytes, same.len) == 0);
    }
}

static uint64_t take_message(const struct pc_mem *mem, const struct pc_http_message *m,
                             uint64_t hash)
{
    size_t head = m->method.len + m->target.len;
    check(m->method.len > 0 && m->target.len > 0 && m->path.len > 0);
    check(m->path.ptr[0] == '/' || pc_slice_eq(m->path, PC_S("*")));
    check(within(m->query, m->target));
    check(m->body.len <= BODY_BYTES);
    check(m->field_count <= PC_HTTP_MAX_FIELDS);
    check(m->http10 || pc_http_field(m, PC_S("Host")).ptr);
    check(!m->upgrade || (m->body.len == 0 && pc_slice_eq(m->method, PC_S("GET"))));
    hash = mix(mix(mix(mix(hash, m->method), m->path), m->query), m->body);
    for (size_t i = 0; i < m->field_count; i++) {
        check(pc_http_field_valid(m->fields[i].name, m->fields[i].value));
        head += m->fields[i].name.len + m->fields[i].value.len + 3;
        hash = mix(mix(hash, m->fields[i].name), m->fields[i].value);
    }
    check(head <= HEAD_BYTES);
    check_params(mem, m->query);
    (void)pc_http_cookie(m, PC_S("a"));
    check_address(m);
    return hash * 8 + (m->keep_alive ? 1 : 0) + (m->upgrade ? 2 : 0) + (m->http10 ? 4 : 0);
}

/* A reply with this status says what it means: "HTTP/1.1 400 Bad Request". */
static bool has_reason(const struct pc_mem *mem, int status)
{
    struct pc_buf buf;
    pc_buf_init(&buf, mem, SIZE_MAX);
    pc_http_put_reply(&buf, &(struct pc_http_reply){.status = status});
    check(pc_buf_status(&buf) == 0);
    bool has = buf.ptr[sizeof "HTTP/1.1 400 " - 1] != '\r';
    pc_buf_free(&buf);
    return has;
}

/* One connection fed in pieces of `step` bytes; what came out of it. */
static uint64_t run(const uint8_t *data, size_t size, size_t step)
{
    struct pc_mem mem = pc_mem_make(NULL);
    struct pc_http_parser *parser;
    uint64_t hash = 0xcbf29ce484222325U;
    size_t at = 0, continues = 0;
    if (pc_http_parser_new(&parser, &mem, (struct pc_http_limits){HEAD_BYTES, BODY_BYTES}))
        abort();
    while (at < size) {
        size_t len = size - at < step ? size - at : step, consumed;
        char *piece = malloc(len); /* of its exact size, so that reading past the end is seen */
        check(piece != NULL);
        memcpy(piece, data + at, len);
        enum pc_http_result result = pc_http_parser_feed(parser, pc_slice(piece, len), &consumed);
        free(piece);
        check(consumed <= len);
        at += consumed;
        if (result == PC_HTTP_ERROR) {
            struct pc_http_error error = pc_http_parser_error(parser);
            check(has_reason(&mem, error.status) && error.text && error.status != 500);
            hash = hash * 1000 + (uint64_t)error.status;
            break;
        }
        if (result == PC_HTTP_REQUEST) {
            const struct pc_http_message *m = pc_http_parser_message(parser);
            hash = take_message(&mem, m, hash);
            bool over = m->upgrade || !m->keep_alive;
            pc_http_parser_next(parser);
            check(pc_http_parser_idle(parser));
            continues = 0;
            if (over)
                break;
        } else {
            check(consumed == len);
            if (result == PC_HTTP_CONTINUE)
                check(++continues == 1 && pc_http_parser_in_body(parser));
        }
    }
    pc_http_parser_free(parser);
    return hash;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size > 8192)
        return 0;
    uint64_t whole = run(data, size, size);
    check(run(data, size, 1) == whole);
    if (size)
        check(run(data, size, 2 + data[size / 2] % 61) == whole);
    return 0;
}
