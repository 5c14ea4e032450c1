#include "broadcast/redis_format.h"

#include <pusherc/error.h>

#include "base/log.h"
#include "broadcast/laravel.h"
#include "redis/reader.h"

/* -- commands -- */

static int put_event(struct pc_buf *buf, const struct pc_broadcast_url *url,
                     const pusherc_event *event)
{
    struct pc_buf message, channel;
    pc_buf_init(&message, buf->mem, SIZE_MAX);
    pc_buf_init(&channel, buf->mem, SIZE_MAX);
    pc_laravel_put_message(&message, event);
    for (size_t i = 0; i < event->channel_count; i++) {
        pc_buf_clear(&channel);
        pc_buf_put(&channel, url->prefix);
        pc_buf_put(&channel, event->channels[i]);
        const pusherc_slice words[] = {PC_S("PUBLISH"), pc_buf_slice(&channel),
                                       pc_buf_slice(&message)};
        if (pc_buf_status(&message) == 0 && pc_buf_status(&channel) == 0)
            pc_redis_put_command(buf, words, 3);
        else
            buf->status = PUSHERC_ENOMEM;
    }
    pc_buf_free(&message);
    pc_buf_free(&channel);
    return pc_buf_status(buf);
}

int pc_redis_put_batch(struct pc_buf *buf, const struct pc_broadcast_url *url,
                       const struct pc_broadcast_batch *batch, uint32_t *count)
{
    int err = 0;
    *count = 0;
    PC_LIST_EACH(l, &batch->events) {
        const struct pc_broadcast_event *e = PC_CONTAINER(l, struct pc_broadcast_event, of_state);
        if (err == 0)
            err = put_event(buf, url, &e->event);
        *count += (uint32_t)e->event.channel_count;
    }
    return err;
}

int pc_redis_put_greeting(struct pc_buf *buf, const struct pc_broadcast_url *url, uint32_t *count)
{
    char digits[PC_U64_DIGITS];
    *count = 0;
    if (url->password.len) {
        const pusherc_slice words[] = {PC_S("AUTH"), url->user, url->password};
        const pusherc_slice without_user[] = {words[0], words[2]};
        pc_redis_put_command(buf, url->user.len ? words : without_user, url->user.len ? 3 : 2);
        ++*count;
    }
    if (url->db) {
        const pusherc_slice words[] = {PC_S("SELECT"),
                                       pc_slice(digits, pc_format_u64(url->db, digits))};
        pc_redis_put_command(buf, words, 2);
        ++*count;
    }
    return pc_buf_status(buf);
}

/* -- where it is -- */

int pc_redis_trust(struct pc_tls_trust **out, const struct pc_mem *mem,
                   const struct pc_broadcast_url *url, const char *ca_file, pusherc_errinfo *info)
{
    const pusherc_slice named[] = {url->ca_file, url->cert_file, url->key_file};
    char *paths[3] = {NULL};
    int err = 0;
    *out = NULL;
    if (!url->tls)
        return 0;
    for (size_t i = 0; i < 3 && err == 0; i++)
        if (named[i].len && !(paths[i] = pc_dup(mem, named[i])))
            err = pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    const struct pc_tls_trust_files files = {
        .ca_file = paths[0] ? paths[0] : ca_file, .cert_file = paths[1], .key_file = paths[2]};
    err = err ? err : pc_tls_trust_new(out, mem, &files, info);
    for (size_t i = 0; i < 3; i++)
        pc_free(mem, paths[i]);
    return err;
}

struct pc_redis_place pc_redis_place(const struct pc_broadcast_url *url, size_t host,
                                     const struct pc_tls_trust *trust)
{
    return (struct pc_redis_place){.host = url->hosts[host].name,
                                   .port = url->hosts[host].port,
                                   .trust = trust,
                                   .master = url->master,
                                   .sentinel_user = url->sentinel_user,
                                   .sentinel_password = url->sentinel_password};
}

/* -- answers -- */

void pc_redis_judge(struct pc_broadcast_answer *out, pusherc_slice error)
{
    static const struct {
        pusherc_slice begins;
        enum pc_broadcast_outcome outcome;
        int code;
    } rows[] = {
        {PUSHERC_LIT("NOAUTH"), PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {PUSHERC_LIT("NOPERM"), PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {PUSHERC_LIT("WRONGPASS"), PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {PUSHERC_LIT("ERR AUTH"), PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {PUSHERC_LIT("ERR invalid password"), PC_BROADCAST_REFUSED, PUSHERC_EAUTH},
        {PUSHERC_LIT("ERR max number of clients"), PC_BROADCAST_AWAY, PUSHERC_EIO},
        {PUSHERC_LIT("ERR"), PC_BROADCAST_REFUSED, PUSHERC_EINVAL},
        {PUSHERC_LIT(""), PC_BROADCAST_AWAY, PUSHERC_EIO}, /* LOADING, BUSY, MASTERDOWN ... */
    };
    size_t i = 0;
    while (!pc_slice_starts(error, rows[i].begins))
        i++;
    *out = (struct pc_broadcast_answer){
        .outcome = rows[i].outcome, .code = rows[i].code, .reason = error};
}
