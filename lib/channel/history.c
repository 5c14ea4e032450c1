#include "channel/history.h"

#define EXPIRED_AT_ONCE                                                                            \
    64 /* histories whose time is over; a publisher does not drop more of them in one call */

/* -- positions -- */

static bool read_digits(pusherc_slice digits, uint64_t *value)
{
    *value = 0;
    for (size_t i = 0; i < digits.len; i++) {
        char c = digits.ptr[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')))
            return false;
        *value = *value << 4 | (uint64_t)(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    return true;
}

void pc_position_put(char out[PC_POSITION_LEN], const struct pc_directory *dir, uint64_t number)
{
    pc_put_digits(out, PC_EPOCH_DIGITS, dir->histories.epoch);
    out[PC_EPOCH_DIGITS] = '-';
    pc_put_digits(out + PC_EPOCH_DIGITS + 1, PC_NUMBER_DIGITS, number);
}

bool pc_position_read(pusherc_slice id, const struct pc_directory *dir, uint64_t *number)
{
    uint64_t epoch;
    return id.len == PC_POSITION_LEN && id.ptr[PC_EPOCH_DIGITS] == '-' &&
           read_digits(pc_slice_first(id, PC_EPOCH_DIGITS), &epoch) &&
           read_digits(pc_slice_skip(id, PC_EPOCH_DIGITS + 1), number) &&
           epoch == dir->histories.epoch;
}

bool pc_past_events_after(const struct pc_past_events *events, const struct pc_directory *dir,
                          pusherc_slice id, uint64_t *after)
{
    const bool known = pc_position_read(id, dir, after) && pc_past_complete(events, *after);
    if (!known)
        *after = 0;
    return known || id.len == 0;
}

/* -- the lists; the shard and the histories are locked -- */

static bool is_listed(const struct pc_history *h)
{
    return !pc_list_empty(&h->of_all);
}

/* Bytes. Includes the channel, which may exist only for its history. */
static uint64_t cost_of(const struct pc_channel *channel)
{
    return sizeof *channel + channel->node.key.len + sizeof *channel->history +
           channel->history->bytes;
}

static void take_out(struct pc_histories *all, struct pc_history *h)
{
    struct pc_share *share = &h->channel->app->history.bytes;
    pc_list_remove(&h->of_all);
    pc_list_remove(&h->of_app);
    pc_shares_set(&all->bytes, share, share->held - h->listed_bytes);
    h->listed_bytes = 0;
}

/* Makes it the last one. */
static void put_in(struct pc_histories *all, struct pc_history *h, uint64_t now_ms)
{
    struct pc_app_state *app = h->channel->app;
    take_out(all, h);
    h->until_ms = now_ms + h->keep_ms;
    h->turn = ++all->turn;
    h->listed_bytes = cost_of(h->channel);
    pc_list_push_back(&all->by_age, &h->of_all);
    pc_list_push_back(&app->history.channels, &h->of_app);
    pc_shares_set(&all->bytes, &app->history.bytes, app->history.bytes.held + h->listed_bytes);
}

/* -- one history; the shard is locked -- */

int pc_history_make(struct pc_directory *dir, struct pc_channel *channel,
                    const struct pc_history_rule *rule)
{
    if (channel->history)
        return 0;
    struct pc_history *h = pc_alloc_zero(dir->mem, sizeof *h);
    if (!h)
        return PUSHERC_ENOMEM;
    h->channel = channel;
    h->floor = channel->shard->number;
    h->keep_ms = rule->keep_ms;
    pc_list_init(&h->of_all);
    pc_list_init(&h->of_app);
    channel->history = h;
    return 0;
}

static void drop_first(struct pc_history *h)
{
    struct pc_past *past = h->first;
    h->floor = past->number;
    h->bytes -= pc_past_bytes(past);
    h->count--;
    h->first = pc_past_ref(past->next);
    if (!h->first)
        h->last = NULL;
    pc_past_unref(past);
}

static void drop_expired(struct pc_history *h, uint64_t now_ms)
{
    while (h->first && h->first->at_ms + h->keep_ms <= now_ms)
        drop_first(h);
}

static void append(struct pc_history *h, struct pc_past *past)
{
    if (h->last)
        h->last->next = pc_past_ref(past);
    else
        h->first = pc_past_ref(past);
    h->last = past;
    h->bytes += pc_past_bytes(past);
    h->count++;
}

static bool has_to_shrink(const struct pc_histories *all, uint64_t now_ms)
{
    const struct pc_history *oldest = PC_CONTAINER(all->by_age.next, struct pc_history, of_all);
    return all->bytes.held > all->max_bytes ||
           (!pc_list_empty(&all->by_age) && oldest->until_ms <= now_ms);
}

bool pc_history_keep(struct pc_directory *dir, struct pc_channel *channel,
                     const struct pc_history_rule *rule, struct pc_past *past, uint64_t number,
                     uint64_t now_ms)
{
    struct pc_histories *all = &dir->histories;
    if (pc_history_make(dir, channel, rule))
        return false;
    struct pc_history *h = channel->history;
    h->keep_ms = rule->keep_ms;
    past->number = number;
    past->at_ms = now_ms;
    append(h, past);
    while (h->count > rule->max_events || h->bytes > rule->max_bytes)
        drop_first(h);
    drop_expired(h, now_ms);
    pthread_mutex_lock(&all->mutex);
    put_in(all, h, now_ms);
    bool full = has_to_shrink(all, now_ms);
    pthread_mutex_unlock(&all->mutex);
    return full;
}

static void empty(struct pc_history *h)
{
    while (h->first)
        drop_first(h);
}

void pc_history_skip(struct pc_directory *dir, struct pc_channel *channel, uint64_t number)
{
    struct pc_history *h = channel->history;
    if (!h)
        return;
    empty(h);
    h->floor = number;
    pthread_mutex_lock(&dir->histories.mutex);
    if (is_listed(h))
        put_in(&dir->histories, h, h->until_ms - h->keep_ms);
    pthread_mutex_unlock(&dir->histories.mutex);
}

void pc_history_left(struct pc_directory *dir, struct pc_channel *channel, uint64_t now_ms)
{
    if (!channel->history)
        return;
    pthread_mutex_lock(&dir->histories.mutex);
    put_in(&dir->histories, channel->history, now_ms);
    pthread_mutex_unlock(&dir->histories.mutex);
}

void pc_history_read(struct pc_channel *channel, uint64_t now_ms, struct pc_past_events *out)
{
    struct pc_history *h = channel->history;
    *out = (struct pc_past_events){.number = channel->shard->number, .kept = h != NULL};
    if (!h)
        return;
    drop_expired(h, now_ms);
    out->first = pc_past_ref(h->first);
    out->last = h->last;
    out->floor = h->floor;
}

void pc_history_look(struct pc_directory *dir, const struct pc_app_state *app, pusherc_slice name,
                     uint64_t now_ms, struct pc_past_events *out)
{
    struct pc_shard *shard = pc_directory_lock(dir, app->uid, name);
    struct pc_channel *channel = pc_shard_find(shard, app->uid, name);
    *out = (struct pc_past_events){.number = shard->number};
    if (channel)
        pc_history_read(channel, now_ms, out);
    pc_shard_unlock(shard);
}

/* -- what has to go -- */

/* A history that has to go, by what finds it again when its shard is locked. */
struct victim {
    uint64_t app_uid, turn;
    size_t name_len;
    char name[PC_ANY_CHANNEL_NAME_MAX];
};

/* The histories are locked, here and below. NULL: the app has none that is listed. */
static struct pc_history *oldest_of_app(const struct pc_app_state *app)
{
    const struct pc_list *channels = &app->history.channels;
    return pc_list_empty(channels) ? NULL : PC_CONTAINER(channels->next, struct pc_history, of_app);
}

static struct pc_history *expired(const struct pc_histories *all, uint64_t now_ms)
{
    if (pc_list_empty(&all->by_age))
        return NULL;
    struct pc_history *oldest = PC_CONTAINER(all->by_age.next, struct pc_history, of_all);
    return oldest->until_ms <= now_ms ? oldest : NULL;
}

static struct pc_history *too_much(const struct pc_histories *all)
{
    return all->bytes.held > all->max_bytes
               ? oldest_of_app(PC_CONTAINER(all->bytes.largest, struct pc_app_state, history.bytes))
               : NULL;
}

static bool describe(const struct pc_history *h, struct victim *out)
{
    if (!h)
        return false;
    out->app_uid = h->channel->app->uid;
    out->turn = h->turn;
    out->name_len = h->channel->name.len;
    memcpy(out->name, h->channel->name.ptr, h->channel->name.len);
    return true;
}

/* The shard is locked. A channel in use keeps its history, without events and unlisted: its floor says what is missing. */
static void drop_history(struct pc_directory *dir, struct pc_channel *channel)
{
    struct pc_history *h = channel->history;
    empty(h);
    pthread_mutex_lock(&dir->histories.mutex);
    take_out(&dir->histories, h);
    pthread_mutex_unlock(&dir->histories.mutex);
    pc_channel_settle(dir, channel);
}

/* If the history has been used meanwhile, it stays. */
static void drop(struct pc_directory *dir, const struct victim *victim)
{
    pusherc_slice name = pc_slice(victim->name, victim->name_len);
    struct pc_shard *shard = pc_directory_lock(dir, victim->app_uid, name);
    struct pc_channel *channel = pc_shard_find(shard, victim->app_uid, name);
    if (channel && channel->history && channel->history->turn == victim->turn)
        drop_history(dir, channel);
    pc_shard_unlock(shard);
}

void pc_history_make_room(struct pc_directory *dir, uint64_t now_ms)
{
    struct pc_histories *all = &dir->histories;
    struct victim victim;
    bool more = true;
    for (unsigned n = 0; more; n++) {
        pthread_mutex_lock(&all->mutex);
        struct pc_history *old = n < EXPIRED_AT_ONCE ? expired(all, now_ms) : NULL;
        more = describe(old ? old : too_much(all), &victim);
        pthread_mutex_unlock(&all->mutex);
        if (more)
            drop(dir, &victim);
    }
}

void pc_history_forget(struct pc_directory *dir, const struct pc_app_state *app)
{
    struct victim victim;
    bool more = true;
    while (more) {
        pthread_mutex_lock(&dir->histories.mutex);
        more = describe(oldest_of_app(app), &victim);
        pthread_mutex_unlock(&dir->histories.mutex);
        if (more)
            drop(dir, &victim);
    }
}

uint64_t pc_history_bytes(struct pc_directory *dir)
{
    pthread_mutex_lock(&dir->histories.mutex);
    uint64_t bytes = dir->histories.bytes.held;
    pthread_mutex_unlock(&dir->histories.mutex);
    return bytes;
}
