#include "organization.h"

#include "assets.h"
#include "change.h"
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
