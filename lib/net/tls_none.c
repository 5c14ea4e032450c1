/* Replaces tls.c in a library without TLS. pc_tls_config_new() always fails, so no other function is called. */
#include "net/tls.h"

#include <pusherc/error.h>

int pc_tls_config_new(struct pc_tls_config **out, const struct pc_mem *mem, struct pc_log *log,
                      const pusherc_tls_options *options, pusherc_errinfo *info)
{
    (void)mem;
    (void)log;
    (void)options;
    *out = NULL;
    return pc_errinfo(info, PUSHERC_ENOSYS, 0, "TLS was not compiled in");
}

void pc_tls_config_ref(struct pc_tls_config *config)
{
    (void)config;
}

void pc_tls_config_unref(struct pc_tls_config *config)
{
    (void)config;
}

struct pc_tls *pc_tls_new(struct pc_tls_config *config, int fd)
{
    (void)config;
    (void)fd;
    return NULL;
}

void pc_tls_move_in(struct pc_tls *tls, struct pc_worker_stats *stats, struct pc_tls_spare *spare)
{
    (void)tls;
    (void)stats;
    (void)spare;
}

void pc_tls_spare_free(struct pc_tls_spare *spare)
{
    (void)spare;
}

void pc_tls_free(struct pc_tls *tls)
{
    (void)tls;
}

void pc_tls_feed(struct pc_tls *tls, pusherc_slice bytes)
{
    (void)tls;
    (void)bytes;
}

enum pc_tls_result pc_tls_read(struct pc_tls *tls, char *out, size_t *len)
{
    (void)tls;
    (void)out;
    (void)len;
    return PC_TLS_FAILED;
}

bool pc_tls_is_open(const struct pc_tls *tls)
{
    (void)tls;
    return false;
}

bool pc_tls_blocked(const struct pc_tls *tls)
{
    (void)tls;
    return false;
}

int pc_tls_flush(struct pc_tls *tls)
{
    (void)tls;
    return PUSHERC_ENOSYS;
}

int pc_tls_write(struct pc_tls *tls, pusherc_slice text, size_t *taken)
{
    (void)tls;
    (void)text;
    *taken = 0;
    return PUSHERC_ENOSYS;
}

int pc_tls_end(struct pc_tls *tls)
{
    (void)tls;
    return PUSHERC_ENOSYS;
}
