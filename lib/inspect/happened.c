#include "inspect/happened.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

#include "base/slice.h"

/* Room for the texts of one: longer ones are cut. A channel's name fits. */
#define APP_BYTES     64
#define CHANNEL_BYTES 224
#define NAME_BYTES    100
#define DETAIL_BYTES  260

struct kept {
    struct pc_happening what; /* its texts point into `text` */
    char text[APP_BYTES + CHANNEL_BYTES + NAME_BYTES + DETAIL_BYTES];
};

struct ring {
    pthread_mutex_t mutex; /* a leaf */
    uint64_t noted;        /* the item noted last is noted - 1, modulo the size */
    struct kept items[PC_HAPPENED_KEPT];
};

/* Events: a ring for each worker and one for all other threads. Then one for each of the other kinds. */
struct pc_happened {
    struct pc_mem mem;
    _Atomic uint64_t numbers;
    uint32_t worker_count, ring_count;
    struct ring rings[];
};

static uint32_t first_ring(const struct pc_happened *h, enum pc_happened_kind kind)
{
    return kind == PC_HAPPENED_EVENT ? 0 : h->worker_count + (uint32_t)kind;
}

static uint32_t ring_count(const struct pc_happened *h, enum pc_happened_kind kind)
{
    return kind == PC_HAPPENED_EVENT ? h->worker_count + 1 : 1;
}

int pc_happened_new(struct pc_happened **out, const struct pc_mem *mem, uint32_t worker_count)
{
    uint32_t rings = worker_count + PC_HAPPENED_KINDS;
    struct pc_happened *h = pc_alloc_zero(mem, sizeof *h + rings * sizeof h->rings[0]);
    *out = h;
    if (!h)
        return PUSHERC_ENOMEM;
    h->mem = *mem;
    h->worker_count = worker_count;
    h->ring_count = rings;
    for (uint32_t i = 0; i < rings; i++)
        (void)pthread_mutex_init(&h->rings[i].mutex,
                                 NULL); /* cannot fail with default attributes */
    return 0;
}

void pc_happened_free(struct pc_happened *happened)
{
    if (!happened)
        return;
    for (uint32_t i = 0; i < happened->ring_count; i++)
        (void)pthread_mutex_destroy(&happened->rings[i].mutex);
    struct pc_mem mem = happened->mem;
    pc_free(&mem, happened);
}

/* Copies what fits of a text to `*to`, which moves behind it. */
static pusherc_slice keep(char **to, pusherc_slice text, size_t max)
{
    pusherc_slice cut = pc_utf8_cut(text, max);
    char *at = *to;
    if (cut.len)
        memcpy(at, cut.ptr, cut.len);
    *to += cut.len;
    return pc_slice(at, cut.len);
}

static void fill(struct kept *item, const struct pc_happening *what, uint64_t number,
                 uint64_t unix_ms)
{
    char *to = item->text;
    item->what = *what;
    item->what.number = number;
    item->what.unix_ms = unix_ms;
    item->what.app_id = keep(&to, what->app_id, APP_BYTES);
    item->what.channel = keep(&to, what->channel, CHANNEL_BYTES);
    item->what.name = keep(&to, what->name, NAME_BYTES);
    item->what.detail = keep(&to, what->detail, DETAIL_BYTES);
}

void pc_happened_note(struct pc_happened *happened, uint32_t worker,
                      const struct pc_happening *what)
{
    struct timespec now;
    bool own = what->kind == PC_HAPPENED_EVENT && worker < happened->worker_count;
    uint32_t at = what->kind != PC_HAPPENED_EVENT ? first_ring(happened, what->kind)
                  : own                           ? worker
                                                  : happened->worker_count;
    struct ring *ring = &happened->rings[at];
    clock_gettime(CLOCK_REALTIME, &now);
    pthread_mutex_lock(&ring->mutex);
    /* relaxed: only sorts what readers see under the locks */
    uint64_t number = atomic_fetch_add_explicit(&happened->numbers, 1, memory_order_relaxed) + 1;
    fill(&ring->items[ring->noted++ % PC_HAPPENED_KEPT], what, number,
         (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000);
    pthread_mutex_unlock(&ring->mutex);
}

/* Returns how many the ring has. */
static size_t copy_ring(struct ring *ring, struct kept *out)
{
    pthread_mutex_lock(&ring->mutex);
    size_t count = ring->noted < PC_HAPPENED_KEPT ? (size_t)ring->noted : PC_HAPPENED_KEPT;
    memcpy(out, ring->items, count * sizeof *out);
    pthread_mutex_unlock(&ring->mutex);
    return count;
}

static int later_first(const void *a, const void *b)
{
    const struct kept *const *x = a, *const *y = b;
    uint64_t first = (*x)->what.number, second = (*y)->what.number;
    return first < second ? 1 : first > second ? -1 : 0;
}

/* The texts of a copy are its own. */
static void visit_copy(struct kept *copy, pc_happened_fn visit, void *ctx)
{
    char *at = copy->text;
    pusherc_slice *const texts[] = {&copy->what.app_id, &copy->what.channel, &copy->what.name,
                                    &copy->what.detail};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        texts[i]->ptr = at;
        at += texts[i]->len;
    }
    visit(&copy->what, ctx);
}

int pc_happened_latest(struct pc_happened *happened, enum pc_happened_kind kind,
                       pc_happened_fn visit, void *ctx)
{
    uint32_t first = first_ring(happened, kind), rings = ring_count(happened, kind);
    size_t room = (size_t)rings * PC_HAPPENED_KEPT, count = 0;
    struct kept *copies = pc_alloc_array(&happened->mem, room, sizeof *copies);
    struct kept **sorted = pc_alloc_array(&happened->mem, room, sizeof *sorted);
    int err = copies && sorted ? 0 : PUSHERC_ENOMEM;
    for (uint32_t i = 0; err == 0 && i < rings; i++)
        count += copy_ring(&happened->rings[first + i], copies + count);
    for (size_t i = 0; i < count; i++)
        sorted[i] = &copies[i];
    if (count)
        qsort(sorted, count, sizeof *sorted, later_first);
    for (size_t i = 0; i < count && i < PC_HAPPENED_KEPT; i++)
        visit_copy(sorted[i], visit, ctx);
    pc_free(&happened->mem, sorted);
    pc_free(&happened->mem, copies);
    return err;
}
