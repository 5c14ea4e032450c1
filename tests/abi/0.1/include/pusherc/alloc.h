/**
 * @file alloc.h
 * Memory from the host's own functions.
 */
#ifndef PUSHERC_ALLOC_H
#define PUSHERC_ALLOC_H

#include <pusherc/types.h>

PUSHERC_BEGIN_DECLS

/**
 * Where one server gets its memory. The functions serve what the library itself allocates. libuv, cJSON and
 * Mbed TLS, which the host may use as well, keep their own allocators.
 *
 * The functions are called from every thread that calls into the server and from the workers, at the same time, and
 * while the library holds a lock: they must be thread-safe and must not call the library. All three are needed.
 * If the host answers a request object after it has freed the server, the functions must still work then.
 * Since: 0.1.
 */
typedef struct pusherc_allocator {
    /** Returns `size` bytes (1 or more), aligned as malloc() aligns; NULL if there is no memory. */
    void *(*malloc_fn)(size_t size, void *user_data);
    /** Does what realloc() does: `ptr` may be NULL, `size` is 1 or more; on NULL the old block stays. */
    void *(*realloc_fn)(void *ptr, size_t size, void *user_data);
    /** Frees a block of the other two; does nothing for NULL. */
    void (*free_fn)(void *ptr, void *user_data);
    void *user_data; /**< passed to each function */
} pusherc_allocator;

PUSHERC_END_DECLS

#endif /* PUSHERC_ALLOC_H */
