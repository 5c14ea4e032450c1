/* Reading state: channels, their members, connections (protocol sections 5.4 to 5.6, 5.8, 5.9). */
#include "api/call.h"

#include "channel/keep.h"
#include "codec/json.h"

/* -- parameters -- */

static bool is_index(pusherc_slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] < '0' || text.ptr[i] > '9')
            return false;
    return true;
}

bool pc_api_param_is(const struct pc_pair *param, pusherc_slice name)
{
    pusherc_slice base = pc_slice_first(param->name, name.len);
    if (!pc_slice_eq_nocase(base, name))
        return false;
    pusherc_slice rest = pc_slice_skip(param->name, base.len);
    if (rest.len == 0)
        return true;
    return rest.len >= 2 && rest.ptr[0] == '[' && rest.ptr[rest.len - 1] == ']' &&
           is_index(pc_slice(rest.ptr + 1, rest.len - 2));
}

const pusherc_slice *pc_api_param(const struct pc_api_call *call, pusherc_slice name)
{
    return pc_pair_find(call->params, call->param_count, name);
}

void pc_api_info_add(struct pc_api_info *info, pusherc_slice list)
{
    pusherc_slice name;
    while (pc_http_list_next(&list, &name)) {
        if (name.len == 0)
            continue;
        info->given = true;
        if (pc_slice_eq(name, PC_S("user_count")))
            info->user_count = true;
        else if (pc_slice_eq(name, PC_S("subscription_count")))
            info->subscription_count = true;
        else if (pc_slice_eq(name, PC_S("cache")))
            info->cache = true;
        else if (info->unknown.len == 0)
            info->unknown = name;
    }
}

void pc_api_info_of_query(const struct pc_api_call *call, struct pc_api_info *info)
{
    *info = (struct pc_api_info){0};
    for (size_t i = 0; i < call->param_count; i++)
        if (pc_api_param_is(&call->params[i], PC_S("info")))
            pc_api_info_add(info, call->params[i].value);
}

/* -- attributes -- */

struct counts {
    uint64_t subscriptions, users;
};

static struct counts counts_of(const struct pc_channel *channel)
{
    return (struct counts){channel->subscriptions, pc_roster_count(&channel->roster)};
}

static struct counts look_up_found(const struct pc_search *search, pusherc_slice name)
{
    struct pc_found found;
    pusherc_slice channel, info;
    for (size_t at = 0; pc_search_next(search, &at, &found, &channel, &info);)
        if (pc_slice_eq(channel, name))
            return (struct counts){found.subscriptions, found.members};
    return (struct counts){0, 0};
}

static struct counts look_up(const struct pc_api_call *call, pusherc_slice name)
{
    if (call->found)
        return look_up_found(call->found, name);

    struct pc_directory *directory = &call->request->engine->directory;
    uint64_t uid = call->app->state->uid;
    struct pc_shard *shard = pc_directory_lock(directory, uid, name);
    const struct pc_channel *channel = pc_shard_find(shard, uid, name);
    struct counts counts = channel ? counts_of(channel) : (struct counts){0, 0};
    pc_shard_unlock(shard);
    return counts;
}

static bool is_presence(pusherc_slice channel)
{
    return pc_channel_classify(channel).kind == PUSHERC_CHANNEL_PRESENCE;
}

static void put_number(struct pc_buf *body, pusherc_slice name, uint64_t number, bool *first)
{
    if (!*first)
        pc_buf_put_char(body, ',');
    *first = false;
    pc_buf_put_char(body, '"');
    pc_buf_put(body, name);
    pc_buf_put(body, PC_S("\":"));
    pc_buf_put_u64(body, number);
}

static void put_counts(struct pc_buf *body, struct counts counts, bool presence,
                       const struct pc_api_info *info, bool first)
{
    if (info->user_count && presence)
        put_number(body, PC_S("user_count"), counts.users, &first);
    if (info->subscription_count)
        put_number(body, PC_S("subscription_count"), counts.subscriptions, &first);
}

void pc_api_put_counts(struct pc_api_call *call, pusherc_slice channel,
                       const struct pc_api_info *info, bool first)
{
    put_counts(&call->reply->body, look_up(call, channel), is_presence(channel), info, first);
}

/* Makes the 400 about one name in "info". */
static void refuse_info(struct pc_api_call *call, const char *name_kind, pusherc_slice name,
                        const char *rest)
{
    pc_api_plain(call->reply, 400, name_kind);
    pc_api_say_quoted(call->reply, name);
    pc_api_say(call->reply, pc_slice_of(rest));
}

static void refuse_unknown_info(struct pc_api_call *call, pusherc_slice name)
{
    refuse_info(call, "Unknown attribute in info: ", name, ".");
}

/* -- all channels -- */

struct list {
    struct pc_buf *body;
    const struct pc_api_info *info;
    bool first;
};

/* The name needs no escapes, because it was checked when the first client subscribed. */
static void put_item(struct list *list, pusherc_slice name, struct counts counts)
{
    pc_buf_put(list->body, list->first ? PC_S("\"") : PC_S(",\""));
    list->first = false;
    pc_buf_put(list->body, name);
    pc_buf_put(list->body, PC_S("\":{"));
    put_counts(list->body, counts, is_presence(name), list->info, true);
    pc_buf_put_char(list->body, '}');
}

/* Locked. */
static void put_channel(const struct pc_channel *channel, void *ctx)
{
    if (channel->class.kind != PUSHERC_CHANNEL_USER)
        put_item(ctx, channel->name, counts_of(channel));
}

/* What was found elsewhere is input: names that clients here could not have are left out. */
static void put_found(struct list *list, const struct pc_search *search)
{
    struct pc_channel_class class;
    struct pc_found found;
    pusherc_slice name, info;
    for (size_t at = 0; pc_search_next(search, &at, &found, &name, &info);)
        if (pc_channel_name_valid(name, PC_CHANNEL_NAME_MAX, &class))
            put_item(list, name, (struct counts){found.subscriptions, found.members});
}

void pc_api_channels(struct pc_api_call *call)
{
    const pusherc_slice *filter = pc_api_param(call, PC_S("filter_by_prefix"));
    pusherc_slice prefix = filter ? *filter : pc_slice(NULL, 0);
    struct pc_api_info info;

    pc_api_info_of_query(call, &info);
    if (info.unknown.len) {
        refuse_unknown_info(call, info.unknown);
        return;
    }
    if (info.cache) {
        pc_api_plain(call->reply, 400, "The attribute \"cache\" is that of a single channel.");
        return;
    }
    if (info.user_count && !is_presence(prefix)) {
        pc_api_plain(call->reply, 400,
                     "user_count is an attribute of presence channels: filter_by_prefix must "
                     "start with \"presence-\".");
        return;
    }
    struct list list = {&call->reply->body, &info, true};
    if (pc_api_search(call, PC_SEARCH_PREFIX, prefix, pc_api_channels))
        return;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(list.body, PC_S("{\"channels\":{"));
    if (call->found)
        put_found(&list, call->found);
    else
        pc_directory_each(&call->request->engine->directory, call->app->state, prefix, put_channel,
                          &list);
    pc_buf_put(list.body, PC_S("}}"));
}

/* -- one channel -- */

static bool check_name(struct pc_api_call *call, struct pc_channel_class *class)
{
    if (pc_channel_name_valid(call->channel, PC_CHANNEL_NAME_MAX, class))
        return true;
    pc_api_plain(call->reply, 400, "Invalid channel name: ");
    pc_api_say_quoted(call->reply, call->channel);
    pc_api_say(call->reply, PC_S(" (" PC_CHANNEL_NAME_RULE ")."));
    return false;
}

static bool check_info(struct pc_api_call *call, struct pc_channel_class class,
                       struct pc_api_info *info)
{
    pc_api_info_of_query(call, info);
    if (info->unknown.len)
        refuse_unknown_info(call, info->unknown);
    else if (info->user_count && class.kind != PUSHERC_CHANNEL_PRESENCE)
        refuse_info(call, "user_count is an attribute of presence channels, and ", call->channel,
                    " is not one.");
    else if (info->cache && !class.cache)
        refuse_info(call, "cache is an attribute of cache channels, and ", call->channel,
                    " is not one.");
    else
        return true;
    return false;
}

static void put_occupied(struct pc_buf *body, struct counts counts)
{
    pc_buf_put(body, PC_S("{\"occupied\":"));
    pc_buf_put(body, counts.subscriptions ? PC_S("true") : PC_S("false"));
}

static void put_event(struct pc_buf *body, pusherc_slice data, uint64_t left_ms)
{
    pc_buf_put(body, PC_S(",\"cache\":{\"data\":"));
    pc_json_put_string(body, data);
    pc_buf_put(body, PC_S(",\"ttl\":"));
    pc_buf_put_u64(body, (left_ms + 999) / 1000);
    pc_buf_put_char(body, '}');
}

/* The counts come first. */
static void put_cached_found(const struct pc_search *search, struct pc_buf *body)
{
    struct pc_found found;
    pusherc_slice data, info;
    size_t at = 0;
    if (pc_search_next(search, &at, &found, &data, &info) &&
        pc_search_next(search, &at, &found, &data, &info))
        put_event(body, data, found.subscriptions);
    else
        pc_buf_put(body, PC_S(",\"cache\":null"));
}

static void put_cached(const struct pc_api_call *call, struct pc_buf *body)
{
    struct pc_directory *directory = &call->request->engine->directory;
    uint64_t uid = call->app->state->uid, now_ms = call->request->worker->now_ms;
    struct pc_shard *shard = pc_directory_lock(directory, uid, call->channel);
    const struct pc_channel *channel = pc_shard_find(shard, uid, call->channel);
    struct pc_cached *cached = channel ? pc_channel_kept(channel, now_ms) : NULL;
    pc_shard_unlock(shard);
    if (!cached) {
        pc_buf_put(body, PC_S(",\"cache\":null"));
        return;
    }
    put_event(body, cached->data, cached->until_ms - now_ms);
    pc_cached_unref(cached);
}

void pc_api_channel(struct pc_api_call *call)
{
    struct pc_channel_class class;
    struct pc_api_info info;
    if (!check_name(call, &class) || !check_info(call, class, &info) ||
        pc_api_search(call, info.cache ? PC_SEARCH_KEPT : PC_SEARCH_COUNTS, call->channel,
                      pc_api_channel))
        return;
    struct counts counts = look_up(call, call->channel);
    struct pc_buf *body = &call->reply->body;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    put_occupied(body, counts);
    put_counts(body, counts, class.kind == PUSHERC_CHANNEL_PRESENCE, &info, false);
    if (info.cache && call->found)
        put_cached_found(call->found, body);
    else if (info.cache)
        put_cached(call, body);
    pc_buf_put_char(body, '}');
}

void pc_api_channel_stats(struct pc_api_call *call)
{
    struct pc_channel_class class;
    if (!check_name(call, &class) ||
        pc_api_search(call, PC_SEARCH_COUNTS, call->channel, pc_api_channel_stats))
        return;
    struct counts counts = look_up(call, call->channel);
    struct pc_buf *body = &call->reply->body;
    bool first = false;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    put_occupied(body, counts);
    if (class.kind == PUSHERC_CHANNEL_PRESENCE)
        put_number(body, PC_S("user_count"), counts.users, &first);
    put_number(body, PC_S("connection_count"), counts.subscriptions, &first);
    pc_buf_put_char(body, '}');
}

static void put_user(struct pc_buf *body, pusherc_slice id, pusherc_slice info, bool with_info,
                     bool first)
{
    pc_buf_put(body, first ? PC_S("{\"id\":") : PC_S(",{\"id\":"));
    pc_json_put_string(body, id);
    if (with_info) {
        pc_buf_put(body, PC_S(",\"user_info\":"));
        pc_buf_put(body, info);
    }
    pc_buf_put_char(body, '}');
}

/* Locked. Appends the members of the roster. */
static void put_users(struct pc_buf *body, const struct pc_roster *roster, bool with_info)
{
    const struct pc_list *end = &roster->in_order;
    PC_LIST_EACH(l, end) {
        const struct pc_roster_member *member = PC_CONTAINER(l, struct pc_roster_member, in_order);
        put_user(body, member->node.key, member->info, with_info, l == end->next);
    }
}

static void put_users_found(struct pc_buf *body, const struct pc_search *search, bool with_info)
{
    struct pc_found found;
    pusherc_slice id, info;
    for (size_t at = 0; pc_search_next(search, &at, &found, &id, &info);)
        put_user(body, id, info, with_info, id.ptr == search->found.ptr + sizeof found);
}

void pc_api_channel_users(struct pc_api_call *call)
{
    struct pc_channel_class class;
    if (!check_name(call, &class))
        return;
    if (class.kind != PUSHERC_CHANNEL_PRESENCE) {
        pc_api_plain(call->reply, 400, "Only presence channels have users, and ");
        pc_api_say_quoted(call->reply, call->channel);
        pc_api_say(call->reply, PC_S(" is not one."));
        return;
    }
    if (pc_api_search(call, PC_SEARCH_MEMBERS, call->channel, pc_api_channel_users))
        return;
    const pusherc_slice *with = pc_api_param(call, PC_S("with_user_info"));
    bool with_info = with && pc_slice_eq(*with, PC_S("1"));
    struct pc_directory *directory = &call->request->engine->directory;
    struct pc_buf *body = &call->reply->body;
    uint64_t uid = call->app->state->uid;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put(body, PC_S("{\"users\":["));
    if (call->found) {
        put_users_found(body, call->found, with_info);
        pc_buf_put(body, PC_S("]}"));
        return;
    }
    struct pc_shard *shard = pc_directory_lock(directory, uid, call->channel);
    const struct pc_channel *channel = pc_shard_find(shard, uid, call->channel);
    if (channel)
        put_users(body, &channel->roster, with_info);
    pc_shard_unlock(shard);
    pc_buf_put(body, PC_S("]}"));
}

void pc_api_connections(struct pc_api_call *call)
{
    struct pc_buf *body = &call->reply->body;
    /* relaxed: the number may have changed anyway before the client reads it */
    uint32_t n = atomic_load_explicit(&call->app->state->connections, memory_order_relaxed);
    bool first = true;
    pc_api_begin(call->reply, 200, PC_API_JSON);
    pc_buf_put_char(body, '{');
    put_number(body, PC_S("connections"), n, &first);
    pc_buf_put_char(body, '}');
}
