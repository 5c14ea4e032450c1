/* Explains as JSON what decides about a channel: the app's mode, the rules that are tried, the one that covers it. */
#include "why/why.h"

#include "codec/json.h"

static void put_member(struct pc_buf *out, const char *name, pusherc_slice text)
{
    if (out->len > 1 && out->ptr[out->len - 1] != '{')
        pc_buf_put_char(out, ',');
    pc_json_put_string(out, pc_slice_of(name));
    pc_buf_put_char(out, ':');
    pc_json_put_string(out, text);
}

static const char *mode_name(pusherc_auth_mode mode)
{
    switch (mode) {
    case PUSHERC_AUTH_SIGNATURE:
        return "signature";
    case PUSHERC_AUTH_RULES:
        return "rules";
    case PUSHERC_AUTH_EITHER:
        return "either";
    }
    return "unknown";
}

/* The label of the kind of channel that the bit PUSHERC_RULE_* stands for. */
static const char *rule_kind_label(uint32_t bit)
{
    unsigned kind = 0;
    while (pc_rule_kind((pusherc_channel_kind)kind) != bit)
        kind++;
    return pc_kind_label((pusherc_channel_kind)kind);
}

static void put_kinds(struct pc_buf *out, uint32_t kinds)
{
    bool first = true;
    pc_buf_put(out, PC_S(",\"kinds\":["));
    for (uint32_t bit = 1; bit <= kinds; bit <<= 1) {
        if (!(kinds & bit))
            continue;
        if (!first)
            pc_buf_put_char(out, ',');
        first = false;
        pc_json_put_string(out, pc_slice_of(rule_kind_label(bit)));
    }
    pc_buf_put_char(out, ']');
}

static void put_tried(struct pc_buf *out, const struct pc_rule_table *rules,
                      const struct pc_app *app, pusherc_slice subject, uint32_t kind)
{
    bool first = true;
    pc_buf_put(out, PC_S(",\"tried\":["));
    for (size_t i = 0; rules && i < rules->count; i++) {
        const struct pc_rule *rule = rules->rules[i];
        if (rule->app_id.len && !pc_slice_eq(rule->app_id, app->id))
            continue;
        if (!first)
            pc_buf_put_char(out, ',');
        first = false;
        pc_buf_put_char(out, '{');
        put_member(out, "pattern", rule->pattern);
        put_kinds(out, rule->options.kinds);
        bool matches =
            (rule->options.kinds & kind) && pc_pattern_matches(rule->pattern, subject, NULL);
        pc_buf_put(out, matches ? PC_S(",\"matches\":true}") : PC_S(",\"matches\":false}"));
    }
    pc_buf_put_char(out, ']');
}

static void put_outcome(struct pc_buf *out, const struct pc_app *app, pusherc_channel_kind kind,
                        const struct pc_rule *rule, pusherc_slice channel, pusherc_slice user_id)
{
    const char *outcome = "public", *reason = "no rule guards this public name";
    if (kind == PUSHERC_CHANNEL_USER) {
        bool own = pc_slice_eq(pc_user_channel_id(channel), user_id);
        outcome = own ? "public" : "denied";
        reason = own ? "the user's own channel, after signing in" : "another user's channel";
    } else if (!pc_kind_needs_auth(kind)) {
        if (rule) {
            outcome = "ask rule";
            reason = "the rule guards public names";
        }
    } else if (app->options.auth_mode == PUSHERC_AUTH_SIGNATURE) {
        outcome = "signature";
        reason = "the app's mode is signature";
    } else if (!rule && app->options.auth_mode == PUSHERC_AUTH_RULES) {
        outcome = "denied";
        reason = "the app's mode is rules, and no rule covers this name";
    } else if (!rule) {
        outcome = "signature";
        reason = "no rule covers this name";
    } else if (app->options.auth_mode == PUSHERC_AUTH_EITHER) {
        outcome = "signature or rule";
        reason = "a signature if the client sends one, else the rule";
    } else {
        outcome = "ask rule";
        reason = "the app's mode is rules";
    }
    put_member(out, "outcome", pc_slice_of(outcome));
    put_member(out, "reason", pc_slice_of(reason));
}

static void put_params(struct pc_buf *out, const struct pc_rule_match *match)
{
    pc_buf_put(out, PC_S(",\"params\":{"));
    for (size_t i = 0; match->rule && i < match->rule->param_count; i++) {
        if (i)
            pc_buf_put_char(out, ',');
        pc_json_put_string(out, match->rule->param_names[i]);
        pc_buf_put_char(out, ':');
        pc_json_put_string(out, match->values[i]);
    }
    pc_buf_put_char(out, '}');
}

int pc_why_decision(struct pc_buf *out, const struct pc_rule_table *rules, const struct pc_app *app,
                    pusherc_slice channel, pusherc_slice user_id)
{
    struct pc_channel_class class;
    bool valid = pc_channel_name_valid(channel, SIZE_MAX, &class);
    pc_buf_put_char(out, '{');
    put_member(out, "app", app->id);
    put_member(out, "channel", channel);
    if (!valid) {
        put_member(out, "outcome", PC_S("denied"));
        put_member(out, "reason", PC_S("not a valid channel name"));
        pc_buf_put_char(out, '}');
        return 0;
    }
    pusherc_slice subject = pc_rule_subject(channel);
    struct pc_rule_match match = pc_rule_table_find(rules, app->id, channel, class.kind);
    put_member(out, "name", subject);
    put_member(out, "kind", pc_slice_of(pc_kind_label(class.kind)));
    put_member(out, "mode", pc_slice_of(mode_name(app->options.auth_mode)));
    put_member(out, "user_id", user_id);
    put_tried(out, rules, app, subject, pc_rule_kind(class.kind));
    if (match.rule)
        put_member(out, "rule", match.rule->pattern);
    else
        pc_buf_put(out, PC_S(",\"rule\":null"));
    put_params(out, &match);
    put_outcome(out, app, class.kind, match.rule, channel, user_id);
    pc_buf_put_char(out, '}');
    return 0;
}
