/* Answers of the HTTP API: their fields, and error texts of one line. */
#include "api/call.h"

#include <assert.h>

#include <pusherc/error.h>

#include "codec/json.h"

/* Only the list of all channels grows with the clients. This is enough for 300,000 of the longest names. */
#define MAX_BODY_BYTES (64u << 20)

#define MAX_QUOTED_BYTES 64 /* of a name in an error's text: enough to find it */

#define RETRY_AFTER_S 1

void pc_api_reply_init(struct pc_api_reply *reply, const struct pc_mem *mem)
{
    reply->status = 0;
    reply->content_type = NULL;
    reply->field_count = 0;
    reply->text_len = 0;
    pc_buf_init_in(&reply->body, mem, MAX_BODY_BYTES, reply->storage, sizeof reply->storage);
}

void pc_api_reply_free(struct pc_api_reply *reply)
{
    pc_buf_free(&reply->body);
}

void pc_api_field(struct pc_api_reply *reply, pusherc_slice name, pusherc_slice value)
{
    assert(reply->field_count < PC_API_MAX_FIELDS);
    reply->fields[reply->field_count++] = (struct pc_pair){name, value};
}

static void field_number(struct pc_api_reply *reply, pusherc_slice name, uint32_t value)
{
    struct pc_buf digits;
    char *room = reply->text + reply->text_len;
    size_t left = sizeof reply->text - reply->text_len;
    assert(left >= 10); /* digits of UINT32_MAX */
    pc_buf_init_in(&digits, reply->body.mem, left, room, left);
    pc_buf_put_u64(&digits, value);
    reply->text_len += digits.len;
    pc_api_field(reply, name, pc_buf_slice(&digits));
}

void pc_api_begin(struct pc_api_reply *reply, int status, const char *content_type)
{
    /* What browsers need; the same on each answer, as other servers send it (section 5.10). */
    static const struct pc_pair cors[] = {
        {PUSHERC_LIT("Access-Control-Allow-Origin"), PUSHERC_LIT("*")},
        {PUSHERC_LIT("Access-Control-Allow-Methods"),
         PUSHERC_LIT("GET, POST, PUT, DELETE, OPTIONS")},
        {PUSHERC_LIT("Access-Control-Allow-Headers"),
         PUSHERC_LIT("Origin, Content-Type, X-Auth-Token, X-Requested-With, Accept, "
                     "Authorization, X-CSRF-TOKEN, XSRF-TOKEN, X-Socket-Id")},
    };
    reply->status = status;
    reply->content_type = content_type;
    pc_buf_clear(&reply->body);
    memcpy(reply->fields, cors, sizeof cors);
    reply->field_count = sizeof cors / sizeof cors[0];
}

void pc_api_allow_origin(struct pc_api_reply *reply, pusherc_slice origin)
{
    for (size_t i = 0; i < reply->field_count; i++)
        if (pc_slice_eq(reply->fields[i].name, PC_S("Access-Control-Allow-Origin")))
            reply->fields[i].value = origin;
    pc_api_field(reply, PC_S("Access-Control-Allow-Credentials"), PC_S("true"));
    pc_api_field(reply, PC_S("Vary"), PC_S("Origin"));
}

void pc_api_say(struct pc_api_reply *reply, pusherc_slice text)
{
    const char *p = text.ptr;
    const char *end = text.len ? p + text.len : p;
    while (p < end) {
        size_t len = pc_utf8_sequence(p, end);
        if (len == 0 || (len == 1 && ((unsigned char)*p < 0x20 || *p == 0x7f))) {
            pc_buf_put_char(&reply->body, '?');
            p++;
            continue;
        }
        pc_buf_put(&reply->body, pc_slice(p, len));
        p += len;
    }
}

void pc_api_say_quoted(struct pc_api_reply *reply, pusherc_slice text)
{
    pusherc_slice shown = pc_utf8_cut(text, MAX_QUOTED_BYTES);
    pc_buf_put_char(&reply->body, '"');
    pc_api_say(reply, shown);
    pc_buf_put(&reply->body, shown.len < text.len ? PC_S("...\"") : PC_S("\""));
}

void pc_api_plain(struct pc_api_reply *reply, int status, const char *text)
{
    pc_api_begin_text(reply, status);
    pc_api_say(reply, pc_slice_of(text));
}

void pc_api_unavailable(struct pc_api_reply *reply, const char *text)
{
    pc_api_plain(reply, 503, text);
    field_number(reply, PC_S("Retry-After"), RETRY_AFTER_S);
}

void pc_api_too_many(struct pc_api_reply *reply, uint32_t limit_per_s, uint32_t remaining)
{
    pc_api_plain(reply, 429, "Too many requests: the app's limit is ");
    pc_buf_put_u64(&reply->body, limit_per_s);
    pc_api_say(reply, PC_S(" in a second."));
    field_number(reply, PC_S("Retry-After"), RETRY_AFTER_S);
    field_number(reply, PC_S("X-RateLimit-Limit"), limit_per_s);
    field_number(reply, PC_S("X-RateLimit-Remaining"), remaining);
}

void pc_api_error_as_json(struct pc_api_reply *reply)
{
    char storage[1024];
    struct pc_buf json;
    if (reply->status < 400 || !reply->content_type ||
        strcmp(reply->content_type, PC_API_TEXT) != 0)
        return;
    pc_buf_init_in(&json, reply->body.mem, SIZE_MAX, storage, sizeof storage);
    pc_buf_put(&json, PC_S("{\"error\":"));
    pc_json_put_string(&json, pc_buf_slice(&reply->body));
    pc_buf_put(&json, PC_S(",\"code\":"));
    pc_buf_put_u64(&json, (uint64_t)reply->status);
    pc_buf_put_char(&json, '}');
    pc_buf_clear(&reply->body);
    pc_buf_put(&reply->body, pc_buf_slice(&json));
    reply->content_type = PC_API_JSON;
    if (pc_buf_status(&json) || pc_buf_status(&reply->body))
        pc_api_out_of_memory(reply);
    pc_buf_free(&json);
}

void pc_api_out_of_memory(struct pc_api_reply *reply)
{
    pc_api_begin(reply, 500, NULL);
}
