/**
 * @file alloc.h
 * Memory from the host's own functions.
 */
#ifndef PUSHERC_ALLOC_H
#define PUSHERC_ALLOC_H

#include <stddef.h>

#include <pusherc/export.h>

PUSHERC_BEGIN_DECLS

/**
 * Where one server gets its memory: all that the library itself asks for. libuv, cJSON and Mbed TLS, which
 * the host may share, keep the allocator they have.
 *
 * The functions are called from every thread that calls into the server and from its workers, several at
 * a time, and with a lock of the library held: they must be thread-safe and must not call the library.
 * All three are needed. Questions to the host may outlive the server, and with them these functions.
 * Since: 0.1.
 */
typedef struct pusherc_allocator {
    /** `size` bytes (1 or more), aligned as malloc() aligns; NULL when there are none. */
    void *(*malloc_fn)(size_t size, void *user_data);
    /** As realloc(): `ptr` may be NULL, `size` is 1 or more; NULL leaves the old block as it is. */
    void *(*realloc_fn)(void *ptr, size_t size, void *user_data);
    /** Takes back what the two others gave; NULL must be harmless. */
    void (*free_fn)(void *ptr, void *user_data);
    void *user_data; /**< handed to each */
} pusherc_allocator;

PUSHERC_END_DECLS

#endif /* PUSHERC_ALLOC_H */
