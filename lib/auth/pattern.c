#include "auth/pattern.h"

#define REST PC_S("...}") /* the end of a pattern "some.{name...}" */

static bool name_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

pusherc_slice pc_pattern_front(pusherc_slice pattern)
{
    if (pattern.len < REST.len ||
        !pc_slice_eq(pc_slice_skip(pattern, pattern.len - REST.len), REST))
        return pattern;
    return pc_slice_first(pattern, pc_slice_find(pattern, '{'));
}

bool pc_pattern_valid(pusherc_slice pattern, pusherc_slice *names, size_t *count)
{
    size_t params = 0;
    if (pattern.len == 0 || pattern.len > PC_PATTERN_MAX)
        return false;
    for (size_t i = 0; i < pattern.len; i++) {
        if (pattern.ptr[i] == '}')
            return false;
        if (pattern.ptr[i] != '{')
            continue;
        size_t from = ++i;
        while (i < pattern.len && name_char(pattern.ptr[i]))
            i++;
        pusherc_slice name = pc_slice(pattern.ptr + from, i - from);
        if (params == 0 && pc_slice_eq(pc_slice_skip(pattern, i), REST))
            i = pattern.len - 1;
        if (name.len == 0 || i == pattern.len || pattern.ptr[i] != '}' ||
            params == PUSHERC_RULE_MAX_PARAMS)
            return false;
        if (names)
            names[params] = name;
        params++;
    }
    if (count)
        *count = params;
    return true;
}

/*
 * A pattern without "{name...}". Matches from the right, and each parameter takes as few characters as possible. Then the parameters further left take
 * as many as possible, which is the result of Laravel's regular expression. A parameter has at least one character, and
 * no '.'.
 *
 * On a mismatch, only the parameter that was begun last takes one character more, and matching resumes to the left of
 * it. Going back to an older parameter would not help: it would only move the same literal further left within its
 * segment, and the newer parameter reaches those places too. So the work is at most the length of the name times the
 * length of the pattern, whatever a client sends.
 */
static bool matches_segments(pusherc_slice p, pusherc_slice s, pusherc_slice *values)
{
    pusherc_slice found[PUSHERC_RULE_MAX_PARAMS];
    size_t depth = 0; /* parameters begun; the last one in the pattern is found[0] */
    size_t resume_at = 0;
    size_t i = p.len, k = s.len;
    while (i > 0 || k > 0) {
        bool param = i > 0 && p.ptr[i - 1] == '}';
        if (param && k > 0 && s.ptr[k - 1] != '.') {
            while (p.ptr[i - 1] != '{')
                i--;
            resume_at = --i;
            found[depth++] = pc_slice(s.ptr + --k, 1);
        } else if (!param && i > 0 && k > 0 && p.ptr[i - 1] == s.ptr[k - 1]) {
            i--;
            k--;
        } else {
            pusherc_slice *last = depth > 0 ? &found[depth - 1] : NULL;
            if (!last || last->ptr == s.ptr || last->ptr[-1] == '.')
                return false;
            last->ptr--;
            last->len++;
            i = resume_at;
            k = (size_t)(last->ptr - s.ptr);
        }
    }
    for (size_t n = 0; values && n < depth; n++)
        values[n] = found[depth - 1 - n];
    return true;
}

bool pc_pattern_matches(pusherc_slice pattern, pusherc_slice subject, pusherc_slice *values)
{
    pusherc_slice front = pc_pattern_front(pattern);
    if (front.len == pattern.len)
        return matches_segments(pattern, subject, values);
    if (subject.len <= front.len || !pc_slice_eq(pc_slice_first(subject, front.len), front))
        return false;
    if (values)
        values[0] = pc_slice_skip(subject, front.len);
    return true;
}

bool pc_patterns_same(pusherc_slice a, pusherc_slice b)
{
    size_t i = 0, k = 0;
    while (i < a.len && k < b.len) {
        if (a.ptr[i] != b.ptr[k])
            return false;
        if (a.ptr[i] == '{') {
            i += pc_slice_find(pc_slice_skip(a, i), '}');
            k += pc_slice_find(pc_slice_skip(b, k), '}');
            if ((a.ptr[i - 1] == '.') != (b.ptr[k - 1] == '.'))
                return false;
        }
        i++;
        k++;
    }
    return i == a.len && k == b.len;
}

/* -- patterns that meet -- */

/* What a pattern takes at a place: one character, or one of a parameter, at whose last brace it may take more. */
struct step {
    bool param, dots;
    char c;
    size_t to; /* the place afterwards */
};

static struct step step_at(pusherc_slice p, size_t i)
{
    if (p.ptr[i] != '{' && p.ptr[i] != '}')
        return (struct step){.c = p.ptr[i], .to = i + 1};
    size_t end = i + pc_slice_find(pc_slice_skip(p, i), '}');
    return (struct step){.param = true, .dots = p.ptr[end - 1] == '.', .to = end};
}

static bool may_be_same(const struct step *a, const struct step *b)
{
    if (a->param && b->param)
        return true;
    if (a->param || b->param)
        return (a->param ? b->c : a->c) != '.' || (a->param ? a->dots : b->dots);
    return a->c == b->c;
}

/*
 * Walks through both patterns at once, over all pairs of places that one name can lead to. Places never go back, so
 * each pair is visited once, in order.
 */
bool pc_patterns_meet(pusherc_slice a, pusherc_slice b)
{
    bool reach[PC_PATTERN_MAX + 1][PC_PATTERN_MAX + 1];
    memset(reach, 0, sizeof reach);
    reach[0][0] = true;
    for (size_t i = 0; i <= a.len; i++)
        for (size_t k = 0; k <= b.len; k++) {
            if (!reach[i][k])
                continue;
            bool a_ends = i < a.len && a.ptr[i] == '}', b_ends = k < b.len && b.ptr[k] == '}';
            if (a_ends)
                reach[i + 1][k] = true;
            if (b_ends)
                reach[i][k + 1] = true;
            if (i == a.len || k == b.len)
                continue;
            struct step from_a = step_at(a, i), from_b = step_at(b, k);
            if (may_be_same(&from_a, &from_b))
                reach[from_a.to][from_b.to] = true;
        }
    return reach[a.len][b.len];
}
