#include "organization.h"

#include <inttypes.h>
#include <string.h>

#include "common/assets.h"
#include "common/change.h"
#include "common/fields.h"
#include "common/program.h"

cJSON *organization_by_slug(struct program *program, const char *slug)
{
    return store_row(program->store,
                     "SELECT id, slug, name, tagline, public, revision FROM organizations"
                     " WHERE slug = ?",
                     VALUES(TEXT(slug)));
}

enum role organization_role(struct program *program, const struct session *session,
                            int64_t organization_id)
{
    cJSON *row =
        store_row(program->store,
                  "SELECT CASE role WHEN 'owner' THEN 3 WHEN 'admin' THEN 2 ELSE 1 END role"
                  " FROM memberships WHERE user_id = ? AND organization_id = ?",
                  VALUES(INT(session->user_id), INT(organization_id)));
    enum role role = (enum role)row_int(row, "role");
    cJSON_Delete(row);
    return role;
}

bool organization_may_see(const cJSON *organization, enum role role)
{
    return role >= ROLE_MEMBER || row_int(organization, "public") == 1;
}

void organization_fill(struct program *program, cJSON *organization, enum view view)
{
    cJSON *parts = store_row(program->store, asset_find("sql/organization.sql")->data,
                             VALUES(INT(row_int(organization, "id")), INT(view >= VIEW_MEMBER),
                                    INT(view >= VIEW_EDITOR)));
    while (parts && parts->child) {
        cJSON *part = cJSON_DetachItemViaPointer(parts, parts->child);
        cJSON_AddItemToObject(organization, part->string, part);
    }
    cJSON_Delete(parts);
}

void organization_begin(struct change *change, struct program *program, int64_t organization_id,
                        int64_t user_id, const pusherc_http_request *request)
{
    change_begin(change, program, user_id, request);
    change_run(change, "UPDATE organizations SET revision = revision + 1 WHERE id = ?",
               VALUES(INT(organization_id)));
    cJSON *row = store_row(program->store, "SELECT revision FROM organizations WHERE id = ?",
                           VALUES(INT(organization_id)));
    change->revision = row_int(row, "revision");
    change->about_id = organization_id;
    change_to(change, "organization.%" PRId64, organization_id);
    cJSON_Delete(row);
}

const char *organization_show(struct change *change, int64_t organization_id,
                              const pusherc_http_request *request)
{
    bool public = pusherc_slice_equal(pusherc_http_form(request, "public"), pusherc_slice_of("1"));
    change->nothing =
        store_has(change->program->store, "SELECT 1 FROM organizations WHERE public = ? AND id = ?",
                  VALUES(INT(public), INT(organization_id)));
    change_run(change, "UPDATE organizations SET public = ? WHERE id = ?",
               VALUES(INT(public), INT(organization_id)));
    return NULL;
}

const char *organization_add_member(struct change *change, int64_t organization_id,
                                    const pusherc_http_request *request)
{
    struct store *store = change->program->store;
    char email[128];
    char role[16];
    field_line(email, sizeof email, request, "email");
    field_line(role, sizeof role, request, "role");
    if (strcmp(role, "member") != 0 && strcmp(role, "admin") != 0)
        return "Choose a role.";
    cJSON *user = store_row(store,
                            "SELECT u.id, m.role FROM users u LEFT JOIN memberships m"
                            " ON m.user_id = u.id AND m.organization_id = ?"
                            " WHERE u.email = lower(?)",
                            VALUES(INT(organization_id), TEXT(email)));
    const char *error = NULL;
    if (!user)
        error = "Nobody has an account with this address: status-page --add-user makes one.";
    else if (strcmp(row_text(user, "role"), "owner") == 0)
        error = "This is an owner already.";
    else
        change->nothing = strcmp(row_text(user, "role"), role) == 0;
    if (user && !error)
        change_run(change, "INSERT OR REPLACE INTO memberships VALUES (?, ?, ?)",
                   VALUES(INT(row_int(user, "id")), INT(organization_id), TEXT(role)));
    cJSON_Delete(user);
    return error;
}

const char *organization_remove_member(struct change *change, int64_t user_id,
                                       const pusherc_http_request *request)
{
    (void)request;
    if (!store_has(change->program->store,
                   "SELECT 1 FROM memberships WHERE user_id = ? AND organization_id = ? AND role "
                   "<> 'owner'",
                   VALUES(INT(user_id), INT(change->about_id))))
        return "Only admins and members can be removed.";
    change_run(change, "DELETE FROM memberships WHERE user_id = ? AND organization_id = ?",
               VALUES(INT(user_id), INT(change->about_id)));
    return NULL;
}
