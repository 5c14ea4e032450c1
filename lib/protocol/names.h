/* Names of channels, events and users: grammar, kinds, lengths (protocol section 3). Pure. */
#ifndef PC_PROTOCOL_NAMES_H
#define PC_PROTOCOL_NAMES_H

#include <stdbool.h>

#include <pusherc/channel.h>

#include "base/slice.h"

/* For whoever gave a name that is none. */
#define PC_CHANNEL_NAME_RULE "allowed are A-Z a-z 0-9 _ - = @ , . ;"

#define PC_CHANNEL_NAME_MAX 200 /* what every SDK lets through; Pusher documents 164 */
#define PC_USER_ID_MAX      200 /* of signed-in users */

#define PC_USER_CHANNEL "#server-to-user-" /* and the user's id */
/* Bytes of the longest name there is. */
#define PC_ANY_CHANNEL_NAME_MAX (sizeof PC_USER_CHANNEL - 1 + PC_USER_ID_MAX)

/* What a channel name says about its channel. */
struct pc_channel_class {
    pusherc_channel_kind kind;
    bool cache;
};

static inline bool pc_kind_needs_auth(pusherc_channel_kind kind)
{
    return kind == PUSHERC_CHANNEL_PRIVATE || kind == PUSHERC_CHANNEL_PRIVATE_ENCRYPTED ||
           kind == PUSHERC_CHANNEL_PRESENCE;
}

/* Fills `out` from the prefix, also when it returns false, and checks alphabet and length:
 * 1..max_bytes. User channels are valid when what follows "#server-to-user-" is a user id, however
 * long the whole is. */
bool pc_channel_name_valid(pusherc_slice name, size_t max_bytes, struct pc_channel_class *out);

/* What the prefix says, whether or not the rest makes it a name. */
struct pc_channel_class pc_channel_classify(pusherc_slice name);

/* 1..200 of the channel alphabet: ids of signed-in users, not of presence members. */
bool pc_user_id_valid(pusherc_slice id);

/* The id in "#server-to-user-{id}"; len 0 = not such a name. */
pusherc_slice pc_user_channel_id(pusherc_slice channel);

bool pc_event_is_client(pusherc_slice name);   /* "client-..." */
bool pc_event_is_reserved(pusherc_slice name); /* "pusher:..." or "pusher_internal:..." */

#endif
