/*
 * The post of a broadcaster: what its thread tells its host, as items that a thread of Python takes. So the broadcaster's
 * thread never calls the interpreter, and a program may end at any moment.
 *
 * Requests are as many as the driver's max_under_way allows. Of everything else MAX_WAITING items wait at most; what finds
 * no room or no memory is counted.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "native.h"

#define MAX_WAITING 1000

struct post {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    post_item *first, **last;
    unsigned waiting; /* items that are no requests */
    uint64_t lost;
    bool closed;
};

post *post_new(void)
{
    post *p = calloc(1, sizeof *p);
    if (!p)
        return NULL;
    if (pthread_mutex_init(&p->mutex, NULL)) {
        free(p);
        return NULL;
    }
    if (pthread_cond_init(&p->changed, NULL)) {
        pthread_mutex_destroy(&p->mutex);
        free(p);
        return NULL;
    }
    p->last = &p->first;
    return p;
}

void post_item_free(post_item *item)
{
    if (item && item->request)
        pusherc_broadcast_answer(item->request, PUSHERC_EIO, 0, "the driver gave no answer");
    free(item);
}

void post_free(post *p)
{
    if (!p)
        return;
    for (post_item *item = p->first, *next; item; item = next) {
        next = item->next;
        post_item_free(item);
    }
    pthread_cond_destroy(&p->changed);
    pthread_mutex_destroy(&p->mutex);
    free(p);
}

void post_close(post *p)
{
    pthread_mutex_lock(&p->mutex);
    p->closed = true;
    pthread_cond_broadcast(&p->changed);
    pthread_mutex_unlock(&p->mutex);
}

post_item *post_take(post *p)
{
    pthread_mutex_lock(&p->mutex);
    while (!p->first && !p->closed)
        pthread_cond_wait(&p->changed, &p->mutex);
    post_item *item = p->first;
    if (item) {
        p->first = item->next;
        if (!p->first)
            p->last = &p->first;
        if (!item->request)
            p->waiting--;
        item->next = NULL;
    }
    pthread_mutex_unlock(&p->mutex);
    return item;
}

uint64_t post_lost(post *p)
{
    pthread_mutex_lock(&p->mutex);
    uint64_t lost = p->lost;
    pthread_mutex_unlock(&p->mutex);
    return lost;
}

/* Takes over the item; NULL = there was no memory for it. False: it was not put. */
static bool put(post *p, post_item *item)
{
    pthread_mutex_lock(&p->mutex);
    const bool fits = item && !p->closed && (item->request || p->waiting < MAX_WAITING);
    if (fits) {
        if (!item->request)
            p->waiting++;
        *p->last = item;
        p->last = &item->next;
        pthread_cond_signal(&p->changed);
    } else {
        p->lost++;
    }
    pthread_mutex_unlock(&p->mutex);
    if (!fits)
        free(item);
    return fits;
}

static pusherc_slice keep(char **at, pusherc_slice text)
{
    pusherc_slice copy = {*at, text.len};
    if (text.len)
        memcpy(*at, text.ptr, text.len);
    *at += text.len;
    return copy;
}

static post_item *item_new(int kind, size_t channel_count, size_t text_len)
{
    post_item *item = calloc(1, sizeof *item + channel_count * sizeof(pusherc_slice) + text_len);
    if (item) {
        item->kind = kind;
        item->channels = (pusherc_slice *)(item + 1);
        item->channel_count = channel_count;
    }
    return item;
}

static void on_failed(const pusherc_event *event, const pusherc_broadcast_result *why, void *ctx)
{
    size_t len = event->name.len + event->data.len + why->reason.len;
    for (size_t i = 0; i < event->channel_count; i++)
        len += event->channels[i].len;
    post_item *item = item_new(POST_FAILED, event->channel_count, len);
    if (item) {
        char *at = (char *)(item->channels + item->channel_count);
        for (size_t i = 0; i < item->channel_count; i++)
            item->channels[i] = keep(&at, event->channels[i]);
        item->name = keep(&at, event->name);
        item->data = keep(&at, event->data);
        item->reason = keep(&at, why->reason);
        item->except = event->except;
        item->code = why->code, item->status = why->status, item->attempts = why->attempts;
    }
    put(ctx, item);
}

static void on_log(const pusherc_log_entry *entry, void *ctx)
{
    const pusherc_slice subject = pusherc_slice_of(entry->subject);
    post_item *item = item_new(POST_LOG, 0, subject.len + entry->message.len);
    if (item) {
        char *at = (char *)item->channels;
        item->code = (int)entry->level;
        item->name = keep(&at, subject);
        item->data = keep(&at, entry->message);
    }
    put(ctx, item);
}

static void send_by_host(pusherc_broadcast_request *request, void *ctx)
{
    post_item *item = item_new(POST_REQUEST, 0, 0);
    if (item)
        item->request = request;
    if (!put(ctx, item))
        pusherc_broadcast_answer(request, PUSHERC_EIO, 0, "no memory");
}

int post_broadcaster(post *p, pusherc_broadcaster **out, pusherc_broadcaster_options *options,
                     pusherc_broadcast_driver *driver, pusherc_errinfo *info)
{
    options->on_failed = on_failed;
    options->user_data = p;
    options->log_fn = on_log;
    options->log_user_data = p;
    if (driver) {
        driver->send = send_by_host;
        driver->user_data = p;
        options->driver = driver;
    }
    return pusherc_broadcaster_new(out, options, info);
}
