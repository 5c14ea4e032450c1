#include "broker/steps.h"

#include <pusherc/error.h>

#include "base/pack.h"
#include "broker/lua.h"
#include "cluster/node.h"

#define SLOTS 16384 /* of a Redis Cluster */

/* How an answer is read. */
enum answer {
    FLAT,     /* the values, as they are */
    HOLDINGS, /* two lists: holds, and channels with their counts */
    NAMES,    /* the same without the counts */
    ROSTER    /* members as they are stored */
};

/*
 * `keys`: a letter for each key, followed by the number of the argument that names it.
 *   m n s u d e o   meta, nodes, since, unsynced, dying, edges, orders
 *   h c             what an incarnation holds, what it counts
 *   r a k           a channel's roster, the list with its subscriptions, its kept event
 *   l i             a list, an idempotency key
 * `each`: the keys of each group of `width` arguments from `first` on; q: the roster, or the list without a user.
 */
struct script {
    const char *name, *text;
    const char *keys;
    size_t first, width;
    const char *each;
    enum answer answer;
};

static const struct script scripts[PC_BROKER_SCRIPTS] = {
    {"layout", lua_layout, "m", 0, 0, "", FLAT},
    [PUSHERC_STEP_ATTACH] = {"attach", lua_attach, "mnsud", 0, 0, "", FLAT},
    [PUSHERC_STEP_DETACH] = {"detach", lua_detach, "mnsuh0c0", 0, 0, "", FLAT},
    [PUSHERC_STEP_RENEW] = {"renew", lua_renew, "mnsud", 0, 0, "", FLAT},
    [PUSHERC_STEP_SYNCED] = {"synced", lua_synced, "mnu", 0, 0, "", FLAT},
    [PUSHERC_STEP_MINE] = {"mine", lua_mine, "mnh0c0", 0, 0, "", HOLDINGS},
    [PUSHERC_STEP_JOIN] = {"join", lua_join, "mnh0r2e", 0, 0, "", FLAT},
    [PUSHERC_STEP_LEAVE] = {"leave", lua_leave, "mnh0r2e", 0, 0, "", FLAT},
    [PUSHERC_STEP_COUNT] = {"count", lua_count, "mnc0e", 3, 5, "a1", FLAT},
    [PUSHERC_STEP_FETCH] = {"fetch", lua_fetch, "mr1", 0, 0, "", ROSTER},
    [PUSHERC_STEP_VERIFY] = {"verify", lua_verify, "m", 1, 3, "r0", FLAT},
    [PUSHERC_STEP_PEEK] = {"peek", lua_peek, "h0c0", 0, 0, "", NAMES},
    [PUSHERC_STEP_REAP] = {"reap", lua_reap, "mnsudeh3c3", 0, 0, "", FLAT},
    [PUSHERC_STEP_TELL] = {"tell", lua_tell, "mne", 0, 0, "", FLAT},
    [PUSHERC_STEP_TOLD] = {"told", lua_told, "mne", 0, 0, "", FLAT},
    [PUSHERC_STEP_CHECK] = {"check", lua_check, "me", 1, 2, "q0", FLAT},
    [PUSHERC_STEP_CHANNELS] = {"channels", lua_channels, "l0", 0, 0, "", FLAT},
    [PUSHERC_STEP_KEEP] = {"keep", lua_keep, "k0", 0, 0, "", FLAT},
    [PUSHERC_STEP_REKEEP] = {"rekeep", lua_rekeep, "k0", 0, 0, "", FLAT},
    [PUSHERC_STEP_KEPT] = {"kept", lua_kept, "k0", 0, 0, "", FLAT},
    [PUSHERC_STEP_ONCE_BEGIN] = {"once_begin", lua_once_begin, "i0", 0, 0, "", FLAT},
    [PUSHERC_STEP_ONCE_DONE] = {"once_done", lua_once_done, "i0", 0, 0, "", FLAT},
    [PUSHERC_STEP_ONCE_UNDO] = {"once_undo", lua_once_undo, "i0", 0, 0, "", FLAT},
    [PUSHERC_STEP_ORDER] = {"order", lua_order, "on", 0, 0, "", FLAT},
    [PUSHERC_STEP_ORDERS] = {"orders", lua_orders, "o", 0, 0, "", FLAT},
    [PUSHERC_STEP_TOTALS] = {"totals", lua_totals, "", 0, 1, "a0r0", FLAT},
};

/* -- names -- */

static uint32_t partition_of_tag(pusherc_slice digits)
{
    return (uint32_t)(pc_node_slot(digits) % SLOTS) * PC_BROKER_PARTITIONS / SLOTS;
}

/* The smallest number whose slot lies in the partition's share. */
static pusherc_slice tag_of(uint32_t partition, char digits[PC_U64_DIGITS])
{
    for (uint64_t n = 0;; n++) { /* below 1000, as a test proves */
        pusherc_slice tag = pc_slice(digits, pc_format_u64(n, digits));
        if (partition_of_tag(tag) == partition)
            return tag;
    }
}

int pc_broker_names_init(struct pc_broker_names *names, const struct pc_mem *mem,
                         pusherc_slice prefix)
{
    size_t head = prefix.len + PC_U64_DIGITS + 2;
    char digits[PC_U64_DIGITS];
    *names = (struct pc_broker_names){.mem = mem};
    names->text = pc_alloc(mem, prefix.len + PC_BROKER_PARTITIONS * head);
    if (!names->text)
        return PUSHERC_ENOMEM;
    char *at = names->text;
    names->prefix = pc_pack(&at, prefix);
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        const char *begin = at;
        pc_pack(&at, prefix);
        *at++ = '{';
        pc_pack(&at, tag_of(i, digits));
        *at++ = '}';
        names->heads[i] = pc_slice(begin, (size_t)(at - begin));
        names->slots[i] = pc_node_slot(tag_of(i, digits)) % SLOTS;
    }
    return 0;
}

void pc_broker_names_free(struct pc_broker_names *names)
{
    if (names->mem)
        pc_free(names->mem, names->text);
    names->text = NULL;
}

uint32_t pc_broker_partition_of_slot(const struct pc_broker_names *names, uint64_t slot)
{
    for (uint32_t i = 0; i < PC_BROKER_PARTITIONS; i++) {
        if (names->slots[i] == slot)
            return i;
    }
    return PC_BROKER_PARTITIONS;
}

/* -- topics -- */

const struct pc_broker_words *pc_broker_words(bool sharded)
{
    static const struct pc_broker_words words[] = {
        {PUSHERC_LIT("SUBSCRIBE"), PUSHERC_LIT("UNSUBSCRIBE"), PUSHERC_LIT("PUBLISH"),
         PUSHERC_LIT("subscribe"), PUSHERC_LIT("unsubscribe"), PUSHERC_LIT("message")},
        {PUSHERC_LIT("SSUBSCRIBE"), PUSHERC_LIT("SUNSUBSCRIBE"), PUSHERC_LIT("SPUBLISH"),
         PUSHERC_LIT("ssubscribe"), PUSHERC_LIT("sunsubscribe"), PUSHERC_LIT("smessage")},
    };
    return &words[sharded];
}

static pusherc_slice letter_of(pusherc_topic topic)
{
    switch (topic) {
    case PUSHERC_TOPIC_CHANNEL:
        return PC_S("t/");
    case PUSHERC_TOPIC_PARTITION:
        return PC_S("p");
    case PUSHERC_TOPIC_ORDERS:
        break;
    }
    return PC_S("o");
}

void pc_broker_put_topic(struct pc_buf *buf, const struct pc_broker_names *names,
                         uint32_t partition, pusherc_topic topic, pusherc_slice key)
{
    const pusherc_slice parts[] = {names->heads[partition], letter_of(topic), key};
    pc_redis_put_parts(buf, parts, 3);
}

bool pc_broker_topic_parse(const struct pc_broker_names *names, pusherc_slice name,
                           struct pc_broker_topic *out)
{
    if (!pc_slice_starts(name, names->prefix))
        return false;
    pusherc_slice rest = pc_slice_skip(name, names->prefix.len);
    size_t end = pc_slice_find(rest, '}');
    if (end == rest.len || rest.ptr[0] != '{')
        return false;
    out->partition = partition_of_tag(pc_slice_skip(pc_slice_first(rest, end), 1));
    if (!pc_slice_starts(name, names->heads[out->partition]))
        return false;
    rest = pc_slice_skip(rest, end + 1);
    for (int topic = PUSHERC_TOPIC_CHANNEL; topic <= PUSHERC_TOPIC_ORDERS; topic++) {
        pusherc_slice letter = letter_of((pusherc_topic)topic);
        out->topic = (pusherc_topic)topic;
        out->key = pc_slice_skip(rest, letter.len);
        if (pc_slice_starts(rest, letter) && (topic == PUSHERC_TOPIC_CHANNEL) == (out->key.len > 0))
            return true;
    }
    return false;
}

/* -- keys -- */

/* Counts the keys of a step, and in a second run writes them. */
struct keys {
    struct pc_buf *buf; /* NULL = counts */
    pusherc_slice head;
    const pusherc_slice *args;
    size_t arg_count, count;
    bool fits; /* false: an argument is missing */
};

static void put_key(struct keys *k, const pusherc_slice *parts, size_t count)
{
    pusherc_slice all[6] = {k->head};
    k->count++;
    if (!k->buf)
        return;
    for (size_t i = 0; i < count; i++)
        all[i + 1] = parts[i];
    pc_redis_put_parts(k->buf, all, count + 1);
}

static void put_named(struct keys *k, pusherc_slice kind, pusherc_slice name)
{
    const pusherc_slice parts[] = {kind, name};
    put_key(k, parts, 2);
}

/* The list of its app that the channel is in; COUNT is told the same list. */
static void put_list_of(struct keys *k, pusherc_slice channel)
{
    size_t app = pc_slice_find(channel, '/');
    pusherc_slice name = pc_slice_skip(channel, app < channel.len ? app + 1 : app);
    const pusherc_slice parts[] = {PC_S("a:"), pc_slice_first(channel, app),
                                   pc_slice_starts(name, PC_S("#"))           ? PC_S(":q")
                                   : pc_slice_starts(name, PC_S("presence-")) ? PC_S(":p")
                                                                              : PC_S(":o")};
    put_key(k, parts, 3);
}

static void put_letter(struct keys *k, char letter, pusherc_slice arg, pusherc_slice next)
{
    static const struct {
        char letter;
        pusherc_slice kind;
    } kinds[] = {
        {'m', PUSHERC_LIT("meta")},   {'n', PUSHERC_LIT("nodes")},    {'s', PUSHERC_LIT("since")},
        {'d', PUSHERC_LIT("dying")},  {'u', PUSHERC_LIT("unsynced")}, {'e', PUSHERC_LIT("edges")},
        {'o', PUSHERC_LIT("orders")}, {'h', PUSHERC_LIT("h:")},       {'c', PUSHERC_LIT("c:")},
        {'r', PUSHERC_LIT("r:")},     {'k', PUSHERC_LIT("k:")},       {'i', PUSHERC_LIT("i:")},
        {'l', PUSHERC_LIT("a:")},
    };
    if (letter == 'q')
        letter = next.len ? 'r' : 'a';
    if (letter == 'a')
        put_list_of(k, arg);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].letter == letter)
            put_named(k, kinds[i].kind, arg);
    }
}

static pusherc_slice arg_at(struct keys *k, size_t i)
{
    if (i < k->arg_count)
        return k->args[i];
    k->fits = false;
    return PC_S("");
}

static void put_letters(struct keys *k, const char *letters, size_t base)
{
    for (; *letters; letters++) {
        char letter = *letters;
        if (letters[1] < '0' || letters[1] > '9') {
            put_letter(k, letter, PC_S(""), PC_S(""));
            continue;
        }
        size_t i = base + (size_t)(*++letters - '0');
        put_letter(k, letter, arg_at(k, i), letter == 'q' ? arg_at(k, i + 1) : PC_S(""));
    }
}

/* Of what REAP takes away. */
static void put_reaped(struct keys *k)
{
    uint64_t held = 0;
    if (!pc_slice_to_u64(arg_at(k, 5), &held) || held > k->arg_count / 2) {
        k->fits = false;
        return;
    }
    for (size_t i = 0; i < held; i++)
        put_letter(k, 'r', arg_at(k, 6 + 2 * i), PC_S(""));
    for (size_t i = 7 + 2 * (size_t)held; i < k->arg_count; i++)
        put_letter(k, 'a', k->args[i], PC_S(""));
}

static void put_keys(struct keys *k, pusherc_step step)
{
    const struct script *script = &scripts[step];
    k->count = 0;
    k->fits = true;
    put_letters(k, script->keys, 0);
    for (size_t i = script->first; script->width && i < k->arg_count; i += script->width)
        put_letters(k, script->each, i);
    if (step == PUSHERC_STEP_REAP)
        put_reaped(k);
}

/* -- commands -- */

void pc_broker_put_script(struct pc_buf *buf, size_t nth)
{
    const pusherc_slice text[] = {pc_slice_of(lua_prelude), pc_slice_of(scripts[nth].text)};
    pc_redis_put_count(buf, 3);
    pc_redis_put_word(buf, PC_S("SCRIPT"));
    pc_redis_put_word(buf, PC_S("LOAD"));
    pc_redis_put_parts(buf, text, 2);
}

static void put_number(struct pc_buf *buf, uint64_t number)
{
    char digits[PC_U64_DIGITS];
    pc_redis_put_word(buf, pc_slice(digits, pc_format_u64(number, digits)));
}

int pc_broker_put_step(struct pc_buf *buf, const struct pc_broker_names *names,
                       const struct pc_broker_shas *shas, uint32_t partition, pusherc_step step,
                       uint64_t unix_us, const pusherc_slice *args, size_t count)
{
    struct keys keys = {.head = names->heads[partition], .args = args, .arg_count = count};
    put_keys(&keys, step);
    if (!keys.fits)
        return PUSHERC_EINVAL;
    pc_redis_put_count(buf, 6 + keys.count + count);
    pc_redis_put_word(buf, PC_S("EVALSHA"));
    pc_redis_put_word(buf, pc_slice(shas->text[step], PC_BROKER_SHA));
    put_number(buf, keys.count);
    keys.buf = buf;
    put_keys(&keys, step);
    if (unix_us)
        put_number(buf, unix_us);
    else
        pc_redis_put_word(buf, PC_S(""));
    pc_redis_put_word(buf, pc_broker_words(shas->sharded)->publish);
    pc_redis_put_word(buf, names->heads[partition]);
    for (size_t i = 0; i < count; i++)
        pc_redis_put_word(buf, args[i]);
    return pc_buf_status(buf);
}

int pc_broker_put_layout(struct pc_buf *buf, const struct pc_broker_names *names,
                         const struct pc_broker_shas *shas, uint32_t partition)
{
    char version[PC_U64_DIGITS], partitions[PC_U64_DIGITS];
    const pusherc_slice args[] = {
        pc_slice(version, pc_format_u64(PC_BROKER_LAYOUT, version)),
        pc_slice(partitions, pc_format_u64(PC_BROKER_PARTITIONS, partitions))};
    return pc_broker_put_step(buf, names, shas, partition, (pusherc_step)0, 0, args, 2);
}

/* -- answers -- */

/* What is left to read of an answer. */
struct items {
    const struct pc_redis_item *at, *end;
};

static const struct pc_redis_item *next(struct items *items)
{
    return items->at < items->end ? items->at++ : NULL;
}

static bool next_text(struct items *items, pusherc_slice *out)
{
    const struct pc_redis_item *item = next(items);
    if (!item || (item->type != PC_REDIS_STRING && item->type != PC_REDIS_STATUS))
        return false;
    *out = item->text;
    return true;
}

static bool next_list(struct items *items, size_t *count)
{
    const struct pc_redis_item *item = next(items);
    if (!item || item->type != PC_REDIS_ARRAY)
        return false;
    *count = (size_t)item->number;
    return *count <= (size_t)(items->end - items->at);
}

/* A text or an integer. */
static bool take_value(struct items *items, struct pc_values *out)
{
    const struct pc_redis_item *item = next(items);
    if (!item)
        return false;
    switch (item->type) {
    case PC_REDIS_STRING:
    case PC_REDIS_STATUS:
        pc_values_put(out, item->text);
        return true;
    case PC_REDIS_INTEGER:
        pc_values_put_u64(out, item->number > 0 ? (uint64_t)item->number : 0);
        return true;
    case PC_REDIS_ERROR:
    case PC_REDIS_NIL:
    case PC_REDIS_ARRAY:
        break;
    }
    return false;
}

static bool take_flat(struct items *items, struct pc_values *out)
{
    while (items->at < items->end) {
        if (!take_value(items, out))
            return false;
    }
    return true;
}

/* The number that the text begins with, up to `end`, which is cut off as well. */
static bool cut_number(pusherc_slice *text, char end, uint64_t *out)
{
    size_t len = pc_slice_find(*text, end);
    if (len == text->len || !pc_slice_to_u64(pc_slice_first(*text, len), out))
        return false;
    *text = pc_slice_skip(*text, len + 1);
    return true;
}

/* Holds are stored as "<length>:<channel><user>". */
static bool take_holdings(struct items *items, bool with_counts, struct pc_values *out)
{
    size_t count;
    pusherc_slice text;
    uint64_t len;
    if (!take_value(items, out) || !next_list(items, &count))
        return false;
    pc_values_put_u64(out, count);
    for (size_t i = 0; i < count; i++) {
        if (!next_text(items, &text) || !cut_number(&text, ':', &len) || len > text.len)
            return false;
        pc_values_put(out, pc_slice_first(text, (size_t)len));
        pc_values_put(out, pc_slice_skip(text, (size_t)len));
    }
    if (!next_list(items, &count) || (with_counts && count % 2))
        return false;
    pc_values_put_u64(out, with_counts ? count / 2 : count);
    return take_flat(items, out);
}

/* Members are stored as "<holders> <number> <info>" in their field, and the number of the last change in the field "". */
static bool take_member(struct items *items, struct pc_values *out)
{
    pusherc_slice user, value;
    uint64_t holders, number;
    if (!next_text(items, &user) || !next_text(items, &value))
        return false;
    if (user.len == 0)
        return true;
    if (!cut_number(&value, ' ', &holders) || !cut_number(&value, ' ', &number))
        return false;
    pc_values_put(out, user);
    pc_values_put_u64(out, number);
    pc_values_put(out, value);
    return true;
}

static bool take_roster(struct items *items, struct pc_values *out)
{
    pusherc_slice counter;
    size_t count;
    struct items unsettled = {items->at + 2, items->end};
    if (!take_value(items, out) || !next_text(items, &counter) || !next(items) ||
        !next_list(items, &count) || count % 2)
        return false;
    for (size_t i = 0; i < count; i += 2) {
        if (items->at[i].text.len == 0)
            counter = items->at[i + 1].text;
    }
    pc_values_put(out, counter);
    if (!take_value(&unsettled, out))
        return false;
    while (items->at < items->end) {
        if (!take_member(items, out))
            return false;
    }
    return true;
}

int pc_broker_answer(pusherc_step step, const struct pc_redis_reply *reply, struct pc_values *out)
{
    struct items items = {reply->items + 1, reply->items + reply->count};
    bool sound = reply->items[0].type == PC_REDIS_ARRAY && reply->items[0].number > 0;
    enum answer kind = reply->items[0].number == 1 ? FLAT : scripts[step].answer;
    if (!sound)
        return PUSHERC_EPROTO;
    switch (kind) {
    case FLAT:
        sound = take_flat(&items, out);
        break;
    case HOLDINGS:
        sound = take_holdings(&items, true, out);
        break;
    case NAMES:
        sound = take_holdings(&items, false, out);
        break;
    case ROSTER:
        sound = take_roster(&items, out);
        break;
    }
    if (pc_values_status(out))
        return PUSHERC_ENOMEM;
    return sound ? 0 : PUSHERC_EPROTO;
}
