/*
 * The database: SQLite, with rows as JSON. Each subject (sessions, services, ...) brings its own SQL.
 *
 * One thread only: the loop's. Reads come from memory and take microseconds; writes are rare here and
 * reach the disk in a millisecond or so. For a program that writes all the time there is writer.h.
 */
#ifndef COMMON_STORE_H
#define COMMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cjson/cJSON.h>

/* So long a statement waits for another process that has the database; the loop waits with it. */
#define STORE_BUSY_MS "2000"

struct store;
struct sqlite3;

/* A parameter of a statement: text if `text` is not NULL, else NULL, the real number or the whole one. */
struct store_value {
    const char *text;
    int bytes; /* -1: up to its NUL */
    int64_t number;
    double real;
    bool is_real;
    bool null;
};

#define TEXT(value)  ((struct store_value){.text = (value), .bytes = -1})
#define SLICE(value) ((struct store_value){.text = (value).ptr, .bytes = (int)(value).len})
#define INT(value)   ((struct store_value){.number = (value)})
#define REAL(value)  ((struct store_value){.real = (value), .is_real = true})
#define NOTHING      ((struct store_value){.null = true})

/* The parameters of one statement as the two arguments `values` and `count`. */
#define VALUES(...)                                                                                \
    (struct store_value[]){__VA_ARGS__},                                                           \
        sizeof((struct store_value[]){__VA_ARGS__}) / sizeof(struct store_value)
#define NO_VALUES NULL, 0

/* SQL files, each an asset. */
#define STORE_MAX_STEPS 16
struct store_schema {
    /* A database of version n (PRAGMA user_version) has had the first n of them: what is here stays as it is, and what
     * changes is one more. They run in one transaction. */
    const char *steps[STORE_MAX_STEPS];
    const char *always; /* at each start, after them: views, for example */
    const char *demo;   /* fills a new database, if that is wanted */
};

/* `file` ":memory:" is gone with the process. Brings the database up to date. 0, or -1 after a line on standard error. */
int store_open(struct store **out, const char *file, const struct store_schema *schema, bool demo);
/* One more connection to a file that is open already: for another thread, which then is the only one that uses it. */
int store_connect(struct store **out, const char *file);
void store_close(struct store *store);
/* For what keeps a table of its own in the same database. */
struct sqlite3 *store_db(struct store *store);

/* Run one statement, which must live as long as the store. 0 or -1; reasons go to standard error. */
int store_run(struct store *store, const char *sql, const struct store_value *values, size_t count);
/* Its rows: an array of objects by column name, to be deleted by the caller. NULL if it failed. A column "json:x"
 * is JSON text and becomes the member x. */
cJSON *store_rows(struct store *store, const char *sql, const struct store_value *values,
                  size_t count);
/* Its first row, to be deleted by the caller. NULL if there is none. */
cJSON *store_row(struct store *store, const char *sql, const struct store_value *values,
                 size_t count);

/* True if there is a row. */
bool store_has(struct store *store, const char *sql, const struct store_value *values,
               size_t count);

/* A member of an object: "" and 0 if it is missing or of another type. */
const char *row_text(const cJSON *row, const char *name);
int64_t row_int(const cJSON *row, const char *name);

#endif
