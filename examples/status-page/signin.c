#include "signin.h"

#include <stdio.h>
#include <string.h>

#include "common/program.h"

/* The page wanted if the user may see it, else the first dashboard that is the user's own, else the start. */
void signin_target(char out[LOGIN_TARGET_BYTES], struct program *program, int64_t user_id,
                   const struct login_wanted *wanted)
{
    cJSON *found = store_row(
        program->store,
        "SELECT o.slug, iif(o.slug = ?2 AND ?3 = 'status', '/status/', '/dashboard/') place"
        " FROM organizations o LEFT JOIN memberships m ON m.organization_id = o.id AND m.user_id = "
        "?1"
        " WHERE m.user_id OR (o.public AND o.slug = ?2 AND ?3 = 'status')"
        " ORDER BY o.slug <> ?2, o.id",
        VALUES(INT(user_id), TEXT(wanted->value[0]), TEXT(wanted->value[1])));
    snprintf(out, LOGIN_TARGET_BYTES, "%s%s", found ? row_text(found, "place") : "/",
             row_text(found, "slug"));
    cJSON_Delete(found);
}

/* A demo's users and passwords are public (sql/demo.sql): a button for each. What is private is not
 * called by its name. */
static cJSON *demo_users(struct program *program, const char *slug)
{
    return store_rows(program->store,
                      "SELECT u.email, o.slug || '-demo' password, upper(substr(m.role, 1, 1)) ||"
                      " substr(m.role, 2) || ' of ' || iif(o.public, o.name,"
                      " 'a private organization') label FROM memberships m"
                      " JOIN users u ON u.id = m.user_id"
                      " JOIN organizations o ON o.id = m.organization_id"
                      " JOIN settings s ON s.name = 'demo'"
                      " WHERE u.email LIKE '%@' || o.slug || '.example'"
                      " ORDER BY o.slug <> ?, o.id, u.id",
                      VALUES(TEXT(slug)));
}

void signin_fill(struct program *program, cJSON *values, const struct login_wanted *wanted)
{
    bool members_only = strcmp(wanted->value[1], "status") == 0;
    cJSON *users = demo_users(program, wanted->value[0]);
    cJSON_AddStringToObject(values, "hint",
                            members_only ? "This status page is for members of its organization."
                                         : "The dashboard is for members.");
    if (users)
        cJSON_AddItemToObject(values, "users", users);
}
