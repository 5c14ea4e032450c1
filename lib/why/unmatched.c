/*
 * Finds the channel that a publisher probably meant, when its event has no subscriber: one with subscribers and a
 * similar name.
 *
 * The stem of a name is the name without its prefixes. First, a few look-ups try the same stem with each prefix. If no
 * such channel has subscribers, one walk over the app's channels compares stems, without regard to case and to which of
 * '.', '-' and '_' stands between words. The walk costs time in proportion to the number of channels and takes the lock
 * of one shard after another, so the rates below limit both steps.
 */
#include "why/why.h"

#define LOOKS_PER_S  20 /* a look is a few look-ups */
#define PASSES_PER_S 1  /* a pass is a walk over all channels */
#define MAX_NAMES    3  /* in the log line */
#define SHOWN_BYTES  80 /* of each name, and of the event's name */

static char fold(char c)
{
    return c == '.' || c == '_' ? '-' : pc_ascii_lower(c);
}

/* The length of `word` if the name begins with it, after folding; else 0. */
static size_t begins(pusherc_slice name, pusherc_slice word)
{
    for (size_t i = 0; i < word.len; i++)
        if (i == name.len || fold(name.ptr[i]) != word.ptr[i])
            return 0;
    return word.len;
}

/* The length of the name's first word if it is a part of a prefix: "private-", "encrypted-", "cache-"; else 0. */
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

/* The name without prefixes, also repeated ones: Echo puts "private-" before names that have it already. */
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

/* The similar names, as text: "a", "b", "c" */
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

/* Adds the occupied channels that have the same stem and any of the prefixes. */
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

/* Locked. Adds the channel if its stem is alike. */
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
    if (!why->happened && !pc_log_wants(why->log, PUSHERC_LOG_DEBUG))
        return;
    if (!pc_log_affords(why->log, __FILE__, __LINE__, LOOKS_PER_S))
        return;
    pc_buf_init_in(&found.text, why->mem, sizeof text, text, sizeof text);
    look(why, app, &found);
    if (found.count == 0 && pc_log_affords(why->log, __FILE__, __LINE__, PASSES_PER_S))
        pc_directory_each(why->directory, app->state, PC_S(""), compare, &found);
    if (found.count && why->happened)
        pc_happened_note(why->happened, PC_HAPPENED_OTHER_THREAD,
                         &(struct pc_happening){.kind = PC_HAPPENED_NEAR_MISS,
                                                .app_id = app->id,
                                                .channel = channel,
                                                .name = event,
                                                .detail = pc_buf_slice(&found.text)});
    if (found.count)
        PC_LOG(why->log, DEBUG, about,
               "event \"%.*s\" on \"%.*s\" has no subscriber; subscribers are on %.*s%s",
               (int)what.len, what.ptr, (int)name.len, name.ptr, (int)found.text.len,
               found.text.ptr, found.count > MAX_NAMES ? " and others" : "");
    else
        PC_LOG(why->log, DEBUG, about, "event \"%.*s\" on \"%.*s\" has no subscriber",
               (int)what.len, what.ptr, (int)name.len, name.ptr);
}
