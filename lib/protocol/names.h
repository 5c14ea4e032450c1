/* Names of channels, events and users: grammar, kinds, lengths (protocol section 3). Pure. */
#ifndef PC_PROTOCOL_NAMES_H
#define PC_PROTOCOL_NAMES_H

#include <stdbool.h>

#include <pusherc/channel.h>

#include "base/slice.h"

/* For messages about a name that breaks the grammar. */
#define PC_CHANNEL_NAME_RULE "allowed are A-Z a-z 0-9 _ - = @ , . ;"

#define PC_CHANNEL_NAME_MAX 200 /* what every SDK lets through; Pusher documents 164 */
#define PC_USER_ID_MAX      200 /* of signed-in users */

/* Bytes of the longest valid name. */
#define PC_ANY_CHANNEL_NAME_MAX (sizeof PUSHERC_USER_CHANNEL_PREFIX - 1 + PC_USER_ID_MAX)

/* For arrays indexed by pusherc_channel_kind. */
#define PC_KIND_ROW_(...) +1
#define PC_KIND_COUNT     (0 PUSHERC_CHANNEL_KIND_MAP(PC_KIND_ROW_))

/* What a channel name says about its channel. */
struct pc_channel_class {
    pusherc_channel_kind kind;
    bool cache;
};

/* Every prefix, with and without "cache-". A name is compared with them in this order and the first match decides. The
 * last one is "". */
struct pc_channel_prefix {
    pusherc_slice text;
    struct pc_channel_class is;
};
#define PC_CHANNEL_PREFIX_COUNT (2 * PC_KIND_COUNT)
extern const struct pc_channel_prefix pc_channel_prefixes[PC_CHANNEL_PREFIX_COUNT];

/* Not NULL: the prefix "" matches every name. */
const struct pc_channel_prefix *pc_channel_prefix_of(pusherc_slice name);

const char *pc_kind_label(pusherc_channel_kind kind); /* "private-encrypted" */
bool pc_kind_needs_auth(pusherc_channel_kind kind);
bool pc_kind_takes_client_events(pusherc_channel_kind kind);

/* True if the name is of the alphabet and 1..max_bytes long. A user channel is valid if a user id follows
 * "#server-to-user-", whatever max_bytes is. Fills `out` from the prefix, also when it returns false. */
bool pc_channel_name_valid(pusherc_slice name, size_t max_bytes, struct pc_channel_class *out);

/* The class given by the prefix; the name need not be valid. */
struct pc_channel_class pc_channel_classify(pusherc_slice name);

/* True for 1..PC_USER_ID_MAX characters of the channel alphabet: ids of signed-in users, not of presence members. */
bool pc_user_id_valid(pusherc_slice id);

/* The id in "#server-to-user-{id}"; len 0 = not such a name. */
pusherc_slice pc_user_channel_id(pusherc_slice channel);

bool pc_event_is_client(pusherc_slice name);   /* "client-..." */
bool pc_event_is_reserved(pusherc_slice name); /* "pusher:..." or "pusher_internal:..." */

#endif
