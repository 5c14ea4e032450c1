#include "protocol/names.h"

#include <pusherc/error.h>

/* Longer prefixes stand before the ones they begin with. Without the dash a name is public: "privateer". */
static const struct {
    pusherc_slice prefix;
    struct pc_channel_class is;
} prefixes[] = {
    {PUSHERC_LIT("private-encrypted-cache-"), {PUSHERC_CHANNEL_PRIVATE_ENCRYPTED, true}},
    {PUSHERC_LIT("private-encrypted-"), {PUSHERC_CHANNEL_PRIVATE_ENCRYPTED, false}},
    {PUSHERC_LIT("private-cache-"), {PUSHERC_CHANNEL_PRIVATE, true}},
    {PUSHERC_LIT("private-"), {PUSHERC_CHANNEL_PRIVATE, false}},
    {PUSHERC_LIT("presence-cache-"), {PUSHERC_CHANNEL_PRESENCE, true}},
    {PUSHERC_LIT("presence-"), {PUSHERC_CHANNEL_PRESENCE, false}},
    {PUSHERC_LIT("cache-"), {PUSHERC_CHANNEL_PUBLIC, true}},
    {PUSHERC_LIT(PC_USER_CHANNEL), {PUSHERC_CHANNEL_USER, false}},
};

/* [-a-zA-Z0-9_=@,.;]; a table because every publish checks every name. */
static const bool in_alphabet[256] = {
    ['-'] = true, ['_'] = true, ['='] = true, ['@'] = true, [','] = true, ['.'] = true,
    [';'] = true, ['0'] = true, ['1'] = true, ['2'] = true, ['3'] = true, ['4'] = true,
    ['5'] = true, ['6'] = true, ['7'] = true, ['8'] = true, ['9'] = true, ['A'] = true,
    ['B'] = true, ['C'] = true, ['D'] = true, ['E'] = true, ['F'] = true, ['G'] = true,
    ['H'] = true, ['I'] = true, ['J'] = true, ['K'] = true, ['L'] = true, ['M'] = true,
    ['N'] = true, ['O'] = true, ['P'] = true, ['Q'] = true, ['R'] = true, ['S'] = true,
    ['T'] = true, ['U'] = true, ['V'] = true, ['W'] = true, ['X'] = true, ['Y'] = true,
    ['Z'] = true, ['a'] = true, ['b'] = true, ['c'] = true, ['d'] = true, ['e'] = true,
    ['f'] = true, ['g'] = true, ['h'] = true, ['i'] = true, ['j'] = true, ['k'] = true,
    ['l'] = true, ['m'] = true, ['n'] = true, ['o'] = true, ['p'] = true, ['q'] = true,
    ['r'] = true, ['s'] = true, ['t'] = true, ['u'] = true, ['v'] = true, ['w'] = true,
    ['x'] = true, ['y'] = true, ['z'] = true,
};

static bool all_in_alphabet(pusherc_slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!in_alphabet[(unsigned char)s.ptr[i]])
            return false;
    return true;
}

struct pc_channel_class pc_channel_classify(pusherc_slice name)
{
    char first = name.len ? name.ptr[0] : '\0';
    if (first == 'p' || first == 'c' || first == '#') {
        for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
            if (pc_slice_starts(name, prefixes[i].prefix))
                return prefixes[i].is;
    }
    return (struct pc_channel_class){PUSHERC_CHANNEL_PUBLIC, false};
}

bool pc_channel_name_valid(pusherc_slice name, size_t max_bytes, struct pc_channel_class *out)
{
    *out = pc_channel_classify(name);
    if (out->kind == PUSHERC_CHANNEL_USER)
        return pc_user_channel_id(name).len > 0;
    return name.len >= 1 && name.len <= max_bytes && all_in_alphabet(name);
}

bool pc_user_id_valid(pusherc_slice id)
{
    return id.len >= 1 && id.len <= PC_USER_ID_MAX && all_in_alphabet(id);
}

pusherc_slice pc_user_channel_id(pusherc_slice channel)
{
    static const pusherc_slice prefix = PUSHERC_LIT(PC_USER_CHANNEL);

    if (!pc_slice_starts(channel, prefix))
        return pc_slice(NULL, 0);
    pusherc_slice id = pc_slice_skip(channel, prefix.len);
    return pc_user_id_valid(id) ? id : pc_slice(NULL, 0);
}

bool pc_event_is_client(pusherc_slice name)
{
    return pc_slice_starts(name, PC_S("client-"));
}

bool pc_event_is_reserved(pusherc_slice name)
{
    return pc_slice_starts(name, PC_S("pusher:")) ||
           pc_slice_starts(name, PC_S("pusher_internal:"));
}

int pusherc_channel_classify(pusherc_slice name, pusherc_channel_kind *kind, bool *cache)
{
    struct pc_channel_class is;

    if (!kind || (!name.ptr && name.len) || !pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &is))
        return PUSHERC_EINVAL;
    *kind = is.kind;
    if (cache)
        *cache = is.cache;
    return 0;
}
