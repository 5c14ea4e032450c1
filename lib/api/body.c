/* Reading the JSON body of a request. */
#include "api/call.h"

bool pc_api_body_scratch(struct pc_api_call *call, struct pc_buf *scratch, char *storage,
                         size_t size)
{
    size_t needed = call->request->message->body.len;
    pc_buf_init_in(scratch, &call->request->engine->mem, needed, storage, size);
    if (needed == 0 || pc_buf_reserve(scratch, needed))
        return true;
    pc_api_out_of_memory(call->reply);
    return false;
}

struct pc_json pc_api_body_object(struct pc_api_call *call)
{
    pusherc_slice body = call->request->message->body, text = pc_json_without_mark(body);
    struct pc_json object = pc_json_parse(text);
    if (object.type == PC_JSON_OBJECT)
        return object;
    if (object.type != PC_JSON_NONE) {
        pc_api_plain(call->reply, 400, "The body is not a JSON object.");
        return (struct pc_json){PC_JSON_NONE, {NULL, 0}};
    }
    pc_api_plain(call->reply, 400, "The body is not valid JSON in UTF-8 from byte ");
    pc_buf_put_u64(&call->reply->body, body.len - text.len + pc_json_error_offset(text));
    pc_api_say(call->reply, PC_S(" on."));
    return object;
}
