#include "common/writer.h"

#include <stdlib.h>
#include <string.h>

#include <uv.h>

#include "common/say.h"

#define EVERY_MS 250
#define MAX_ROWS 100000

struct row {
    struct row *next;
    const char *sql;
    size_t count;
    struct store_value values[]; /* their texts stand behind them */
};

struct rows {
    struct row *first, **end;
    size_t count;
};

struct writer {
    struct writer_options options;
    struct store *thread_store; /* owned; NULL: in memory */
    uv_timer_t timer;
    uv_work_t work;
    struct rows waiting;
    struct rows batch; /* being written: the thread's while `busy` */
    bool busy, closing;
    bool batch_failed; /* the thread's word about the batch */
    struct writer_stats stats;
};

/* -- rows -- */

static void empty(struct rows *rows)
{
    for (struct row *next, *row = rows->first; row; row = next) {
        next = row->next;
        free(row);
    }
    *rows = (struct rows){.end = &rows->first};
}

static struct row *copy_row(const char *sql, const struct store_value *values, size_t count)
{
    size_t text = 0;
    for (size_t i = 0; i < count; i++) {
        if (values[i].text)
            text += values[i].bytes < 0 ? strlen(values[i].text) : (size_t)values[i].bytes;
    }
    struct row *row = malloc(sizeof *row + count * sizeof row->values[0] + text);
    if (!row)
        return NULL;
    *row = (struct row){.sql = sql, .count = count};
    char *at = (char *)(row->values + count);
    for (size_t i = 0; i < count; i++) {
        struct store_value *value = &row->values[i];
        *value = values[i];
        if (!value->text)
            continue;
        size_t bytes = value->bytes < 0 ? strlen(value->text) : (size_t)value->bytes;
        memcpy(at, value->text, bytes);
        value->text = at;
        value->bytes = (int)bytes;
        at += bytes;
    }
    return row;
}

/* -- writing -- */

/* One transaction: all of the batch, or nothing. */
static void write_batch(struct writer *writer)
{
    struct store *store = writer->thread_store ? writer->thread_store : writer->options.store;
    bool begun = store_run(store, "BEGIN IMMEDIATE", NO_VALUES) == 0;
    bool good = begun;
    for (const struct row *row = writer->batch.first; row && good; row = row->next)
        good = store_run(store, row->sql, row->values, row->count) == 0;
    good = good && store_run(store, "COMMIT", NO_VALUES) == 0;
    if (begun && !good)
        store_run(store, "ROLLBACK", NO_VALUES);
    writer->batch_failed = !good;
}

static void batch_ended(struct writer *writer)
{
    size_t rows = writer->batch.count;
    empty(&writer->batch);
    *(writer->batch_failed ? &writer->stats.failed : &writer->stats.written) += rows;
    if (writer->batch_failed && writer->options.on_failed)
        writer->options.on_failed(rows, writer->options.user_data);
}

static void take_batch(struct writer *writer)
{
    writer->batch = writer->waiting;
    if (!writer->batch.first)
        writer->batch.end = &writer->batch.first;
    writer->waiting = (struct rows){.end = &writer->waiting.first};
}

static void write_on_loop(struct writer *writer)
{
    take_batch(writer);
    if (writer->batch.count == 0)
        return;
    write_batch(writer);
    batch_ended(writer);
}

static void timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

/* Nothing is under way: what is left is written here, since the program ends. */
static void finish(struct writer *writer)
{
    write_on_loop(writer);
    store_close(writer->thread_store);
    uv_close((uv_handle_t *)&writer->timer, timer_closed);
}

static void on_thread(uv_work_t *work)
{
    write_batch(work->data);
}

static void thread_done(uv_work_t *work, int status)
{
    struct writer *writer = work->data;
    (void)status; /* it is never cancelled */
    writer->busy = false;
    batch_ended(writer);
    if (writer->closing)
        finish(writer);
}

static void on_time(uv_timer_t *timer)
{
    struct writer *writer = timer->data;
    if (writer->busy)
        return; /* what came meanwhile goes with the next one */
    if (!writer->thread_store) {
        write_on_loop(writer);
        return;
    }
    take_batch(writer);
    if (writer->batch.count == 0)
        return;
    writer->busy = uv_queue_work(writer->options.loop, &writer->work, on_thread, thread_done) == 0;
    if (!writer->busy) {
        writer->batch_failed = true;
        batch_ended(writer);
    }
}

/* -- the calls -- */

int writer_open(struct writer **out, const struct writer_options *options)
{
    *out = NULL;
    struct writer *writer = calloc(1, sizeof *writer);
    if (!writer) {
        say("no memory for what is to be written");
        return -1;
    }
    writer->options = *options;
    if (strcmp(options->file, ":memory:") != 0 &&
        store_connect(&writer->thread_store, options->file) != 0) {
        free(writer);
        return -1;
    }
    if (!options->every_ms)
        writer->options.every_ms = EVERY_MS;
    if (!options->max_rows)
        writer->options.max_rows = MAX_ROWS;
    writer->waiting.end = &writer->waiting.first;
    writer->batch.end = &writer->batch.first;
    writer->work.data = writer;
    uv_timer_init(options->loop, &writer->timer);
    writer->timer.data = writer;
    uv_timer_start(&writer->timer, on_time, writer->options.every_ms, writer->options.every_ms);
    *out = writer;
    return 0;
}

int writer_put(struct writer *writer, const char *sql, const struct store_value *values,
               size_t count)
{
    struct row *row = NULL;
    if (!writer)
        return -1;
    if (writer_stats(writer).waiting < writer->options.max_rows)
        row = copy_row(sql, values, count);
    if (!row) {
        writer->stats.refused++;
        return -1;
    }
    *writer->waiting.end = row;
    writer->waiting.end = &row->next;
    writer->waiting.count++;
    return 0;
}

struct writer_stats writer_stats(const struct writer *writer)
{
    struct writer_stats stats = {0};
    if (!writer)
        return stats;
    stats = writer->stats;
    stats.waiting = writer->waiting.count + writer->batch.count;
    return stats;
}

void writer_close(struct writer *writer)
{
    if (!writer)
        return;
    writer->closing = true;
    uv_timer_stop(&writer->timer);
    if (!writer->busy)
        finish(writer);
}
