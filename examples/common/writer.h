/*
 * Writes of a program that has more than a hundred a second: gathered into transactions, and written on another thread,
 * with a connection of its own, so that the loop never waits for the disk.
 *
 * Rows wait in memory, a bounded number of them, and go together every so often. The writer never has more than one
 * transaction under way, so rows are written in the order in which they were put. A transaction that fails is told with its
 * number of rows, and is not tried again. What waits is lost if the process is killed.
 *
 * Thread: the loop's. A database in memory has one connection only, and no disk: it is written on the loop.
 */
#ifndef COMMON_WRITER_H
#define COMMON_WRITER_H

#include <stddef.h>
#include <stdint.h>

#include "common/store.h"

struct uv_loop_s;
struct writer;

struct writer_options {
    const char *file;    /* as for store_open() */
    struct store *store; /* open; used if the file is ":memory:" */
    struct uv_loop_s *loop;
    uint32_t every_ms; /* default 250 */
    size_t max_rows;   /* that wait or are being written; default 100000 */
    /* So many rows could not be written, and are gone. Reasons go to standard error. NULL = not used. */
    void (*on_failed)(size_t rows, void *user_data);
    void *user_data;
};

struct writer_stats {
    uint64_t written, failed, refused; /* rows */
    size_t waiting;                    /* or being written */
};

/* 0 or -1, after a line on standard error. */
int writer_open(struct writer **out, const struct writer_options *options);
/* Hand a row over: values are copied, `sql` lives as long as the writer. 0, or -1: no room, which is counted.
 * NULL takes nothing, and has no rows. */
int writer_put(struct writer *writer, const char *sql, const struct store_value *values,
               size_t count);
struct writer_stats writer_stats(const struct writer *writer);
/* Write what waits, and free. The loop has to run on until its last handle is closed. NULL is harmless. */
void writer_close(struct writer *writer);

#endif
