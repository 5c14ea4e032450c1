#include "common/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sqlite3.h>

#include "common/assets.h"
#include "common/say.h"

#define MAX_STATEMENTS 128

struct store {
    sqlite3 *db;
    /* Prepared once, found again by the address of their text. */
    struct {
        const char *sql;
        sqlite3_stmt *statement;
    } statements[MAX_STATEMENTS];
    size_t statement_count;
};

struct sqlite3 *store_db(struct store *store)
{
    return store->db;
}

static int complain(struct store *store, const char *what)
{
    say("database: %s: %s", what, sqlite3_errmsg(store->db));
    return -1;
}

static sqlite3_stmt *prepare(struct store *store, const char *sql)
{
    for (size_t i = 0; i < store->statement_count; i++) {
        if (store->statements[i].sql == sql)
            return store->statements[i].statement;
    }
    sqlite3_stmt *statement = NULL;
    if (store->statement_count == MAX_STATEMENTS ||
        sqlite3_prepare_v3(store->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL) !=
            SQLITE_OK)
        return NULL;
    store->statements[store->statement_count].sql = sql;
    store->statements[store->statement_count++].statement = statement;
    return statement;
}

static sqlite3_stmt *bind(struct store *store, const char *sql, const struct store_value *values,
                          size_t count)
{
    sqlite3_stmt *statement = prepare(store, sql);
    if (!statement)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        int at = (int)i + 1; /* count is the length of a list in the source */
        int status = values[i].text      ? sqlite3_bind_text(statement, at, values[i].text,
                                                             values[i].bytes, SQLITE_TRANSIENT)
                     : values[i].null    ? sqlite3_bind_null(statement, at)
                     : values[i].is_real ? sqlite3_bind_double(statement, at, values[i].real)
                                         : sqlite3_bind_int64(statement, at, values[i].number);
        if (status != SQLITE_OK)
            return NULL;
    }
    return statement;
}

static void add_column(cJSON *row, sqlite3_stmt *statement, int at)
{
    static const char json[] = "json:";
    const char *name = sqlite3_column_name(statement, at);
    const char *text = (const char *)sqlite3_column_text(statement, at);
    int type = sqlite3_column_type(statement, at);
    if (text && strncmp(name, json, sizeof json - 1) == 0)
        cJSON_AddItemToObject(row, name + sizeof json - 1, cJSON_Parse(text));
    else if (type == SQLITE_INTEGER || type == SQLITE_FLOAT)
        cJSON_AddNumberToObject(row, name, sqlite3_column_double(statement, at));
    else if (text)
        cJSON_AddStringToObject(row, name, text);
}

cJSON *store_rows(struct store *store, const char *sql, const struct store_value *values,
                  size_t count)
{
    sqlite3_stmt *statement = bind(store, sql, values, count);
    cJSON *rows = cJSON_CreateArray();
    int status = SQLITE_ERROR;
    while (statement && rows && (status = sqlite3_step(statement)) == SQLITE_ROW) {
        cJSON *row = cJSON_CreateObject();
        for (int i = 0; i < sqlite3_column_count(statement); i++)
            add_column(row, statement, i);
        cJSON_AddItemToArray(rows, row);
    }
    if (status != SQLITE_DONE) {
        complain(store, sql);
        cJSON_Delete(rows);
        rows = NULL;
    }
    if (statement)
        sqlite3_reset(statement);
    return rows;
}

cJSON *store_row(struct store *store, const char *sql, const struct store_value *values,
                 size_t count)
{
    cJSON *rows = store_rows(store, sql, values, count);
    cJSON *row = cJSON_DetachItemFromArray(rows, 0);
    cJSON_Delete(rows);
    return row;
}

int store_run(struct store *store, const char *sql, const struct store_value *values, size_t count)
{
    cJSON *rows = store_rows(store, sql, values, count);
    cJSON_Delete(rows);
    return rows ? 0 : -1;
}

bool store_has(struct store *store, const char *sql, const struct store_value *values, size_t count)
{
    cJSON *row = store_row(store, sql, values, count);
    cJSON_Delete(row);
    return row != NULL;
}

const char *row_text(const cJSON *row, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(row, name));
    return text ? text : "";
}

int64_t row_int(const cJSON *row, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(row, name);
    return cJSON_IsNumber(value) ? (int64_t)value->valuedouble : 0;
}

static int run_file(struct store *store, const char *name)
{
    const struct asset *file = asset_find(name);
    if (!file) {
        say("database: there is no file %s", name);
        return -1;
    }
    if (sqlite3_exec(store->db, file->data, NULL, NULL, NULL) != SQLITE_OK)
        return complain(store, name);
    return 0;
}

static int read_version(struct store *store)
{
    cJSON *row = store_row(store, "PRAGMA user_version", NO_VALUES);
    int version = row ? (int)row_int(row, "user_version") : -1;
    cJSON_Delete(row);
    return version;
}

static int set_version(struct store *store, int version)
{
    char sql[48];
    snprintf(sql, sizeof sql, "PRAGMA user_version = %d", version);
    if (sqlite3_exec(store->db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return complain(store, sql);
    return 0;
}

static int migrate(struct store *store, const struct store_schema *schema)
{
    int version = read_version(store);
    int newest = 0;
    while (newest < STORE_MAX_STEPS && schema->steps[newest])
        newest++;
    if (version > newest)
        say("database: it is of version %d, and this program knows %d: a newer one made it",
            version, newest);
    if (version < 0 || version > newest)
        return -1;
    for (; version < newest; version++) {
        if (run_file(store, schema->steps[version]) != 0)
            return -1;
    }
    return set_version(store, newest);
}

static int fill(struct store *store, const struct store_schema *schema, bool demo)
{
    if (store_run(store, "BEGIN IMMEDIATE", NO_VALUES) != 0)
        return -1;
    bool is_new = !store_has(store, "SELECT 1 FROM sqlite_master", NO_VALUES);
    int status = migrate(store, schema);
    if (status == 0 && schema->always)
        status = run_file(store, schema->always);
    if (status == 0 && is_new && demo && schema->demo)
        status = run_file(store, schema->demo);
    if (store_run(store, status == 0 ? "COMMIT" : "ROLLBACK", NO_VALUES) != 0)
        return -1;
    return status;
}

int store_connect(struct store **out, const char *file)
{
    *out = NULL;
    struct store *store = calloc(1, sizeof *store);
    if (!store)
        return -1;
    if (sqlite3_open(file, &store->db) != SQLITE_OK ||
        sqlite3_exec(store->db,
                     "PRAGMA foreign_keys = ON; PRAGMA journal_mode = WAL;"
                     "PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = " STORE_BUSY_MS,
                     NULL, NULL, NULL) != SQLITE_OK) {
        complain(store, file);
        store_close(store);
        return -1;
    }
    *out = store;
    return 0;
}

int store_open(struct store **out, const char *file, const struct store_schema *schema, bool demo)
{
    if (store_connect(out, file) != 0)
        return -1;
    if (fill(*out, schema, demo) == 0)
        return 0;
    store_close(*out);
    *out = NULL;
    return -1;
}

void store_close(struct store *store)
{
    if (!store)
        return;
    for (size_t i = 0; i < store->statement_count; i++)
        sqlite3_finalize(store->statements[i].statement);
    sqlite3_close(store->db);
    free(store);
}
