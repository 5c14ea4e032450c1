#include "protocol/names.h"

#include <pusherc/error.h>

#define CACHE "cache-"

/* A prefix ends with its dash: "privateer" is public. */
const struct pc_channel_prefix pc_channel_prefixes[PC_CHANNEL_PREFIX_COUNT] = {
#define PREFIXES(name, value, prefix, label, cache, auth, client_events)                           \
    {PUSHERC_LIT(prefix CACHE), {PUSHERC_CHANNEL_##name, cache}},                                  \
        {PUSHERC_LIT(prefix), {PUSHERC_CHANNEL_##name, false}},
    PUSHERC_CHANNEL_KIND_MAP(PREFIXES)
#undef PREFIXES
};

/* By kind. A kind whose value is not below PC_KIND_COUNT does not compile. */
static const struct {
    const char *label;
    bool auth, client_events;
} kinds[PC_KIND_COUNT] = {
#define KIND(name, value, prefix, label, cache, auth, client_events)                               \
    [PUSHERC_CHANNEL_##name] = {label, auth, client_events},
    PUSHERC_CHANNEL_KIND_MAP(KIND)
#undef KIND
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

const char *pc_kind_label(pusherc_channel_kind kind)
{
    return kinds[kind].label;
}

bool pc_kind_needs_auth(pusherc_channel_kind kind)
{
    return kinds[kind].auth;
}

bool pc_kind_takes_client_events(pusherc_channel_kind kind)
{
    return kinds[kind].client_events;
}

/* False for most names, which have no prefix: every publish classifies its names, and this test costs one byte. */
static bool may_begin_prefix(char c)
{
#define BEGINS(name, value, prefix, label, cache, auth, client_events) || c == (prefix)[0]
    return c == CACHE[0] PUSHERC_CHANNEL_KIND_MAP(BEGINS);
#undef BEGINS
}

const struct pc_channel_prefix *pc_channel_prefix_of(pusherc_slice name)
{
    const struct pc_channel_prefix *at = pc_channel_prefixes;
    if (name.len == 0 || !may_begin_prefix(name.ptr[0]))
        return &pc_channel_prefixes[PC_CHANNEL_PREFIX_COUNT - 1];
    while (!pc_slice_starts(name, at->text))
        at++;
    return at;
}

struct pc_channel_class pc_channel_classify(pusherc_slice name)
{
    return pc_channel_prefix_of(name)->is;
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
    static const pusherc_slice prefix = PUSHERC_LIT(PUSHERC_USER_CHANNEL_PREFIX);

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
