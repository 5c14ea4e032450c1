#include "calls.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <sodium.h>

#define ISO(column) "strftime('%Y-%m-%dT%H:%M:%fZ', " column " / 1000.0, 'unixepoch')"

const char *const call_events[CALL_STEPS] = {
    [CALL_INITIATED] = "call.initiated",
    [CALL_ANSWERED] = "call.answered",
    [CALL_ENDED] = "call.ended",
};

/* What each step tells: exactly this, "v", "id" and "revision". */
static const char *const payloads[CALL_STEPS] = {
    [CALL_INITIATED] = "SELECT call_id, from_number, to_number, did_id, 'initiated' status, " ISO(
        "initiated_at") " initiated_at FROM calls WHERE organization_id = ? AND call_id = ?",
    [CALL_ANSWERED] = "SELECT call_id, 'answered' status, " ISO(
        "answered_at") " answered_at, extension_id FROM calls WHERE organization_id = ? AND "
                       "call_id = ?",
    [CALL_ENDED] = "SELECT call_id, status, " ISO(
        "ended_at") " ended_at, duration FROM calls WHERE organization_id = ? AND call_id = ?",
};

/* How each is written: ?1 organization, ?2 call, ?3 time, ?4 revision, then what it brings. A call that has ended does not
 * change any more, and one that was answered is not answered again. */
static const char insert[] =
    "INSERT INTO calls (organization_id, call_id, status, initiated_at, initiated_revision,"
    " from_number, to_number, did_id) VALUES (?1, ?2, 'initiated', ?3, ?4, ?5, ?6, ?7)";
static const char answer[] =
    "UPDATE calls SET status = 'answered', answered_at = ?3, answered_revision = ?4,"
    " extension_id = ?5 WHERE organization_id = ?1 AND call_id = ?2";
static const char end[] = "UPDATE calls SET status = ?5, ended_at = ?3, ended_revision = ?4,"
                          " duration = iif(answered_at IS NULL, 0, max(0, ?3 - answered_at) / 1000)"
                          " WHERE organization_id = ?1 AND call_id = ?2";

int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

enum call_step call_step_of(pusherc_slice event)
{
    enum call_step step = CALL_INITIATED;
    while (step < CALL_STEPS && !pusherc_slice_equal(event, pusherc_slice_of(call_events[step])))
        step++;
    return step;
}

bool call_is_end(const char *status)
{
    static const char *const ends[] = {"completed", "no_answer", "busy", "failed", "canceled"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (strcmp(status, ends[i]) == 0)
            return true;
    }
    return false;
}

bool call_is_number(const char *text)
{
    size_t digits = text[0] == '+' ? strspn(text + 1, "0123456789") : 0;
    return digits >= 7 && digits <= 15 && text[1 + digits] == '\0';
}

bool call_is_id(const char *text)
{
    size_t len = strlen(text);
    return len >= 1 && len < CALL_ID_BYTES &&
           strspn(text, "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-") == len;
}

void call_make_id(char out[CALL_ID_BYTES])
{
    unsigned char raw[16];
    char hex[33];
    randombytes_buf(raw, sizeof raw);
    raw[6] = (unsigned char)((raw[6] & 0x0f) | 0x40);
    raw[8] = (unsigned char)((raw[8] & 0x3f) | 0x80);
    sodium_bin2hex(hex, sizeof hex, raw, sizeof raw);
    snprintf(out, CALL_ID_BYTES, "%.8s-%.4s-%.4s-%.4s-%.12s", hex, hex + 8, hex + 12, hex + 16,
             hex + 20);
}

/* -- writing -- */

/* What is known of the call, or NULL. */
static cJSON *look_up(struct program *program, const struct call_word *word)
{
    return store_row(program->store,
                     "SELECT status, initiated_revision, answered_revision, ended_revision"
                     " FROM calls WHERE organization_id = ? AND call_id = ?",
                     VALUES(INT(word->organization_id), TEXT(word->call_id)));
}

/* Of a step that is done, or 0. */
static int64_t revision_of(const cJSON *call, enum call_step step)
{
    static const char *const columns[CALL_STEPS] = {"initiated_revision", "answered_revision",
                                                    "ended_revision"};
    return row_int(call, columns[step]);
}

static enum call_result judge(const cJSON *call, enum call_step step)
{
    if (call && (revision_of(call, step) || revision_of(call, CALL_ENDED)))
        return CALL_OLD;
    return call || step == CALL_INITIATED ? CALL_DONE : CALL_UNKNOWN;
}

/* The organization's next revision; 0 after a failure. */
static int64_t next_revision(struct change *change, int64_t organization_id)
{
    change_run(change, "UPDATE organizations SET revision = revision + 1 WHERE id = ?",
               VALUES(INT(organization_id)));
    cJSON *row =
        store_row(change->program->store, "SELECT revision FROM organizations WHERE id = ?",
                  VALUES(INT(organization_id)));
    int64_t revision = row_int(row, "revision");
    cJSON_Delete(row);
    return revision;
}

static void write_step(struct change *change, const struct call_word *word)
{
    struct store_value values[7] = {INT(word->organization_id), TEXT(word->call_id),
                                    INT(word->at_ms), INT(change->revision)};
    switch (word->step) {
    case CALL_INITIATED:
        values[4] = TEXT(word->from);
        values[5] = TEXT(word->to);
        values[6] = TEXT(word->did_id);
        change_run(change, insert, values, 7);
        break;
    case CALL_ANSWERED:
        values[4] = TEXT(word->extension_id);
        change_run(change, answer, values, 5);
        break;
    case CALL_ENDED:
        values[4] = TEXT(word->status);
        change_run(change, end, values, 5);
        break;
    case CALL_STEPS:
        change->failed = true;
        break;
    }
}

static void tell(struct change *change, const struct call_word *word)
{
    change_tell(change, call_events[word->step], payloads[word->step],
                VALUES(INT(word->organization_id), TEXT(word->call_id)));
}

/* The person of the extension that is called, or 0. */
static int64_t called_person(struct program *program, const struct call_word *word)
{
    cJSON *row = store_row(program->store,
                           "SELECT e.user_id FROM dids d JOIN extensions e ON e.id = d.extension_id"
                           " WHERE CAST(d.id AS TEXT) = ? AND e.organization_id = ?",
                           VALUES(TEXT(word->did_id), INT(word->organization_id)));
    int64_t user_id = row_int(row, "user_id");
    cJSON_Delete(row);
    return user_id;
}

static void tell_all(struct change *change, const struct call_word *word)
{
    change_to_none(change);
    change_to(change, CHANNEL_PUBLIC "%" PRId64, word->organization_id);
    change_to(change, CHANNEL_DOCUMENT "%" PRId64, word->organization_id);
    change_to(change, CHANNEL_OWN "%" PRId64, word->organization_id);
    tell(change, word);
    int64_t user_id = word->step == CALL_INITIATED ? called_person(change->program, word) : 0;
    if (!user_id)
        return;
    change_to_none(change); /* an event of its own: a page that has both names acts on both */
    change_to(change, CHANNEL_USER "%" PRId64, user_id);
    tell(change, word);
}

enum call_result calls_apply(struct change *change, const struct call_word *word)
{
    cJSON *call = look_up(change->program, word);
    enum call_result result = judge(call, word->step);
    cJSON_Delete(call);
    if (result != CALL_DONE)
        return result;
    change->revision = next_revision(change, word->organization_id);
    change->failed = change->failed || change->revision == 0;
    write_step(change, word);
    tell_all(change, word);
    return result;
}

int64_t calls_note(struct program *program, const struct call_word *word)
{
    struct change change;
    change_begin(&change, program, 0, NULL);
    cJSON *call = look_up(program, word);
    enum call_result result = judge(call, word->step);
    int64_t revision = result == CALL_OLD ? revision_of(call, word->step) : 0;
    cJSON_Delete(call);
    change.nothing = result == CALL_OLD;
    if (result != CALL_OLD)
        revision = change.revision = next_revision(&change, word->organization_id);
    if (result == CALL_DONE)
        write_step(&change, word);
    return change_end(&change) == 0 ? revision : 0;
}
