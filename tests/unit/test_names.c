/* Names and kinds: protocol section 3, and checks 57 to 59 and 67 of its list. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <pusherc/error.h>

#include "protocol/names.h"

struct name_case {
    const char *name;
    pusherc_channel_kind kind;
    bool cache;
};

static const struct name_case valid_names[] = {
    {"orders", PUSHERC_CHANNEL_PUBLIC, false},
    {"a", PUSHERC_CHANNEL_PUBLIC, false},
    {"-_=@,.;", PUSHERC_CHANNEL_PUBLIC, false},
    {"App.Models.User.7", PUSHERC_CHANNEL_PUBLIC, false},
    {"0123456789", PUSHERC_CHANNEL_PUBLIC, false},
    {"private-x", PUSHERC_CHANNEL_PRIVATE, false},
    {"private-", PUSHERC_CHANNEL_PRIVATE, false},
    {"private-cache-x", PUSHERC_CHANNEL_PRIVATE, true},
    {"private-encrypted-x", PUSHERC_CHANNEL_PRIVATE_ENCRYPTED, false},
    {"private-encrypted-cache-x", PUSHERC_CHANNEL_PRIVATE_ENCRYPTED, true},
    {"private-encrypted-cache", PUSHERC_CHANNEL_PRIVATE_ENCRYPTED, false},
    {"presence-x", PUSHERC_CHANNEL_PRESENCE, false},
    {"presence-cache-x", PUSHERC_CHANNEL_PRESENCE, true},
    {"cache-x", PUSHERC_CHANNEL_PUBLIC, true},
    {"#server-to-user-7", PUSHERC_CHANNEL_USER, false},
    /* traps: the prefix has its dash, stands at the start and is in lower case */
    {"privateer", PUSHERC_CHANNEL_PUBLIC, false},
    {"presences", PUSHERC_CHANNEL_PUBLIC, false},
    {"private", PUSHERC_CHANNEL_PUBLIC, false},
    {"cached-x", PUSHERC_CHANNEL_PUBLIC, false},
    {"xx-private-foo", PUSHERC_CHANNEL_PUBLIC, false},
    {"x-cache-y", PUSHERC_CHANNEL_PUBLIC, false},
    {"Private-x", PUSHERC_CHANNEL_PUBLIC, false},
    {"private-encryptedx", PUSHERC_CHANNEL_PRIVATE, false},
    {"presence-encrypted-x", PUSHERC_CHANNEL_PRESENCE, false},
};

static void names_are_classified_by_their_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof valid_names / sizeof valid_names[0]; i++) {
        const struct name_case *c = &valid_names[i];
        struct pc_channel_class is;
        if (!pc_channel_name_valid(pc_slice_of(c->name), 200, &is))
            fail_msg("%s is refused", c->name);
        if (is.kind != c->kind || is.cache != c->cache)
            fail_msg("%s is taken for kind %d, cache %d", c->name, (int)is.kind, is.cache);
    }
}

/* The order of the rows in PUSHERC_CHANNEL_KIND_MAP matters. */
static void every_prefix_decides_about_its_names(void **state)
{
    char name[100];
    (void)state;
    for (size_t i = 0; i < PC_CHANNEL_PREFIX_COUNT; i++) {
        pusherc_slice prefix = pc_channel_prefixes[i].text;
        snprintf(name, sizeof name, "%.*sx", (int)prefix.len, prefix.ptr);
        if (pc_channel_prefix_of(pc_slice_of(name)) != &pc_channel_prefixes[i])
            fail_msg("%s goes by another prefix", name);
    }
    assert_int_equal(pc_channel_prefixes[PC_CHANNEL_PREFIX_COUNT - 1].text.len, 0);
}

static void every_kind_has_its_place_and_its_label(void **state)
{
    (void)state;
    for (unsigned k = 0; k < PC_KIND_COUNT; k++)
        assert_non_null(pc_kind_label((pusherc_channel_kind)k));
    assert_string_equal(pc_kind_label(PUSHERC_CHANNEL_PRIVATE_ENCRYPTED), "private-encrypted");
    assert_string_equal(pc_kind_label(PUSHERC_CHANNEL_PUBLIC), "public");
}

static void names_outside_the_grammar_are_refused(void **state)
{
    static const char *const names[] = {
        "",
        "a b",
        "a\n",
        "private-x\n",
        "a:b",
        "a/b",
        "a*",
        "caf\xc3\xa9",
        "a#b",
        "#orders",
        "##",
        "#server-to-user-",
        "#server-to-user-a b",
        "#server-to-user-7\n",
        "#server-to-user",
        "#SERVER-TO-USER-7",
        "a\x7f",
        "\x80",
        "a[0]",
        "{a}",
    };
    struct pc_channel_class is;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (pc_channel_name_valid(pc_slice_of(names[i]), 200, &is))
            fail_msg("\"%s\" is accepted", names[i]);
    assert_false(pc_channel_name_valid(pc_slice("a\0b", 3), 200, &is));
    assert_false(pc_channel_name_valid(pc_slice("a\0", 2), 200, &is));
}

/* Against the documented expression, byte by byte. */
static void every_byte_is_judged_as_documented(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        char byte = (char)c;
        bool allowed = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       (c != 0 && strchr("-_=@,.;", c) != NULL);
        struct pc_channel_class is;
        assert_int_equal(pc_channel_name_valid(pc_slice(&byte, 1), 200, &is), allowed);
        assert_int_equal(pc_user_id_valid(pc_slice(&byte, 1)), allowed);
    }
}

static void a_name_may_be_as_long_as_the_limit(void **state)
{
    char name[220];
    struct pc_channel_class is;

    (void)state;
    memset(name, 'x', sizeof name);
    assert_true(pc_channel_name_valid(pc_slice(name, 200), 200, &is));
    assert_false(pc_channel_name_valid(pc_slice(name, 201), 200, &is));
    assert_true(pc_channel_name_valid(pc_slice(name, 164), 164, &is));
    assert_false(pc_channel_name_valid(pc_slice(name, 165), 164, &is));

    assert_true(pc_user_id_valid(pc_slice(name, 200)));
    assert_false(pc_user_id_valid(pc_slice(name, 201)));
    assert_false(pc_user_id_valid(pc_slice(NULL, 0)));

    /* a user channel is as long as its id needs */
    memcpy(name, "#server-to-user-", 16);
    assert_true(pc_channel_name_valid(pc_slice(name, 216), 200, &is));
    assert_true(pc_channel_name_valid(pc_slice(name, 216), 20, &is));
    assert_false(pc_channel_name_valid(pc_slice(name, 217), 200, &is));
}

static void the_kind_of_a_bad_name_is_still_told(void **state)
{
    struct pc_channel_class is;

    (void)state;
    assert_false(pc_channel_name_valid(PC_S("presence-cache-a b"), 200, &is));
    assert_int_equal(is.kind, PUSHERC_CHANNEL_PRESENCE);
    assert_true(is.cache);
}

static void user_channels_give_their_id(void **state)
{
    (void)state;
    assert_true(pc_slice_eq(pc_user_channel_id(PC_S("#server-to-user-a@b.c")), PC_S("a@b.c")));
    assert_int_equal(pc_user_channel_id(PC_S("#server-to-user-")).len, 0);
    assert_int_equal(pc_user_channel_id(PC_S("#server-to-user-a b")).len, 0);
    assert_int_equal(pc_user_channel_id(PC_S("private-server-to-user-7")).len, 0);
    assert_int_equal(pc_user_channel_id(pc_slice(NULL, 0)).len, 0);
}

static void private_encrypted_and_presence_need_a_signature(void **state)
{
    (void)state;
    assert_false(pc_kind_needs_auth(PUSHERC_CHANNEL_PUBLIC));
    assert_true(pc_kind_needs_auth(PUSHERC_CHANNEL_PRIVATE));
    assert_true(pc_kind_needs_auth(PUSHERC_CHANNEL_PRIVATE_ENCRYPTED));
    assert_true(pc_kind_needs_auth(PUSHERC_CHANNEL_PRESENCE));
    assert_false(pc_kind_needs_auth(PUSHERC_CHANNEL_USER));
}

static void event_prefixes_are_anchored(void **state)
{
    (void)state;
    assert_true(pc_event_is_client(PC_S("client-typing")));
    assert_true(pc_event_is_client(PC_S("client-")));
    assert_false(pc_event_is_client(PC_S("client")));
    assert_false(pc_event_is_client(PC_S("xclient-a")));
    assert_true(pc_event_is_reserved(PC_S("pusher:ping")));
    assert_true(pc_event_is_reserved(PC_S("pusher_internal:x")));
    assert_true(pc_event_is_reserved(PC_S("pusher:")));
    assert_false(pc_event_is_reserved(PC_S("pusher")));
    assert_false(pc_event_is_reserved(PC_S("pusher.a")));
    assert_false(pc_event_is_reserved(PC_S("my-pusher:a")));
    assert_false(pc_event_is_reserved(pc_slice(NULL, 0)));
}

static void classify_checks_its_arguments(void **state)
{
    pusherc_channel_kind kind = PUSHERC_CHANNEL_USER;
    bool cache = true;

    (void)state;
    assert_int_equal(pusherc_channel_classify(PC_S("a b"), &kind, &cache), PUSHERC_EINVAL);
    assert_int_equal(pusherc_channel_classify(pc_slice(NULL, 0), &kind, &cache), PUSHERC_EINVAL);
    assert_int_equal(pusherc_channel_classify(pc_slice(NULL, 3), &kind, &cache), PUSHERC_EINVAL);
    assert_int_equal(pusherc_channel_classify(PC_S("a"), NULL, &cache), PUSHERC_EINVAL);
    assert_int_equal(kind, PUSHERC_CHANNEL_USER);
    assert_true(cache);
    assert_int_equal(pusherc_channel_classify(PC_S("presence-x"), &kind, &cache), 0);
    assert_int_equal(kind, PUSHERC_CHANNEL_PRESENCE);
    assert_false(cache);
    assert_int_equal(pusherc_channel_classify(PC_S("cache-x"), &kind, NULL), 0);
    assert_int_equal(kind, PUSHERC_CHANNEL_PUBLIC);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_classified_by_their_prefix),
        cmocka_unit_test(every_prefix_decides_about_its_names),
        cmocka_unit_test(every_kind_has_its_place_and_its_label),
        cmocka_unit_test(names_outside_the_grammar_are_refused),
        cmocka_unit_test(every_byte_is_judged_as_documented),
        cmocka_unit_test(a_name_may_be_as_long_as_the_limit),
        cmocka_unit_test(the_kind_of_a_bad_name_is_still_told),
        cmocka_unit_test(user_channels_give_their_id),
        cmocka_unit_test(private_encrypted_and_presence_need_a_signature),
        cmocka_unit_test(event_prefixes_are_anchored),
        cmocka_unit_test(classify_checks_its_arguments),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
