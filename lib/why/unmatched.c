/*
 * "Nothing arrived, and nothing says why": names like the one that an event was published to. First a few lookups: the
 * same stem (the name without its prefixes) with each prefix. If none has subscribers, one walk over the app's channels
 * compares stems without regard to case and to which of '.', '-' and '_' stands between words.
 */
#include "why/why.h"

#define LOOKS_PER_S  20 /* each is a few lookups */
#define PASSES_PER_S 1  /* each is a walk over all channels there are */
#define MAX_NAMES    3  /* that are told */
#define SHOWN_BYTES  80 /* of each name and of the event's */

static char fold(char c)
{
    return c == '.' || c == '_' ? '-' : pc_ascii_lower(c);
}

/* The length of `word` if the name begins with it, in any spelling; else 0. */
static size_t begins(pusherc_slice name, pusherc_slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (i == name.len || fold(name.ptr[i]) != word.ptr[i])
            return 0;
    return word.len;
}

/* The length of the first word of the name if prefixes are made of it: "private-", "encrypted-", "cache-". */
static size_t prefix_word(pusherc_slice name)
{
    for (size_t i = 0; i < PC_CHANNEL_PREFIX_COUNT; i++) {
        pusherc_slice rest = pc_channel_prefixes[i].text;
        if (pc_channel_prefixes[i].is.kind == PUSHERC_CHANNEL_USER)
            continue;
        while (rest.len) {
            pusherc_slice word = pc_slice_first(rest, pc_slice_find(rest, '-') + 1);
            if (begins(name, word))
                return word.len;
            rest = pc_slice_skip(rest, word.len);
        }
    }
    return 0;
}

/* The name without all prefixes, however often they stand there: Echo puts "private-" before names that have it
 * already. */
static pusherc_slice stem_of(pusherc_slice name)
{
    size_t len;
    while ((len = prefix_word(name)) > 0)
        name = pc_slice_skip(name, len);
    return name;
}

static bool alike(pusherc_slice a, pusherc_slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    return true;
}

/* What was found, as text: "a", "b" and "c" */
struct found {
    pusherc_slice name, stem; /* of the channel without subscribers */
    size_t count;
    struct pc_buf text;
};

static void add(struct found *found, pusherc_slice name)
{
    if (++found->count > MAX_NAMES)
        return;
    pc_buf_put(&found->text, found->count > 1 ? PC_S(", \"") : PC_S("\""));
    pc_buf_put(&found->text, pc_utf8_cut(name, SHOWN_BYTES));
    pc_buf_put_char(&found->text, '"');
}

static bool is_occupied(const struct pc_why *why, uint64_t app_uid, pusherc_slice name)
{
    struct pc_shard *shard = pc_directory_lock(why->directory, app_uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, app_uid, name);
    bool occupied = channel && channel->subscriptions > 0;
    pc_shard_unlock(shard);
    return occupied;
}

/* The same stem with each of the prefixes. */
static void look(const struct pc_why *why, const struct pc_app *app, struct found *found)
{
    char text[PC_ANY_CHANNEL_NAME_MAX];
    for (size_t i = PC_CHANNEL_PREFIX_COUNT; i-- > 0;) {
        pusherc_slice prefix = pc_channel_prefixes[i].text;
        size_t len = prefix.len + found->stem.len;
        if (len > sizeof text || found->stem.len == 0 ||
            pc_channel_prefixes[i].is.kind == PUSHERC_CHANNEL_USER)
            continue;
        memcpy(text, prefix.ptr, prefix.len);
        memcpy(text + prefix.len, found->stem.ptr, found->stem.len);
        pusherc_slice name = pc_slice(text, len);
        if (!pc_slice_eq(name, found->name) && is_occupied(why, app->state->uid, name))
            add(found, name);
    }
}

/* Under the shard's lock. */
static void compare(const struct pc_channel *channel, void *ctx)
{
    struct found *found = ctx;
    if (!pc_slice_eq(channel->name, found->name) && alike(stem_of(channel->name), found->stem))
        add(found, channel->name);
}

void pc_why_unmatched(const struct pc_why *why, const struct pc_app *app, pusherc_slice channel,
                      pusherc_slice event)
{
    char text[MAX_NAMES * (SHOWN_BYTES + 4)];
    struct found found = {.name = channel, .stem = stem_of(channel)};
    const struct pc_log_about about = {.subject = "fanout", .app_id = app->id};
    pusherc_slice name = pc_utf8_cut(channel, SHOWN_BYTES), what = pc_utf8_cut(event, SHOWN_BYTES);
    if (!PC_LOG_AFFORDS(why->log, DEBUG, LOOKS_PER_S))
        return;
    pc_buf_init_in(&found.text, why->mem, sizeof text, text, sizeof text);
    look(why, app, &found);
    if (found.count == 0 && PC_LOG_AFFORDS(why->log, DEBUG, PASSES_PER_S))
        pc_directory_each(why->directory, app->state->uid, PC_S(""), compare, &found);
    if (found.count)
        PC_LOG(why->log, DEBUG, about,
               "event \"%.*s\" on \"%.*s\" reached nobody; subscribers are on %.*s%s",
               (int)what.len, what.ptr, (int)name.len, name.ptr, (int)found.text.len,
               found.text.ptr, found.count > MAX_NAMES ? " and others" : "");
    else
        PC_LOG(why->log, DEBUG, about,
               "event \"%.*s\" on \"%.*s\" reached nobody; nobody subscribes to it", (int)what.len,
               what.ptr, (int)name.len, name.ptr);
}
