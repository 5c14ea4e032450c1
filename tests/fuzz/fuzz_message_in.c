/* Any text as a client's message, then its member or user data. */
#include <stdint.h>
#include <stdlib.h>

#include <pusherc/error.h>

#include "protocol/message_in.h"
#include "protocol/message_out.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool holds)
{
    if (!holds)
        abort();
}

static bool lies_in(pusherc_slice part, const char *start, size_t len)
{
    return start && part.ptr >= start && part.ptr + part.len <= start + len;
}

/* Strings are UTF-8 that a C string could hold, and live where the header says. */
static void check_string(pusherc_slice string, pusherc_slice text, const struct pc_buf *scratch)
{
    if (string.len == 0)
        return;
    check(lies_in(string, text.ptr, text.len) || lies_in(string, scratch->ptr, scratch->len));
    check(pc_utf8_valid(string));
    check(pc_slice_find(string, '\0') == string.len);
}

static void check_user(pusherc_slice text, bool signin, struct pc_buf *scratch)
{
    struct pc_user_data user;
    const char *why = NULL;
    int err = pc_user_data_parse(text, signin ? PC_S("id") : PC_S("user_id"), !signin, signin,
                                 scratch, &user, &why);
    if (err) {
        check(err == PUSHERC_EINVAL && why);
        return;
    }
    check(user.id.len > 0 && pc_utf8_valid(user.id));
    struct pc_json info = pc_json_parse(user.info);
    check(info.type != PC_JSON_NONE && info.type != PC_JSON_NULL);
    check(!signin || info.type == PC_JSON_OBJECT);
    check(user.object.type == PC_JSON_OBJECT);
}

/* What was understood can be said to others. */
static void check_relay(const struct pc_message_in *in, const struct pc_mem *mem)
{
    struct pc_buf buf;
    pc_buf_init(&buf, mem, SIZE_MAX / 2);
    pc_out_event(&buf, in->event, in->channel, in->data.raw, in->channel);
    check(pc_buf_status(&buf) == 0);
    struct pc_json event = pc_json_parse(pc_buf_slice(&buf));
    check(event.type == PC_JSON_OBJECT);

    pusherc_slice relayed;
    struct pc_buf scratch;
    pc_buf_init(&scratch, mem, SIZE_MAX / 2);
    check(pc_json_string(pc_json_get(event, PC_S("data")), &scratch, &relayed) == 0);
    check(pc_slice_eq(relayed, in->data.raw));
    pc_buf_free(&scratch);
    pc_buf_free(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pc_mem mem = pc_mem_make(NULL);
    pusherc_slice text = pc_slice((const char *)data, size);
    struct pc_message_in in;
    struct pc_buf scratch;
    const char *why = NULL;

    pc_buf_init(&scratch, &mem, 3 * size);
    int err = pc_message_in_parse(text, &scratch, &in, &why);
    if (err) {
        check(err == PUSHERC_EPROTO && why);
        pc_buf_free(&scratch);
        check_user(text, size % 2, &scratch);
        pc_buf_free(&scratch);
        return 0;
    }

    const char *memory = scratch.ptr;
    if (in.type == PC_IN_SUBSCRIBE)
        check_user(in.channel_data, false, &scratch);
    if (in.type == PC_IN_SIGNIN)
        check_user(in.user_data, true, &scratch);
    check(scratch.ptr == memory);
    check_string(in.event, text, &scratch);
    check_string(in.channel, text, &scratch);
    check_string(in.auth, text, &scratch);
    check_string(in.channel_data, text, &scratch);
    check_string(in.user_data, text, &scratch);
    if (in.type == PC_IN_CLIENT_EVENT)
        check_relay(&in, &mem);
    pc_buf_free(&scratch);
    return 0;
}
