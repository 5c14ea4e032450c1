/*
 * An allocator that fails one chosen request and counts what is not freed: the way to walk every
 * out-of-memory path without knowing where they are.
 *
 *     bool failed = true;
 *     for (size_t n = 1; failed; n++) {
 *         struct failing_alloc alloc;
 *         pusherc_allocator allocator = failing_alloc_init(&alloc, n);
 *         ... do the thing ...
 *         failed = failing_alloc_hit(&alloc);   the thing made n requests or more
 *         ... expect PUSHERC_ENOMEM if failed, release everything ...
 *         assert_int_equal(failing_alloc_live(&alloc), 0);
 *     }
 */
#ifndef TESTS_FAILING_ALLOC_H
#define TESTS_FAILING_ALLOC_H

#include <pusherc/alloc.h>

#include <stdbool.h>
#include <stdlib.h>

struct failing_alloc {
    _Atomic size_t fail_at;  /* number of the request to fail, from 1; 0 = none */
    _Atomic size_t every;    /* every so many-th request fails as well, 1 = all; 0 = none */
    _Atomic size_t requests; /* so far */
    _Atomic size_t live;     /* blocks not freed */
};

static inline bool failing_alloc_fails_now(struct failing_alloc *alloc)
{
    size_t n = ++alloc->requests, every = alloc->every;
    return n == alloc->fail_at || (every && n % every == 0);
}

static inline void *failing_alloc_malloc(size_t size, void *user_data)
{
    struct failing_alloc *alloc = user_data;
    void *ptr = failing_alloc_fails_now(alloc) ? NULL : malloc(size);
    alloc->live += ptr != NULL;
    return ptr;
}

static inline void *failing_alloc_realloc(void *ptr, size_t size, void *user_data)
{
    struct failing_alloc *alloc = user_data;
    void *moved = failing_alloc_fails_now(alloc) ? NULL : realloc(ptr, size);
    alloc->live += moved != NULL && ptr == NULL;
    return moved;
}

static inline void failing_alloc_free(void *ptr, void *user_data)
{
    struct failing_alloc *alloc = user_data;
    alloc->live -= ptr != NULL;
    free(ptr);
}

/* `alloc` must outlive what is allocated. */
static inline pusherc_allocator failing_alloc_init(struct failing_alloc *alloc, size_t fail_at)
{
    *alloc = (struct failing_alloc){.fail_at = fail_at};
    return (pusherc_allocator){
        .malloc_fn = failing_alloc_malloc,
        .realloc_fn = failing_alloc_realloc,
        .free_fn = failing_alloc_free,
        .user_data = alloc,
    };
}

/* The chosen request has been made and failed. */
static inline bool failing_alloc_hit(const struct failing_alloc *alloc)
{
    return alloc->fail_at != 0 && alloc->requests >= alloc->fail_at;
}

static inline size_t failing_alloc_live(const struct failing_alloc *alloc)
{
    return alloc->live;
}

#endif
