#include "protocol/message_in.h"

#include <pusherc/error.h>

#include "protocol/names.h"

#define BAD_FORMAT "Invalid message format"

/* What a member of a message must be. */
#define IN_DATA(name)      BAD_FORMAT ": \"" name "\" in data must be a string"
#define TEXT_IN_DATA(name) IN_DATA(name) ", the text of a JSON object"
static const char data_wanted[] = BAD_FORMAT ": data must be a JSON object, or the text of one";
static const char channel_wanted[] = IN_DATA("channel");
static const char auth_wanted[] = IN_DATA("auth");
static const char channel_data_wanted[] = TEXT_IN_DATA("channel_data");
static const char user_data_wanted[] = TEXT_IN_DATA("user_data");
static const char channels_wanted[] =
    BAD_FORMAT ": \"channels\" in data must be an object, with an event_id for each channel";
static const char socket_id_wanted[] = IN_DATA("socket_id");
static const char own_channel_wanted[] =
    BAD_FORMAT ": a client event must have \"channel\" beside \"event\" and \"data\", a string";

static int refuse_message(const char **why, const char *sentence)
{
    *why = sentence;
    return PUSHERC_EPROTO;
}

/* Hosts keep names and ids in C strings, where two that differ only behind a NUL would look the same. */
static bool has_nul(pusherc_slice text)
{
    return pc_slice_find(text, '\0') < text.len;
}

/* A member that must be a string, as the sentence `wanted` says. */
static int read_string(struct pc_json object, pusherc_slice name, const char *wanted,
                       struct pc_buf *scratch, pusherc_slice *out, const char **why)
{
    int err = pc_json_string(pc_json_get(object, name), scratch, out);
    if (err == PUSHERC_EINVAL || (err == 0 && has_nul(*out)))
        return refuse_message(why, wanted);
    return err ? PUSHERC_ENOMEM : 0;
}

/* A member that may be absent or null: then *out stays empty. */
static int read_optional(struct pc_json object, pusherc_slice name, const char *wanted,
                         struct pc_buf *scratch, pusherc_slice *out, const char **why)
{
    struct pc_json value = pc_json_get(object, name);
    if (value.type == PC_JSON_NONE || value.type == PC_JSON_NULL)
        return 0;
    return read_string(object, name, wanted, scratch, out, why);
}

/* The "data" of events that have members in it: an object, or a string that holds an object's text. */
static int read_data(struct pc_json message, struct pc_buf *scratch, struct pc_json *out,
                     const char **why)
{
    struct pc_json data = pc_json_get(message, PC_S("data"));
    if (data.type == PC_JSON_STRING) {
        pusherc_slice text;
        int err = read_string(message, PC_S("data"), data_wanted, scratch, &text, why);
        if (err)
            return err;
        data = pc_json_parse(text);
    }
    if (data.type != PC_JSON_OBJECT)
        return refuse_message(why, data_wanted);
    *out = data;
    return 0;
}

static int parse_subscribe(struct pc_json message, struct pc_buf *scratch, struct pc_message_in *in,
                           const char **why)
{
    struct pc_json data;
    int err = read_data(message, scratch, &data, why);
    if (!err)
        err = read_string(data, PC_S("channel"), channel_wanted, scratch, &in->channel, why);
    if (!err)
        err = read_optional(data, PC_S("auth"), auth_wanted, scratch, &in->auth, why);
    if (!err)
        err = read_optional(data, PC_S("channel_data"), channel_data_wanted, scratch,
                            &in->channel_data, why);
    return err;
}

static int parse_unsubscribe(struct pc_json message, struct pc_buf *scratch,
                             struct pc_message_in *in, const char **why)
{
    struct pc_json data;
    int err = read_data(message, scratch, &data, why);
    if (!err)
        err = read_string(data, PC_S("channel"), channel_wanted, scratch, &in->channel, why);
    return err;
}

static int parse_signin(struct pc_json message, struct pc_buf *scratch, struct pc_message_in *in,
                        const char **why)
{
    struct pc_json data;
    int err = read_data(message, scratch, &data, why);
    if (!err)
        err = read_optional(data, PC_S("auth"), auth_wanted, scratch, &in->auth, why);
    if (!err)
        err =
            read_optional(data, PC_S("user_data"), user_data_wanted, scratch, &in->user_data, why);
    return err;
}

static int parse_resume(struct pc_json message, struct pc_buf *scratch, struct pc_message_in *in,
                        const char **why)
{
    struct pc_json data;
    int err = read_data(message, scratch, &data, why);
    if (err)
        return err;
    in->channels = pc_json_get(data, PC_S("channels"));
    if (in->channels.type != PC_JSON_OBJECT)
        return refuse_message(why, channels_wanted);
    return read_optional(data, PC_S("socket_id"), socket_id_wanted, scratch, &in->socket_id, why);
}

static int parse_client_event(struct pc_json message, struct pc_buf *scratch,
                              struct pc_message_in *in, const char **why)
{
    int err = read_string(message, PC_S("channel"), own_channel_wanted, scratch, &in->channel, why);
    if (!err)
        in->data = pc_json_get(message, PC_S("data"));
    return err;
}

static bool event_type(pusherc_slice event, enum pc_in_type *out)
{
    static const struct {
        pusherc_slice event;
        enum pc_in_type type;
    } known[] = {
        {PUSHERC_LIT("pusher:subscribe"), PC_IN_SUBSCRIBE},
        {PUSHERC_LIT("pusher:unsubscribe"), PC_IN_UNSUBSCRIBE},
        {PUSHERC_LIT("pusher:signin"), PC_IN_SIGNIN},
        {PUSHERC_LIT("pusher:ping"), PC_IN_PING},
        {PUSHERC_LIT("pusher:pong"), PC_IN_PONG},
        {PUSHERC_LIT("pusher:resume"), PC_IN_RESUME},
    };

    if (pc_event_is_client(event)) {
        *out = PC_IN_CLIENT_EVENT;
        return true;
    }
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (pc_slice_eq(event, known[i].event)) {
            *out = known[i].type;
            return true;
        }
    }
    return false;
}

static int parse_as(struct pc_json message, struct pc_buf *scratch, struct pc_message_in *in,
                    const char **why)
{
    switch (in->type) {
    case PC_IN_SUBSCRIBE:
        return parse_subscribe(message, scratch, in, why);
    case PC_IN_UNSUBSCRIBE:
        return parse_unsubscribe(message, scratch, in, why);
    case PC_IN_SIGNIN:
        return parse_signin(message, scratch, in, why);
    case PC_IN_PING:
    case PC_IN_PONG:
        return 0; /* any data is accepted: clients differ (1.5) */
    case PC_IN_RESUME:
        return parse_resume(message, scratch, in, why);
    case PC_IN_CLIENT_EVENT:
        return parse_client_event(message, scratch, in, why);
    }
    return refuse_message(why, BAD_FORMAT);
}

int pc_message_in_parse(pusherc_slice text, struct pc_buf *scratch, struct pc_message_in *out,
                        const char **why)
{
    struct pc_json message = pc_json_parse(text);
    if (message.type != PC_JSON_OBJECT)
        return refuse_message(why, BAD_FORMAT);

    /* Decoding shortens a text, and the same bytes are decoded at most three times: "data" as a string,
     * the strings in it, and an id in one of those. The room for all three is reserved here, so decoded
     * strings do not move. */
    if (pc_slice_find(text, '\\') < text.len && !pc_buf_reserve(scratch, 3 * text.len))
        return PUSHERC_ENOMEM;

    struct pc_message_in in = {.type = PC_IN_PING};
    pusherc_slice event;
    int err = read_string(message, PC_S("event"), BAD_FORMAT, scratch, &event, why);
    if (err)
        return err;
    if (!event_type(event, &in.type))
        return refuse_message(why, "Unknown event");
    if (in.type == PC_IN_CLIENT_EVENT)
        in.event = event;

    err = parse_as(message, scratch, &in, why);
    if (err)
        return err;
    *out = in;
    return 0;
}

static int refuse_user_data(const char **why, const char *sentence)
{
    *why = sentence;
    return PUSHERC_EINVAL;
}

/* Numbers become text in the form JavaScript gives them, so that 7 and "7" are one user. */
static int read_id(struct pc_json value, bool numbers_too, struct pc_buf *scratch,
                   pusherc_slice *out, const char **why)
{
    int64_t number;

    if (numbers_too && value.type == PC_JSON_NUMBER) {
        if (!pc_json_i64(value, &number))
            return refuse_user_data(why, "user id must be a string or an integer");
        *out = number == 0 ? PC_S("0") : value.raw; /* "-0" is 0 too */
        return 0;
    }
    int err = pc_json_string(value, scratch, out);
    if (err == PUSHERC_EINVAL || (err == 0 && has_nul(*out)))
        return refuse_user_data(why, numbers_too ? "user id must be a string or an integer"
                                                 : "user id must be a string");
    if (err)
        return PUSHERC_ENOMEM;
    return out->len ? 0 : refuse_user_data(why, "user id must not be empty");
}

int pc_user_data_parse(pusherc_slice text, pusherc_slice key, bool numbers_too, bool strict_info,
                       struct pc_buf *scratch, struct pc_user_data *out, const char **why)
{
    struct pc_user_data user = {.object = pc_json_parse(text), .info = PC_S("{}")};

    if (user.object.type != PC_JSON_OBJECT)
        return refuse_user_data(why, "user data must be a JSON object");

    struct pc_json id = pc_json_get(user.object, key);
    if (id.type == PC_JSON_NONE)
        return refuse_user_data(why, "user data has no user id");
    int err = read_id(id, numbers_too, scratch, &user.id, why);
    if (err)
        return err;

    struct pc_json info = pc_json_get(user.object, PC_S("user_info"));
    if (strict_info && info.type != PC_JSON_NONE && info.type != PC_JSON_NULL &&
        info.type != PC_JSON_OBJECT)
        return refuse_user_data(why, "user_info, if supplied, must be an object");
    if (info.type != PC_JSON_NONE && info.type != PC_JSON_NULL)
        user.info = info.raw;
    *out = user;
    return 0;
}
