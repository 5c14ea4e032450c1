/*
 * Public structs that grow. A host may be compiled with the headers of one release and run with the library of another,
 * so both may know different members of a struct. The host states its size of the struct in `struct_size`. Releases
 * only append members, so both know a common beginning. A struct from the host is copied into the library's struct up
 * to the shorter size; the rest is zero, which is the default of every member. Members that only the host knows must be
 * zero: a setting that the library cannot respect must not be dropped silently. A struct for the host is written up to
 * the host's size.
 *
 * Arrays of such structs step by the host's size: PUSHERC_AT().
 */
#ifndef PC_BASE_OPTIONS_H
#define PC_BASE_OPTIONS_H

#include <pusherc/pusherc.h>

#include "base/mem.h"

/* The structs that a host makes, as X(name, last, reserved): the last member in the first release, and whether that is
 * the `reserved_` which must be zero. `last` never changes: the smallest accepted size ends behind it. */
#define PC_SIZED_STRUCTS(X)                                                                        \
    X(app_options, reserved_, true)                                                                \
    X(broadcast_driver, close, false)                                                              \
    X(broadcast_stats, paused_ms, false)                                                           \
    X(broadcaster_options, reserved_, true)                                                        \
    X(channel_info, user_count, false)                                                             \
    X(cluster_info, reserved_, true)                                                               \
    X(cluster_options, reserved_, true)                                                            \
    X(credentials, master_key, false)                                                              \
    X(ephemeral, ends_in_ms, false)                                                                \
    X(event, reserved_, true)                                                                      \
    X(grant, reserved_, true)                                                                      \
    X(grant_match, channel_pattern, false)                                                         \
    X(history_pattern, reserved_, true)                                                            \
    X(hooks, on_webhook_failed, false)                                                             \
    X(identity, reserved_, true)                                                                   \
    X(inbox_options, reserved_, true)                                                              \
    X(laravel_redis_options, reserved_, true)                                                      \
    X(link_ops, reset, false)                                                                      \
    X(listen_options, reserved_, true)                                                             \
    X(outbox_options, reserved_, true)                                                             \
    X(outbox_stats, oldest_ms, false)                                                              \
    X(redaction, reserved_, true)                                                                  \
    X(redis_options, reserved_, true)                                                              \
    X(rule, reserved_, true)                                                                       \
    X(server_options, reserved_, true)                                                             \
    X(stats, webhook_queued, false)                                                                \
    X(tls_options, next, false)                                                                    \
    X(user_info, sequence, false)                                                                  \
    X(webhook, reserved_, true)

struct pc_sized_struct {
    const char *name;
    size_t size;          /* in this release */
    size_t first_size;    /* in its first release */
    size_t reserved_size; /* of `reserved_`, which ends at first_size; 0: the struct has none */
};

#define PC_DECLARE(name, last, reserved) extern const struct pc_sized_struct pc_sized_##name;
PC_SIZED_STRUCTS(PC_DECLARE)
#undef PC_DECLARE

/* Copies the host's pusherc_NAME at `in` to the library's at `out`. 0, or PUSHERC_EINVAL with the reason in `info`. */
#define PC_TAKE(name, out, in, info)                                                               \
    pc_take_options(1 ? (out) : (pusherc_##name *)0, 1 ? (in) : (const pusherc_##name *)0,         \
                    &pc_sized_##name, (info))
PC_CHECKED int pc_take_options(void *out, const void *in, const struct pc_sized_struct *kind,
                               pusherc_errinfo *info);

/* True if the host's struct has a usable struct_size. */
bool pc_can_give(const void *out, const struct pc_sized_struct *kind);
/* Copies the library's `from` to such a struct. */
void pc_give(void *out, const void *from, const struct pc_sized_struct *kind);

#endif
