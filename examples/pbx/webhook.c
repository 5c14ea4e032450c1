#include "webhook.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "calls.h"

#define MAX_AGE_S 300

int webhook_read_secret(struct pbx *pbx)
{
    struct store *store = pbx->program->store;
    const char *given = getenv("VOICE_WEBHOOK_SECRET");
    char made[TOKEN_BYTES];
    if (given && *given && strlen(given) < sizeof pbx->webhook_secret) {
        snprintf(pbx->webhook_secret, sizeof pbx->webhook_secret, "%s", given);
        return 0;
    }
    token_make(made);
    if (store_run(store, "INSERT OR IGNORE INTO settings VALUES ('webhook_secret', ?)",
                  VALUES(TEXT(made))) != 0)
        return -1;
    cJSON *row =
        store_row(store, "SELECT value FROM settings WHERE name = 'webhook_secret'", NO_VALUES);
    snprintf(pbx->webhook_secret, sizeof pbx->webhook_secret, "%s", row_text(row, "value"));
    cJSON_Delete(row);
    return pbx->webhook_secret[0] ? 0 : -1;
}

/* -- where it comes from -- */

static bool is_recent(const char *timestamp)
{
    char *end;
    long long at = strtoll(timestamp, &end, 10);
    int64_t age = now_ms() / 1000 - at;
    return *timestamp && !*end && age <= MAX_AGE_S && age >= -MAX_AGE_S;
}

/* NULL, or why it is not the provider's. */
static const char *find_fault(const struct pbx *pbx, const pusherc_http_request *request)
{
    char timestamp[24], signature[TOKEN_BYTES], right[PUSHERC_HMAC_HEX_SIZE];
    pusherc_slice body = pusherc_http_body(request);
    if (!http_copy(timestamp, sizeof timestamp,
                   pusherc_http_header(request, "x-voice-timestamp")) ||
        !http_copy(signature, sizeof signature,
                   pusherc_http_header(request, "x-voice-signature")) ||
        !signature[0])
        return "This is not signed.";
    size_t len = strlen(timestamp);
    char *text = malloc(len + 1 + body.len);
    if (!text)
        return "No memory to check this.";
    memcpy(text, timestamp, len);
    text[len] = '.';
    if (body.len)
        memcpy(text + len + 1, body.ptr, body.len);
    int status = pusherc_hmac_sha256_hex(pusherc_slice_of(pbx->webhook_secret),
                                         (pusherc_slice){text, len + 1 + body.len}, right);
    free(text);
    if (status != 0 || !token_same(signature, right))
        return "The signature is wrong.";
    return is_recent(timestamp) ? NULL : "This is too old.";
}

/* -- what it says -- */

/* A member as text: a number and its text are the same. False if it is missing, of another type or too long. */
static bool read_text(char *out, size_t bytes, const cJSON *object, const char *name)
{
    const cJSON *value = cJSON_GetObjectItemCaseSensitive(object, name);
    char number[32] = "";
    if (cJSON_IsNumber(value))
        snprintf(number, sizeof number, "%.15g", value->valuedouble);
    const char *text = cJSON_IsString(value) ? value->valuestring : number;
    return text[0] && http_copy(out, bytes, pusherc_slice_of(text));
}

static bool is_uuid(const char *text)
{
    static const char pattern[] = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    if (strlen(text) != sizeof pattern - 1)
        return false;
    for (size_t i = 0; pattern[i]; i++) {
        if (pattern[i] == '-' ? text[i] != '-' : !strchr("0123456789abcdef", text[i]))
            return false;
    }
    return true;
}

static bool read_step(struct call_word *word, const cJSON *said)
{
    switch (word->step) {
    case CALL_INITIATED:
        return read_text(word->from, sizeof word->from, said, "from") &&
               read_text(word->to, sizeof word->to, said, "to") && call_is_number(word->from) &&
               call_is_number(word->to);
    case CALL_ANSWERED:
        return read_text(word->extension_id, sizeof word->extension_id, said, "extension");
    case CALL_ENDED:
        return read_text(word->status, sizeof word->status, said, "status") &&
               call_is_end(word->status);
    case CALL_STEPS:
        break;
    }
    return false;
}

static bool read_word(struct call_word *word, char event_id[CALL_ID_BYTES], const cJSON *said)
{
    char type[32], organization[24], *end;
    *word = (struct call_word){.at_ms = now_ms()};
    if (!read_text(event_id, CALL_ID_BYTES, said, "event_id") ||
        !read_text(type, sizeof type, said, "type") ||
        !read_text(organization, sizeof organization, said, "organization_id") ||
        !read_text(word->call_id, sizeof word->call_id, said, "call_id") || !is_uuid(word->call_id))
        return false;
    word->organization_id = strtoll(organization, &end, 10);
    word->step = call_step_of(pusherc_slice_of(type));
    return !*end && read_step(word, said);
}

/* Numbers and extensions become ids. False: they are not the organization's. */
static bool find_ids(struct program *program, struct call_word *word)
{
    cJSON *row = NULL;
    char *out = word->step == CALL_INITIATED ? word->did_id : word->extension_id;
    if (word->step == CALL_INITIATED)
        row = store_row(program->store,
                        "SELECT CAST(d.id AS TEXT) id FROM dids d JOIN extensions e"
                        " ON e.id = d.extension_id WHERE d.number = ? AND e.organization_id = ?",
                        VALUES(TEXT(word->to), INT(word->organization_id)));
    else if (word->step == CALL_ANSWERED)
        row = store_row(program->store,
                        "SELECT CAST(id AS TEXT) id FROM extensions WHERE number = ?"
                        " AND organization_id = ?",
                        VALUES(TEXT(word->extension_id), INT(word->organization_id)));
    else
        return true;
    bool found = row != NULL;
    snprintf(out, CALL_ID_BYTES, "%s", row_text(row, "id"));
    cJSON_Delete(row);
    return found;
}

/* -- doing it -- */

static void answer(pusherc_http_request *request, int status, bool is_new)
{
    cJSON *answer = cJSON_CreateObject();
    cJSON_AddBoolToObject(answer, "accepted", is_new);
    http_send_json(request, status, answer);
    cJSON_Delete(answer);
}

/* Another organization has a call of that name. */
static bool is_foreign(struct program *program, const struct call_word *word)
{
    return store_has(program->store,
                     "SELECT 1 FROM calls WHERE call_id = ? AND organization_id <> ?",
                     VALUES(TEXT(word->call_id), INT(word->organization_id)));
}

/* The event is written in the transaction of what it says: once, whatever happens between. The provider has its answer
 * before pages are told. */
static void apply(struct program *program, pusherc_http_request *request,
                  const struct call_word *word, const char *event_id)
{
    struct change change;
    change_begin(&change, program, 0, NULL);
    bool known = store_has(program->store, "SELECT 1 FROM provider_events WHERE event_id = ?",
                           VALUES(TEXT(event_id)));
    enum call_result result = known ? CALL_OLD : calls_apply(&change, word);
    change.nothing = known || result == CALL_UNKNOWN;
    if (!change.nothing)
        change_run(&change, "INSERT INTO provider_events VALUES (?, unixepoch())",
                   VALUES(TEXT(event_id)));
    int status = change_write(&change);
    if (status != 0)
        http_send_error(request, 503, "This could not be written. Please say it again.");
    else if (result == CALL_UNKNOWN)
        http_send_error(request, 404, "There is no such call.");
    else
        answer(request, result == CALL_DONE ? 202 : 200, result == CALL_DONE);
    change_end(&change);
}

void webhook_post(struct program *program, pusherc_http_request *request,
                  const struct http_params *params)
{
    (void)params;
    char event_id[CALL_ID_BYTES];
    struct call_word word;
    pusherc_slice body = pusherc_http_body(request);
    const char *fault = find_fault(pbx_of(program), request);
    if (fault) {
        say_seldom(pbx_of(program), "voice webhook refused: %s", fault);
        http_send_error(request, 401, fault);
        return;
    }
    cJSON *said = cJSON_ParseWithLength(body.ptr, body.len);
    bool good = read_word(&word, event_id, said);
    cJSON_Delete(said);
    if (!good)
        http_send_error(request, 422, "This is no event of a call.");
    else if (!find_ids(program, &word) || is_foreign(program, &word))
        http_send_error(request, 403, "This belongs to another organization.");
    else
        apply(program, request, &word, event_id);
}

void webhook_tidy(struct program *program)
{
    store_run(program->store, "DELETE FROM provider_events WHERE at < unixepoch() - 86400",
              NO_VALUES);
}
