#include "incoming.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "calls.h"

static const char *const names[] = {CHANNEL_PUBLIC, CHANNEL_DOCUMENT, CHANNEL_OWN};
#define NAMES (sizeof names / sizeof names[0])

/* -- for whom -- */

/* The organization whose channel it is; 0: none's. */
static int64_t organization_of(pusherc_slice channel)
{
    char id[24], *end;
    for (size_t i = 0; i < NAMES; i++) {
        size_t len = strlen(names[i]);
        if (channel.len <= len || memcmp(channel.ptr, names[i], len) != 0)
            continue;
        http_copy(id, sizeof id, (pusherc_slice){channel.ptr + len, channel.len - len});
        int64_t number = strtoll(id, &end, 10);
        return id[0] >= '1' && id[0] <= '9' && !*end ? number : 0;
    }
    return 0;
}

/* 0: no channel is an organization's; -1: they are of several. */
static int64_t find_organization(const pusherc_incoming *event)
{
    int64_t found = 0;
    for (size_t i = 0; i < pusherc_incoming_channel_count(event); i++) {
        int64_t id = organization_of(pusherc_incoming_channel(event, i));
        if (id && found && id != found)
            return -1;
        found = id ? id : found;
    }
    return found;
}

static int add_names(pusherc_incoming *event, int64_t organization_id)
{
    char name[64];
    int status = 0;
    for (size_t i = 0; i < NAMES && status == 0; i++) {
        snprintf(name, sizeof name, "%s%" PRId64, names[i], organization_id);
        status = pusherc_incoming_add_channel(event, pusherc_slice_of(name));
    }
    return status;
}

/* -- what -- */

/* 2026-01-02T03:04:05.678Z, with or without the fraction, or with +00:00; -1: it is none. */
static int64_t read_time(const char *text)
{
    struct tm parts = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &parts);
    int64_t fraction_ms = 0;
    if (rest && *rest == '.') {
        char *end;
        fraction_ms = (int64_t)(strtod(rest, &end) * 1000 + 0.5);
        rest = end;
    }
    if (!rest || (strcmp(rest, "Z") != 0 && strcmp(rest, "+00:00") != 0))
        return -1;
    return (int64_t)timegm(&parts) * 1000 + fraction_ms;
}

static bool take(char *out, size_t bytes, const cJSON *event, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(event, name));
    return text && http_copy(out, bytes, pusherc_slice_of(text));
}

static bool take_time(int64_t *out, const cJSON *event, const char *name)
{
    char text[40];
    *out = take(text, sizeof text, event, name) ? read_time(text) : -1;
    return *out >= 0;
}

static bool read_initiated(struct call_word *word, const cJSON *event)
{
    return take(word->from, sizeof word->from, event, "from_number") &&
           take(word->to, sizeof word->to, event, "to_number") &&
           take(word->did_id, sizeof word->did_id, event, "did_id") &&
           take_time(&word->at_ms, event, "initiated_at") && call_is_number(word->from) &&
           call_is_number(word->to) && call_is_id(word->did_id) &&
           strcmp(word->status, "initiated") == 0;
}

static bool read_answered(struct call_word *word, const cJSON *event)
{
    return take(word->extension_id, sizeof word->extension_id, event, "extension_id") &&
           take_time(&word->at_ms, event, "answered_at") && call_is_id(word->extension_id) &&
           strcmp(word->status, "answered") == 0;
}

static bool read_ended(struct call_word *word, const cJSON *event)
{
    const cJSON *duration = cJSON_GetObjectItemCaseSensitive(event, "duration");
    return take_time(&word->at_ms, event, "ended_at") && cJSON_IsNumber(duration) &&
           duration->valuedouble >= 0 && call_is_end(word->status);
}

/* All of its members, and no others: what is not in the list could be anything, a secret too. */
static bool read_event(struct call_word *word, const cJSON *event)
{
    static bool (*const read[CALL_STEPS])(struct call_word *, const cJSON *) = {
        read_initiated, read_answered, read_ended};
    static const int members[CALL_STEPS] = {6, 4, 4};
    return cJSON_IsObject(event) && cJSON_GetArraySize(event) == members[word->step] &&
           take(word->call_id, sizeof word->call_id, event, "call_id") &&
           call_is_id(word->call_id) && take(word->status, sizeof word->status, event, "status") &&
           read[word->step](word, event);
}

/* "v", "id" and "revision" are taken off. True if all three were there: this program has published it. */
static bool is_ours(cJSON *event)
{
    static const char *const own[] = {"v", "id", "revision"};
    int found = 0;
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++) {
        found += cJSON_HasObjectItem(event, own[i]);
        cJSON_DeleteItemFromObjectCaseSensitive(event, own[i]);
    }
    return found == 3;
}

/* The same on each server that hears of it. */
static int complete(pusherc_incoming *incoming, cJSON *event, const struct call_word *word,
                    int64_t revision)
{
    char id[2 * CALL_ID_BYTES];
    snprintf(id, sizeof id, "%s-%s", word->call_id, call_events[word->step] + sizeof "call." - 1);
    cJSON_AddStringToObject(event, "id", id);
    cJSON_AddNumberToObject(event, "v", 1);
    cJSON_AddNumberToObject(event, "revision", (double)revision);
    char *text = cJSON_PrintUnformatted(event);
    int status =
        text ? pusherc_incoming_set_data(incoming, pusherc_slice_of(text)) : PUSHERC_ENOMEM;
    cJSON_free(text);
    return status;
}

static int check(pusherc_incoming *incoming, struct program *program, cJSON *event,
                 struct call_word *word)
{
    bool ours = is_ours(event);
    if (!read_event(word, event))
        return pusherc_incoming_refuse(
            incoming, "this is no call event: exactly the members that the README names");
    if (ours)
        return 0;
    int64_t revision = calls_note(program, word);
    if (!revision)
        return pusherc_incoming_refuse(incoming, "it cannot be written now");
    int status = complete(incoming, event, word, revision);
    return status ? status : add_names(incoming, word->organization_id);
}

int incoming_check(pusherc_incoming *incoming, void *user_data)
{
    struct program *program = user_data;
    struct call_word word = {.step = call_step_of(pusherc_incoming_name(incoming)),
                             .organization_id = find_organization(incoming)};
    pusherc_slice data = pusherc_incoming_data(incoming);
    if (word.organization_id == 0)
        return 0;
    if (word.organization_id < 0)
        return pusherc_incoming_refuse(incoming, "one event is for one organization");
    if (word.step == CALL_STEPS)
        return pusherc_incoming_refuse(incoming, "only events of calls are published here");
    if (!store_has(program->store, "SELECT 1 FROM organizations WHERE id = ?",
                   VALUES(INT(word.organization_id))))
        return pusherc_incoming_refuse(incoming, "there is no such organization");
    cJSON *event = cJSON_ParseWithLength(data.ptr, data.len);
    int status = check(incoming, program, event, &word);
    cJSON_Delete(event);
    return status;
}
