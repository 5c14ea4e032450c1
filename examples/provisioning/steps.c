#include "steps.h"

#include <stdlib.h>
#include <string.h>

#include "common/program.h"
#include "events.h"
#include "servers.h"

/* What a server is follows from its steps. It is written with them, in the same change, and not told by itself. */
static void observe(struct change *change)
{
    change_run(change,
               "UPDATE servers SET provision_status = (SELECT CASE"
               " WHEN max(status = 'failed') THEN 'failed' WHEN min(status = 'completed') THEN"
               " 'completed' WHEN max(status <> 'pending') THEN 'installing' ELSE 'pending' END"
               " FROM steps WHERE server_id = ?1) WHERE id = ?1",
               VALUES(INT(change->about_id)));
    change_run(change,
               "UPDATE servers SET error = '' WHERE id = ? AND provision_status <> 'failed'",
               VALUES(INT(change->about_id)));
}

/* NULL if the step may move to that. */
static const char *check(struct change *change, const struct step_word *word)
{
    const char *refused = NULL;
    cJSON *now = store_row(change->program->store,
                           "SELECT s.provision_status, t.status, coalesce((SELECT status"
                           " FROM steps WHERE server_id = s.id AND step = t.step - 1),"
                           " 'completed') before FROM servers s JOIN steps t"
                           " ON t.server_id = s.id WHERE s.id = ? AND t.step = ?",
                           VALUES(INT(change->about_id), INT(word->step)));
    const char *status = row_text(now, "status");
    const char *server = row_text(now, "provision_status");
    if (strcmp(server, "pending") != 0 && strcmp(server, "installing") != 0)
        refused = "This server is not being set up.";
    else if (strcmp(row_text(now, "before"), "completed") != 0)
        refused = "The step before it is not done.";
    else if (strcmp(status, word->status) == 0)
        change->nothing = true;
    else if (strcmp(status, "completed") == 0)
        refused = "This step is done.";
    cJSON_Delete(now);
    return refused;
}

/* Done, and the next step in one announcement. */
static void move(struct change *change, const struct step_word *word)
{
    change_run(change, "UPDATE steps SET status = ? WHERE server_id = ? AND step = ?",
               VALUES(TEXT(word->status), INT(change->about_id), INT(word->step)));
    if (strcmp(word->status, "completed") == 0)
        change_run(change,
                   "UPDATE steps SET status = 'installing' WHERE server_id = ? AND step = ?",
                   VALUES(INT(change->about_id), INT(word->step + 1)));
    if (strcmp(word->status, "failed") == 0)
        change_run(change, "UPDATE servers SET error = ? WHERE id = ?",
                   VALUES(TEXT(word->error), INT(change->about_id)));
    observe(change);
}

/* For one who waits for the end of a change. */
struct mover {
    steps_done_fn done;
    void *user_data;
};

static void moved(int status, void *user_data)
{
    struct mover *mover = user_data;
    mover->done(NULL, status, mover->user_data);
    free(mover);
}

void steps_move(struct program *program, int64_t server_id, const struct step_word *word,
                steps_done_fn done, void *user_data)
{
    struct change change;
    struct mover *mover = malloc(sizeof *mover);
    if (!mover) {
        done(NULL, -1, user_data);
        return;
    }
    *mover = (struct mover){done, user_data};
    server_begin(&change, program, server_id, 0, NULL);
    const char *refused = check(&change, word);
    if (refused) {
        change.failed = true;
        change_end(&change);
        free(mover);
        done(refused, 0, user_data);
        return;
    }
    move(&change, word);
    event_tell(&change, EVENT_PROVISION, server_id, NULL);
    change_end_then(&change, moved, mover);
}

int steps_retry(struct program *program, int64_t server_id, int64_t user_id,
                const pusherc_http_request *request)
{
    static const char failed[] = "SELECT 1 FROM steps WHERE server_id = ? AND status = 'failed'";
    struct change change;
    if (!store_has(program->store, failed, VALUES(INT(server_id))))
        return 1;
    server_begin(&change, program, server_id, user_id, request);
    change_run(&change,
               "UPDATE steps SET status = 'installing' WHERE server_id = ? AND status = 'failed'",
               VALUES(INT(server_id)));
    observe(&change);
    event_tell(&change, EVENT_PROVISION, server_id, NULL);
    return change_end(&change);
}
