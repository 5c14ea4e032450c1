/*
 * Channels with a history under random operations: pages come, subscribe, are cut off with events unread, and come back
 * with the last id they saw, on any worker, and wait for their turn to join; publishers publish; workers take their turns
 * in any order; time passes.
 *
 * A page must see each event once and in order. It may miss events only after it was told so, and it is told so only if
 * the bounds of the pattern, which the model keeps as simply as possible, have cost it an event; or if the channel was
 * quiet and without subscribers for so long that the server may have forgotten it.
 */
#include <stdint.h>

#include "channel/history.h"
#include "engine_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAGES      6
#define CHANNELS   4
#define MAX_EVENTS 4096

static const pusherc_history_pattern patterns[] = {
    {.struct_size = sizeof patterns[0], .pattern = "few", .max_events = 4, .max_age_s = 600},
    {.struct_size = sizeof patterns[0], .pattern = "short", .max_events = 1000, .max_age_s = 5},
    {.struct_size = sizeof patterns[0], .pattern = "small", .max_bytes = 1000, .max_age_s = 600},
    {.struct_size = sizeof patterns[0], .pattern = "cache-all", .max_events = 1000},
};

struct published {
    uint64_t at_ms;
    size_t bytes;
    pusherc_socket_id except;
};

struct channel {
    struct published events[MAX_EVENTS + 1]; /* from 1 on */
    unsigned count, floor;                   /* events up to `floor` are gone */
    uint64_t quiet_ms;                       /* since when nothing has happened to it */
    unsigned joined;                         /* pages */
    unsigned forgotten; /* what was published before this event, the server may not know any more */
};

/* What a page knows of a channel. */
struct known {
    bool waits; /* for its turn to join: it resumes, or has subscribed behind a channel that does */
    bool joined, has_id, lost;
    unsigned last;  /* event it saw, or that it joined after */
    unsigned until; /* while it is resumed: the last event before the join */
    char id[PC_POSITION_LEN + 1];
};

struct page {
    bool open;
    struct fx_client client;
    pusherc_socket_id former;
    struct known known[CHANNELS];
};

struct world {
    struct fx fx;
    struct pc_app *app;
    struct page pages[PAGES];
    struct channel channels[CHANNELS];
    const uint8_t *data;
    size_t size;
};

static unsigned next(struct world *w, unsigned below)
{
    if (w->size == 0)
        return 0;
    w->size--;
    return *w->data++ % below;
}

static uint64_t now_of(const struct world *w)
{
    return w->fx.engine->workers[0].now_ms;
}

static uint64_t keep_ms(int c)
{
    return UINT64_C(1000) * (patterns[c].max_age_s ? patterns[c].max_age_s : 120);
}

/* -- the bounds -- */

static void forget(struct world *w, int c)
{
    struct channel *channel = &w->channels[c];
    const uint32_t max_bytes = patterns[c].max_bytes ? patterns[c].max_bytes : 1 << 20;
    const uint32_t max_events = patterns[c].max_events ? patterns[c].max_events : 100;
    size_t bytes = 0;
    for (unsigned i = channel->count; i > channel->floor; i--) {
        bytes += channel->events[i].bytes;
        if (bytes > max_bytes || channel->count - i >= max_events ||
            channel->events[i].at_ms + keep_ms(c) <= now_of(w)) {
            channel->floor = i;
            return;
        }
    }
}

/* Before something happens to the channel: it may have been quiet for so long that the server begins it anew. */
static void may_begin_anew(struct world *w, int c)
{
    struct channel *channel = &w->channels[c];
    if (channel->joined == 0 && channel->quiet_ms + keep_ms(c) <= now_of(w))
        channel->forgotten = channel->count + 1;
}

/* -- a page reads -- */

static int channel_of(const char *line)
{
    for (int c = 0; c < CHANNELS; c++) {
        char part[64];
        snprintf(part, sizeof part, "\"channel\":\"%s\"", patterns[c].pattern);
        if (strstr(line, part))
            return c;
    }
    return -1;
}

static bool same(pusherc_socket_id a, pusherc_socket_id b)
{
    return (a.a | a.b) && a.a == b.a && a.b == b.b;
}

/* The page is not sent an event that excluded it, now or under its id from before. */
static void pass_over(const struct world *w, const struct page *page, int c, unsigned to)
{
    struct known *k = (struct known *)&page->known[c];
    while (k->last + 1 < to) {
        const struct published *p = &w->channels[c].events[k->last + 1];
        REQUIRE(k->lost || same(p->except, page->client.q.owner) || same(p->except, page->former));
        k->last++;
    }
}

static void read_event(struct world *w, struct page *page, int c, const char *line)
{
    struct known *k = &page->known[c];
    unsigned number = 0;
    REQUIRE(sscanf(strstr(line, "\"data\":\""), "\"data\":\"%u", &number) == 1);
    if (!strstr(line, "event_id")) { /* what a cache channel keeps, for a newcomer */
        REQUIRE(c == CHANNELS - 1 && number == k->last);
        return;
    }
    REQUIRE(number > k->last && number <= w->channels[c].count);
    pass_over(w, page, c, number);
    REQUIRE(!same(w->channels[c].events[number].except, page->client.q.owner));
    k->last = number;
    if (number > k->until)
        k->lost = false;
}

static void read_message(struct world *w, struct page *page, const char *line)
{
    int c = channel_of(line);
    const char *id = strstr(line, "\"event_id\":\"");
    if (c < 0)
        return;
    struct known *k = &page->known[c];
    if (strstr(line, "\"event\":\"e\"")) {
        read_event(w, page, c, line);
    } else if (strstr(line, "pusher:resumed")) {
        pass_over(w, page, c, k->until + 1);
        k->last = k->until > k->last ? k->until : k->last;
        k->lost = false;
    } else if (strstr(line, "pusher:history_lost")) {
        REQUIRE(k->lost);
    }
    if (id) {
        REQUIRE(!k->has_id || strncmp(k->id, id + 12, PC_POSITION_LEN) < 0 ||
                strstr(line, "history_lost"));
        memcpy(k->id, id + 12, PC_POSITION_LEN);
        k->has_id = true;
    }
}

static void read_all(struct world *w, struct page *page)
{
    char *line = page->client.heard;
    for (char *end; line && (end = strchr(line, '\n')); line = end + 1) {
        *end = '\0';
        read_message(w, page, line);
    }
    fx_forget(&page->client);
}

/* -- operations -- */

static void leave(struct world *w, struct page *page, int c)
{
    page->known[c].waits = false;
    if (!page->known[c].joined)
        return;
    page->known[c].joined = false;
    if (--w->channels[c].joined == 0)
        w->channels[c].quiet_ms = now_of(w);
}

static void come(struct world *w, struct page *page)
{
    char text[1024];
    fx_connect(&w->fx, &page->client, next(w, w->fx.engine->worker_count));
    page->open = true;
    int n = snprintf(text, sizeof text, "{\"event\":\"pusher:resume\",\"data\":{\"channels\":{");
    const char *comma = "";
    for (int c = 0; c < CHANNELS; c++) {
        if (!page->known[c].has_id)
            continue;
        n += snprintf(text + n, sizeof text - (size_t)n, "%s\"%s\":\"%s\"", comma,
                      patterns[c].pattern, page->known[c].id);
        comma = ",";
    }
    char former[PUSHERC_SOCKET_ID_STRLEN];
    pusherc_socket_id_format(page->former, former);
    snprintf(text + n, sizeof text - (size_t)n, "},\"socket_id\":\"%s\"}}", former);
    fx_say(&page->client, text);
}

/* What was not read is lost. */
static void cut(struct world *w, struct page *page)
{
    for (int c = CHANNELS; c-- > 0;)
        leave(w, page, c);
    page->former = page->client.q.owner;
    fx_disconnect(&page->client);
    page->open = false;
    for (int c = 0; c < CHANNELS; c++)
        page->known[c].lost = false;
}

static bool has_joined(struct page *page, int c)
{
    return !pc_session_join_waits(&page->client.session, pc_slice_of(patterns[c].pattern));
}

static uint64_t told_lost(const struct page *page)
{
    return pc_stat_get(&page->client.q.worker->stats.history_lost);
}

/* `told`: that events are lost. */
static void joined(struct world *w, struct page *page, int c, bool told)
{
    struct known *k = &page->known[c];
    struct channel *channel = &w->channels[c];
    forget(w, c);
    may_begin_anew(w, c);
    REQUIRE(told == (k->has_id && channel->floor > k->last) ||
            (told && k->last < channel->forgotten));
    k->waits = false;
    k->joined = true;
    k->lost = told;
    k->until = channel->count;
    if (!k->has_id)
        k->last = channel->count;
    channel->joined++;
}

static void subscribe(struct world *w, struct page *page, int c)
{
    struct known *k = &page->known[c];
    if (k->joined || k->waits)
        return;
    fx_subscribe(&page->client, patterns[c].pattern);
    k->waits = true;
    REQUIRE(!(k->has_id && has_joined(page, c)));
    if (has_joined(page, c))
        joined(w, page, c, false);
}

static uint64_t no_clock(void)
{
    return 0;
}

/* One join that has waited, and those of the same page behind it that need not wait. */
static bool serve(struct world *w, unsigned index)
{
    struct pc_worker *worker = &w->fx.engine->workers[index];
    const uint64_t before = pc_stat_get(&worker->stats.history_lost);
    if (!pc_session_serve_joins(worker, no_clock, 0))
        return false;
    for (int i = 0; i < PAGES; i++) {
        struct page *page = &w->pages[i];
        for (int c = 0; page->open && c < CHANNELS; c++)
            if (page->known[c].waits && has_joined(page, c))
                joined(w, page, c, page->known[c].has_id && told_lost(page) > before);
    }
    return true;
}

static void publish(struct world *w, int c)
{
    struct channel *channel = &w->channels[c];
    unsigned how = next(w, 256);
    char data[300];
    if (channel->count == MAX_EVENTS)
        return;
    may_begin_anew(w, c);
    snprintf(data, sizeof data, "%u%*s", channel->count + 1, how % 4 == 0 ? (int)how : 0, "");
    pusherc_slice name = pc_slice_of(patterns[c].pattern);
    struct pc_publication p = {.event = PC_S("e"),
                               .channels = &name,
                               .channel_count = 1,
                               .data = pc_slice_of(data),
                               .cacheable = true,
                               .now_ms = now_of(w)};
    const struct page *page = &w->pages[how % PAGES];
    if (how >= 192 && page->open && c != CHANNELS - 1)
        p.except = page->client.q.owner;
    channel->events[++channel->count] =
        (struct published){now_of(w), sizeof(struct pc_past) + 1 + strlen(data), p.except};
    channel->quiet_ms = now_of(w);
    forget(w, c);
    REQUIRE(pc_publish(w->fx.engine, w->app, &p) == 0);
}

static void flush(struct world *w, struct page *page)
{
    if (!page->open)
        return;
    fx_flush(&page->client);
    read_all(w, page);
}

static void operate(struct world *w)
{
    static const uint64_t steps_ms[] = {1, 100, 1000, 4999, 5000, 60000, 600000};
    unsigned operation = next(w, 12);
    struct page *page = &w->pages[next(w, PAGES)];
    int c = (int)next(w, CHANNELS);
    switch (operation) {
    case 0:
    case 1:
    case 2:
        if (page->open)
            subscribe(w, page, c);
        else
            come(w, page);
        break;
    case 3:
        if (page->open)
            cut(w, page);
        break;
    case 4:
    case 5:
    case 6:
    case 7:
        publish(w, c);
        break;
    case 8: {
        struct pc_worker *worker = &w->fx.engine->workers[next(w, w->fx.engine->worker_count)];
        pc_mailbox_run(worker->mailbox, worker);
        break;
    }
    case 9:
        flush(w, page);
        break;
    case 10:
        if (page->open)
            serve(w, page->client.q.worker->index);
        break;
    case 11:
        fx_pass(&w->fx, steps_ms[next(w, sizeof steps_ms / sizeof steps_ms[0])]);
        break;
    }
}

/* -- the whole -- */

static void begin(struct world *w)
{
    pusherc_server_options limits = fx_limits();
    pusherc_app_options options = fx_app();
    options.activity_timeout_ms = UINT32_MAX; /* no page is pinged */
    options.history = patterns;
    options.history_count = CHANNELS;
    REQUIRE(fx_try_open(&w->fx, &limits, NULL, 1 + next(w, FX_WORKERS), 0) == 0);
    REQUIRE(fx_try_put(&w->fx, &options) == 0);
    w->app = pc_apps_by_id(&w->fx.engine->apps, PC_S("app-id"));
    for (int c = 0; c < CHANNELS; c++)
        w->channels[c].quiet_ms = now_of(w);
}

static void end(struct world *w)
{
    for (unsigned i = 0; i < w->fx.engine->worker_count; i++)
        while (serve(w, i))
            ;
    fx_settle(&w->fx);
    for (int i = 0; i < PAGES; i++) {
        struct page *page = &w->pages[i];
        flush(w, page);
        for (int c = 0; page->open && c < CHANNELS; c++)
            if (page->known[c].joined)
                pass_over(w, page, c, w->channels[c].count + 1);
        if (page->open)
            cut(w, page);
    }
    pc_history_forget(&w->fx.engine->directory, w->app->state);
    REQUIRE(pc_history_bytes(&w->fx.engine->directory) == 0);
    pc_app_unref(w->app);
    fx_close(&w->fx);
    REQUIRE(failing_alloc_live(&w->fx.alloc) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct world world;
    memset(&world, 0, sizeof world);
    world.data = data;
    world.size = size < 8192 ? size : 8192;
    begin(&world);
    while (world.size > 0)
        operate(&world);
    end(&world);
    return 0;
}
