#include "organization.h"

#include <string.h>

#include "assets.h"
#include "change.h"
#include "fields.h"
#include "site.h"

cJSON *organization_by_slug(struct site *site, const char *slug)
{
    return store_row(site->store,
                     "SELECT id, slug, name, tagline, public, revision FROM organizations"
                     " WHERE slug = ?",
                     VALUES(TEXT(slug)));
}

bool organization_may_see(const cJSON *organization, enum role role)
{
    return role >= ROLE_MEMBER || row_int(organization, "public") == 1;
}

void organization_fill(struct site *site, cJSON *organization, enum view view)
{
    cJSON *parts = store_row(site->store, asset_find("sql/organization.sql")->data,
                             VALUES(INT(row_int(organization, "id")), INT(view >= VIEW_MEMBER),
                                    INT(view >= VIEW_EDITOR)));
    while (parts && parts->child) {
        cJSON *part = cJSON_DetachItemViaPointer(parts, parts->child);
        cJSON_AddItemToObject(organization, part->string, part);
    }
    cJSON_Delete(parts);
}

const char *organization_show(struct change *change, int64_t organization_id,
                              const pusherc_http_request *request)
{
    bool public = pusherc_slice_equal(pusherc_http_form(request, "public"), pusherc_slice_of("1"));
    change->nothing =
        store_has(change->site->store, "SELECT 1 FROM organizations WHERE public = ? AND id = ?",
                  VALUES(INT(public), INT(organization_id)));
    change_run(change, "UPDATE organizations SET public = ? WHERE id = ?",
               VALUES(INT(public), INT(organization_id)));
    return NULL;
}

const char *organization_add_member(struct change *change, int64_t organization_id,
                                    const pusherc_http_request *request)
{
    struct store *store = change->site->store;
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
    if (!store_has(change->site->store,
                   "SELECT 1 FROM memberships WHERE user_id = ? AND organization_id = ? AND role "
                   "<> 'owner'",
                   VALUES(INT(user_id), INT(change->organization_id))))
        return "Only admins and members can be removed.";
    change_run(change, "DELETE FROM memberships WHERE user_id = ? AND organization_id = ?",
               VALUES(INT(user_id), INT(change->organization_id)));
    return NULL;
}
