/* Log lines and error texts. */
#include "base/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/slice.h"

enum {
    THREADS = 4,
    LINES = 2000
};

struct seen {
    pthread_mutex_t mutex;
    unsigned lines;
    char message[1024];
    pusherc_log_entry last;
};

static void see(const pusherc_log_entry *entry, void *user_data)
{
    struct seen *seen = user_data;
    (void)pthread_mutex_lock(&seen->mutex);
    seen->lines++;
    seen->last = *entry;
    assert_true(entry->message.len < sizeof seen->message);
    memcpy(seen->message, entry->message.ptr, entry->message.len);
    seen->message[entry->message.len] = '\0';
    (void)pthread_mutex_unlock(&seen->mutex);
}

static const struct pc_log_about about = {
    .subject = "net",
    .app_id = {"app-1", 5},
    .socket_id = {12, 34},
};

struct fixture {
    struct pc_log log;
    struct seen seen;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    if (!f)
        return -1;
    (void)pthread_mutex_init(&f->seen.mutex, NULL);
    pc_log_init(&f->log, see, &f->seen, PUSHERC_LOG_DEBUG);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    pc_log_free(&f->log);
    (void)pthread_mutex_destroy(&f->seen.mutex);
    free(f);
    return 0;
}

static void a_line_says_what_it_is_about(void **state)
{
    struct fixture *f = *state;
    PC_LOG(&f->log, WARN, about, "accept failed: %s (%d)", "too many files", 24);
    assert_int_equal(f->seen.lines, 1);
    assert_string_equal(f->seen.message, "accept failed: too many files (24)");
    assert_int_equal(f->seen.last.level, PUSHERC_LOG_WARN);
    assert_int_equal(f->seen.last.struct_size, sizeof(pusherc_log_entry));
    assert_string_equal(f->seen.last.subject, "net");
    assert_non_null(strstr(f->seen.last.file, "test_log.c"));
    assert_true(pc_slice_eq(f->seen.last.app_id, PC_S("app-1")));
    assert_true(f->seen.last.socket_id.a == 12 && f->seen.last.socket_id.b == 34);
}

static int side_effect(int *count)
{
    return ++*count;
}

static void lines_below_the_level_are_not_formatted(void **state)
{
    struct fixture *f = *state;
    int made = 0;
    PC_LOG(&f->log, TRACE, about, "%d", side_effect(&made));
    assert_int_equal(f->seen.lines, 0);
    assert_int_equal(made, 0);
    pc_log_free(&f->log);
    pc_log_init(&f->log, NULL, NULL, PUSHERC_LOG_TRACE);
    PC_LOG(&f->log, ERROR, about, "%d", side_effect(&made));
    assert_int_equal(made, 0);
}

static void write_many(struct fixture *f, unsigned lines)
{
    for (unsigned i = 0; i < lines; i++)
        PC_LOG(&f->log, INFO, about, "line %u", i);
}

/* As if the second in which it wrote were over. */
static void age_sites(struct fixture *f)
{
    for (size_t i = 0; i < PC_LOG_SITES; i++)
        f->log.sites[i].second -= f->log.sites[i].second > 0;
}

static void a_call_site_that_repeats_is_cut_and_the_next_line_says_so(void **state)
{
    struct fixture *f = *state;
    struct timespec before, after;
    do { /* until all of it falls into one second of the clock */
        pc_log_free(&f->log);
        pc_log_init(&f->log, see, &f->seen, PUSHERC_LOG_DEBUG);
        f->seen.lines = 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        write_many(f, PC_LOG_BURST + 7);
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
    } while (before.tv_sec != after.tv_sec);
    assert_int_equal(f->seen.lines, PC_LOG_BURST);
    PC_LOG(&f->log, INFO, about, "another place");
    assert_int_equal(f->seen.lines, PC_LOG_BURST + 1);

    age_sites(f);
    write_many(f, 1);
    assert_string_equal(f->seen.message, "(7 like this left out) line 0");
    age_sites(f);
    write_many(f, 1);
    assert_string_equal(f->seen.message, "line 0");
}

static void more_call_sites_than_entries_still_write(void **state)
{
    struct fixture *f = *state;
    for (int line = 1; line <= 3 * PC_LOG_SITES; line++)
        pc_log_write(&f->log, PUSHERC_LOG_INFO, about, "file.c", line, "x");
    assert_int_equal(f->seen.lines, 3 * PC_LOG_SITES);
}

static void what_strangers_cause_is_said_once_of_each_topic_in_ten_seconds(void **state)
{
    struct fixture *f = *state;
    struct pc_log_about topics[] = {{.subject = "ws", .topic = 1}, {.subject = "ws", .topic = 2}};
    f->log.level = PUSHERC_LOG_INFO;
    for (int i = 0; i < 10; i++) {
        PC_LOG(&f->log, INFO, topics[i % 2], "line %d", i);
        age_sites(f);
    }
    assert_int_equal(f->seen.lines, 2);
    assert_string_equal(f->seen.message, "line 1");
    for (int i = 0; i < PC_LOG_RARE_S; i++)
        age_sites(f);
    for (int i = 0; i < 2; i++)
        PC_LOG(&f->log, INFO, topics[0], "again"); /* another place */
    assert_int_equal(f->seen.lines, 3);
    f->log.level = PUSHERC_LOG_DEBUG; /* who asks for it sees each */
    for (int i = 0; i < 5; i++)
        PC_LOG(&f->log, INFO, topics[0], "more");
    assert_int_equal(f->seen.lines, 8);
}

static void a_peer_cannot_forge_lines(void **state)
{
    struct fixture *f = *state;
    PC_LOG(&f->log, INFO, about, "name %s", "a\nb\r\x1b[1m\x7f\tz");
    assert_string_equal(f->seen.message, "name a?b??[1m??z");
    PC_LOG(&f->log, INFO, about, "name %s", "Zo\xc3\xab");
    assert_string_equal(f->seen.message, "name Zo\xc3\xab");
    PC_LOG(&f->log, INFO, about, "name %s", "Zo\xeb \xc3\xab");
    assert_string_equal(f->seen.message, "name Zo? ??");
}

/* What pusherc_log_to_stderr(), or another function, writes for `entry`. */
static void capture(pusherc_log_fn log, const pusherc_log_entry *entry, char *out, size_t size)
{
    FILE *file = tmpfile();
    int saved = dup(2);
    assert_non_null(file);
    assert_true(saved >= 0);
    assert_true(dup2(fileno(file), 2) >= 0);
    log(entry, NULL);
    (void)fflush(stderr);
    assert_true(dup2(saved, 2) >= 0);
    (void)close(saved);
    rewind(file);
    size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    (void)fclose(file);
}

static void no_control_character_reaches_a_terminal(void **state)
{
    struct fixture *f = *state;
    pusherc_errinfo info;
    /* CSI and NEL of C1, marks and overrides of direction, separators of lines; but no letter */
    static const char bad[] =
        "a\xc2\x9b\xc2\x85\xd8\x9c\xe2\x80\x8f\xe2\x80\xae\xe2\x80\xa8\xe2\x81\xa6z\xc2\xa0"
        "\xd8\x9b\xe2\x80\xa6\xf0\x9f\x98\x80";
    static const char good[] = "a???????z\xc2\xa0\xd8\x9b\xe2\x80\xa6\xf0\x9f\x98\x80";
    PC_LOG(&f->log, INFO, about, "%s", bad);
    assert_string_equal(f->seen.message, good);
    pc_errinfo(&info, PUSHERC_EINVAL, 0, "%s", bad);
    assert_string_equal(info.text, good);
    pusherc_log_entry entry = {.struct_size = sizeof entry,
                               .level = PUSHERC_LOG_INFO,
                               .subject = "net",
                               .app_id = pc_slice_of(bad),
                               .message = PC_S("m")};
    char out[512];
    capture(pusherc_log_to_stderr, &entry, out, sizeof out);
    assert_non_null(strstr(out, good));
}

static void a_line_as_json_is_one_object_whatever_is_in_it(void **state)
{
    char message[600], out[8192];
    pusherc_log_entry entry = {.struct_size = sizeof entry,
                               .level = PUSHERC_LOG_WARN,
                               .subject = "net",
                               .app_id = PC_S("a\"\\\x01\xff"),
                               .socket_id = {1, 2},
                               .message = PC_S("Zo\xc3\xab said \"no\"")};
    (void)state;
    capture(pusherc_log_json_to_stderr, &entry, out, sizeof out);
    assert_int_equal(out[0], '{');
    assert_non_null(strstr(out,
                           "Z\",\"level\":\"warn\",\"subject\":\"net\",\"app\":\"a\\\"\\\\??\","
                           "\"socket_id\":\"1.2\",\"message\":\"Zo\xc3\xab said \\\"no\\\"\"}\n"));
    memset(message, 1, sizeof message); /* a host may hand over anything */
    entry.app_id = entry.message = pc_slice(message, sizeof message);
    entry.socket_id = (pusherc_socket_id){0, 0};
    capture(pusherc_log_json_to_stderr, &entry, out, sizeof out);
    size_t len = strlen(out);
    assert_true(len > 700);
    assert_null(strchr(out, 1));
    assert_string_equal(out + len - 3, "\"}\n");
    assert_null(strstr(out, "socket_id"));
}

static void a_long_line_is_cut_between_characters(void **state)
{
    struct fixture *f = *state;
    char text[2000];
    for (size_t shift = 0; shift < 3; shift++) {
        memset(text, 'x', shift);
        for (size_t i = shift; i + 3 < sizeof text; i += 3)
            memcpy(text + i, "\xe2\x82\xac", 4);
        PC_LOG(&f->log, INFO, about, "%s", text);
        size_t len = strlen(f->seen.message);
        assert_true(len > 400);
        assert_true(pc_utf8_valid(pc_slice(f->seen.message, len)));
        assert_memory_equal(f->seen.message, text, len);
    }
}

static void *write_in_thread(void *arg)
{
    write_many(arg, LINES);
    return NULL;
}

static void threads_may_write_at_the_same_time(void **state)
{
    struct fixture *f = *state;
    pthread_t threads[THREADS];
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_in_thread, f), 0);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_true(f->seen.lines >= PC_LOG_BURST);
    assert_true(f->seen.lines < THREADS * LINES);
}

static void stderr_gets_one_line_with_time_level_and_subject(void **state)
{
    (void)state;
    char text[2048];
    unsigned year, month, day, hour, minute, second, ms;
    int end = 0;
    pusherc_log_entry entry = {
        .struct_size = sizeof entry,
        .level = PUSHERC_LOG_WARN,
        .subject = "auth",
        .message = PC_S("no such rule"),
        .app_id = PC_S("app-1"),
        .socket_id = {12, 34},
    };
    capture(pusherc_log_to_stderr, &entry, text, sizeof text);
    assert_int_equal(sscanf(text, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ %n", &year, &month, &day, &hour,
                            &minute, &second, &ms, &end),
                     7);
    assert_string_equal(text + end, "warn  auth app=app-1 socket=12.34: no such rule\n");

    entry = (pusherc_log_entry){.level = PUSHERC_LOG_ERROR, .subject = "server"};
    capture(pusherc_log_to_stderr, &entry, text, sizeof text);
    assert_string_equal(text + end, "error server: \n");
}

static void error_texts_are_cut_to_fit_and_need_no_receiver(void **state)
{
    (void)state;
    pusherc_errinfo info;
    char text[500];
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    assert_int_equal(pc_errinfo(NULL, PUSHERC_EIO, -98, "%s", text), PUSHERC_EIO);
    assert_int_equal(pc_errinfo(&info, PUSHERC_EIO, -98, "address in use: %s", "[::]:80"),
                     PUSHERC_EIO);
    assert_int_equal(info.code, PUSHERC_EIO);
    assert_int_equal(info.sys, -98);
    assert_string_equal(info.text, "address in use: [::]:80");
    assert_int_equal(pc_errinfo(&info, PUSHERC_EINVAL, 0, "%s", text), PUSHERC_EINVAL);
    assert_int_equal(strlen(info.text), sizeof info.text - 1);
}

static void warn_about(struct fixture *f, const char *app_id)
{
    struct pc_log_about one = {.subject = "net", .app_id = pc_slice_of(app_id)};
    PC_LOG(&f->log, WARN, one, "x");
}

static void an_app_that_floods_the_log_leaves_lines_for_others(void **state)
{
    struct fixture *f = *state;
    static const char *const ids[] = {"honest-1", "honest-2", "honest-3"};
    struct timespec before, after;
    do { /* until all of it falls into one second of the clock */
        pc_log_free(&f->log);
        pc_log_init(&f->log, see, &f->seen, PUSHERC_LOG_DEBUG);
        f->seen.lines = 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &before);
        for (int i = 0; i < 10 * PC_LOG_BURST; i++)
            warn_about(f, "attacker");
        for (size_t i = 0; i < 3; i++)
            warn_about(f, ids[i]);
        (void)clock_gettime(CLOCK_MONOTONIC, &after);
    } while (before.tv_sec != after.tv_sec);
    assert_int_equal(f->seen.lines, PC_LOG_BURST + 3);
    assert_memory_equal(f->seen.last.app_id.ptr, ids[2], 8);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_line_says_what_it_is_about),
        TEST(lines_below_the_level_are_not_formatted),
        TEST(a_call_site_that_repeats_is_cut_and_the_next_line_says_so),
        TEST(more_call_sites_than_entries_still_write),
        TEST(what_strangers_cause_is_said_once_of_each_topic_in_ten_seconds),
        TEST(a_peer_cannot_forge_lines),
        TEST(no_control_character_reaches_a_terminal),
        TEST(a_line_as_json_is_one_object_whatever_is_in_it),
        TEST(a_long_line_is_cut_between_characters),
        TEST(threads_may_write_at_the_same_time),
        {"A6: an app that floods the log leaves lines for others",
         an_app_that_floods_the_log_leaves_lines_for_others, setup, teardown, NULL},
        cmocka_unit_test(stderr_gets_one_line_with_time_level_and_subject),
        cmocka_unit_test(error_texts_are_cut_to_fit_and_need_no_receiver),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
