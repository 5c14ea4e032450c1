#include "auth/redaction.h"

#include <pusherc/error.h>

#include "base/log.h"
#include "base/options.h"
#include "base/pack.h"

#define MAX_VIEW_BYTES   64
#define MAX_MEMBER_BYTES 200

/* -- members: "note", or a JSON pointer (RFC 6901) -- */

static bool is_pointer(pusherc_slice member)
{
    return member.len > 0 && member.ptr[0] == '/';
}

static bool member_valid(pusherc_slice member)
{
    if (member.len == 0 || member.len > MAX_MEMBER_BYTES || !pc_utf8_valid(member))
        return false;
    for (size_t i = 0; is_pointer(member) && i < member.len; i++)
        if (member.ptr[i] == '~' &&
            (i + 1 == member.len || (member.ptr[i + 1] != '0' && member.ptr[i + 1] != '1')))
            return false;
    return true;
}

static size_t name_count(pusherc_slice member)
{
    size_t count = !is_pointer(member);
    for (size_t i = 0; is_pointer(member) && i < member.len; i++)
        count += member.ptr[i] == '/';
    return count;
}

/* Cuts the first name from what follows a slash, and decodes it: "~1" stands for '/', "~0" for '~'. */
static pusherc_slice next_name(pusherc_slice *rest, char **at)
{
    pusherc_slice name = {*at, 0};
    size_t len = pc_slice_find(*rest, '/');
    for (size_t i = 0; i < len; i++) {
        char c = rest->ptr[i];
        if (c == '~')
            c = rest->ptr[++i] == '1' ? '/' : '~';
        *(*at)++ = c;
        name.len++;
    }
    *rest = pc_slice_skip(*rest, len + (len < rest->len));
    return name;
}

/* -- checking -- */

static int refuse(const pusherc_rule *rule, pusherc_slice view, const char *why,
                  pusherc_errinfo *info)
{
    return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s, view \"%.*s\": %s", rule->pattern,
                      (int)(view.len > MAX_VIEW_BYTES ? MAX_VIEW_BYTES : view.len),
                      view.ptr ? view.ptr : "", why);
}

/* What the copies take. */
struct sizes {
    size_t paths, names, bytes;
};

static int check_one(const pusherc_rule *rule, const pusherc_redaction *r, struct sizes *sizes,
                     pusherc_errinfo *info)
{
    if (r->view.len == 0 || r->view.len > MAX_VIEW_BYTES || !pc_utf8_valid(r->view))
        return refuse(rule, r->view, "a view has 1 to 64 bytes of UTF-8", info);
    if (r->member_count > PC_JSON_MAX_PATHS || (r->member_count && !r->members))
        return refuse(rule, r->view, "at most 64 members", info);
    if (r->nothing && r->member_count)
        return refuse(rule, r->view, "members stand beside `nothing`", info);
    sizes->paths += r->member_count;
    sizes->bytes += r->view.len;
    for (size_t i = 0; i < r->member_count; i++) {
        if (!member_valid(r->members[i]))
            return refuse(rule, r->view,
                          "a member is a name or a JSON pointer of 1 to 200 bytes of UTF-8", info);
        sizes->names += name_count(r->members[i]);
        sizes->bytes += r->members[i].len;
    }
    return 0;
}

static int check_all(const pusherc_rule *rule, pusherc_redaction *taken, struct sizes *sizes,
                     pusherc_errinfo *info)
{
    for (size_t i = 0; i < rule->redaction_count; i++) {
        int err = PC_TAKE(redaction, &taken[i], PUSHERC_AT(rule->redactions, i), info);
        err = err ? err : check_one(rule, &taken[i], sizes, info);
        for (size_t k = 0; err == 0 && k < i; k++)
            if (pc_slice_eq(taken[k].view, taken[i].view))
                err = refuse(rule, taken[i].view, "is there twice", info);
        if (err)
            return err;
    }
    return 0;
}

/* -- copying -- */

static void copy_members(struct pc_redaction *to, const pusherc_redaction *from,
                         struct pc_json_path **paths, pusherc_slice **names, char **at)
{
    to->paths = *paths;
    to->path_count = from->member_count;
    for (size_t i = 0; i < from->member_count; i++) {
        pusherc_slice rest = from->members[i];
        struct pc_json_path *path = (*paths)++;
        path->names = *names;
        path->count = name_count(rest);
        if (!is_pointer(rest)) {
            *(*names)++ = pc_pack(at, rest);
            continue;
        }
        rest = pc_slice_skip(rest, 1);
        for (size_t n = 0; n < path->count; n++)
            *(*names)++ = next_name(&rest, at);
    }
}

int pc_redactions_new(struct pc_redactions **out, const struct pc_mem *mem,
                      const pusherc_rule *rule, pusherc_errinfo *info)
{
    pusherc_redaction taken[PUSHERC_RULE_MAX_VIEWS];
    struct sizes sizes = {0};
    const size_t count = rule->redaction_count;
    *out = NULL;
    if (!rule->redactions || count > PUSHERC_RULE_MAX_VIEWS)
        return pc_errinfo(info, PUSHERC_EINVAL, 0, "pattern %s: redactions: 1 to %d", rule->pattern,
                          PUSHERC_RULE_MAX_VIEWS);
    int err = check_all(rule, taken, &sizes, info);
    if (err)
        return err;
    struct pc_redactions *r = pc_alloc_zero(
        mem, sizeof *r + count * sizeof r->items[0] + sizes.paths * sizeof(struct pc_json_path) +
                 sizes.names * sizeof(pusherc_slice) + sizes.bytes);
    if (!r)
        return pc_errinfo(info, PUSHERC_ENOMEM, 0, "out of memory");
    struct pc_json_path *paths = (struct pc_json_path *)(void *)(r->items + count);
    pusherc_slice *names = (pusherc_slice *)(void *)(paths + sizes.paths);
    char *at = (char *)(names + sizes.names);
    r->count = count;
    for (size_t i = 0; i < count; i++) {
        r->items[i].view = pc_pack(&at, taken[i].view);
        r->items[i].nothing = taken[i].nothing;
        copy_members(&r->items[i], &taken[i], &paths, &names, &at);
    }
    *out = r;
    return 0;
}

const struct pc_redaction *pc_redaction_of(const struct pc_redactions *redactions,
                                           pusherc_slice view)
{
    for (size_t i = 0; i < redactions->count; i++)
        if (pc_slice_eq(redactions->items[i].view, view))
            return &redactions->items[i];
    return NULL;
}
