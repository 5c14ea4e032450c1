/*
 * pusherc::inbox: what a server asks and reports comes as a message of its type, on the thread that takes it. A question
 * that is not moved out of its message is refused, and what a function throws loses no other message.
 */
#include <atomic>
#include <optional>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <variant>
#include <vector>

#include "unit/cpp_host.hpp"

using namespace std::chrono_literals;

static_assert(std::is_nothrow_move_constructible_v<pusherc::message> &&
              !std::is_copy_constructible_v<pusherc::message>);
static_assert(std::is_nothrow_move_assignable_v<pusherc::inbox> &&
              !std::is_copy_constructible_v<pusherc::inbox>);
static_assert(pusherc::message_bits(PUSHERC_MESSAGE_HTTP, PUSHERC_MESSAGE_LOG) ==
              (1u << PUSHERC_MESSAGE_HTTP | 1u << PUSHERC_MESSAGE_LOG));

namespace
{

template <class... Types> pusherc_server_options with(const pusherc::inbox &inbox, Types... types)
{
    pusherc_server_options options{};
    options.inbox = inbox.get();
    options.inbox_messages = pusherc::message_bits(types...);
    return options;
}

/* The next message whose content is a T; others are destroyed. */
template <class T> T next(pusherc::inbox &inbox)
{
    std::optional<T> found;
    while (!found) {
        const auto keep = [&](pusherc::message m) {
            if (auto *content = std::get_if<T>(&m.what); content && !found)
                found.emplace(std::move(*content));
        };
        assert_true(inbox.take(keep, 10s) > 0);
    }
    return std::move(*found);
}

bool is_readable(int fd)
{
    pollfd watched{fd, POLLIN, 0};
    return ::poll(&watched, 1, 0) == 1;
}

/* -- questions -- */

void each_question_is_a_message_of_its_type(void **)
{
    pusherc::inbox inbox;
    int tag = 0;
    pusherc::server server = make(
        {}, with(inbox, PUSHERC_MESSAGE_IDENTIFY, PUSHERC_MESSAGE_HTTP, PUSHERC_MESSAGE_FIND_APP));
    pusherc_rule rule{};
    rule.pattern = "tickets.{id}", rule.user_data = &tag;
    server.rule_inbox(rule);
    server.start();

    int fd = ws_client_dial(server.port());
    ws_client_send(fd, ws_client_upgrade);
    auto who = next<pusherc::identify_request>(inbox);
    assert_true(who.path() == "/app/app-key" && who.number() != 0);
    succeeds(who.accept("anna"));
    assert_int_equal(who.number(), 0); // NOLINT: that is the test
    assert_true(ws_client_hears(fd, "connection_established"));

    subscribe(fd, "private-tickets.42");
    const auto decide = [&](pusherc::message m) {
        assert_true(m.server == server.get() && m.user_data == &tag);
        auto &q = std::get<pusherc::auth_request>(m.what);
        assert_true(q.user_id() == "anna" && q.param("id") == "42");
        succeeds(q.allow());
    };
    assert_int_equal(inbox.take(decide, 10s), 1);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
    close(fd);

    fd = ws_client_dial(server.port());
    ws_client_send(fd, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    auto page = next<pusherc::http_request>(inbox);
    succeeds(page.respond(200, page.path(), "text/plain"));
    assert_true(ws_client_hears(fd, "\r\n\r\n/page"));
    ws_client_send(fd, "GET /apps/unknown/channels HTTP/1.1\r\nHost: x\r\n\r\n");
    auto app = next<pusherc::app_request>(inbox);
    assert_true(app.id() == "unknown");
    succeeds(app.unknown());
    assert_true(ws_client_hears(fd, "HTTP/1.1 4"));
    close(fd);
}

void a_question_that_stays_in_its_message_is_refused(void **)
{
    pusherc::inbox inbox;
    pusherc::server server = make({}, with(inbox, PUSHERC_MESSAGE_HTTP, PUSHERC_MESSAGE_IDENTIFY));
    server.rule_inbox("room");
    server.start();
    const auto forget = [](const pusherc::message &) {};

    int fd = ws_client_dial(server.port());
    ws_client_send(fd, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_int_equal(inbox.take(forget, 10s), 1);
    assert_true(ws_client_hears(fd, " 503 "));
    close(fd);
    fd = ws_client_dial(server.port());
    ws_client_send(fd, ws_client_upgrade);
    assert_int_equal(inbox.take(forget, 10s), 1);
    assert_true(ws_client_hears(fd, "\x10\x04Internal error")); /* 4100 */
    close(fd);
    fd = ws_client_dial(server.port());
    ws_client_send(fd, ws_client_upgrade);
    succeeds(next<pusherc::identify_request>(inbox).accept());
    assert_true(ws_client_hears(fd, "connection_established"));
    subscribe(fd, "private-room");
    assert_int_equal(inbox.take(forget, 10s), 1);
    assert_true(ws_client_hears(fd, "Internal error"));
    close(fd);
}

void a_question_may_outlive_its_inbox_and_its_server(void **)
{
    pusherc::auth_request answered, late;
    {
        pusherc::inbox inbox;
        pusherc::server server = make({}, with(inbox));
        server.rule_inbox("room.{n}");
        server.start();
        int fd = establish(server);
        subscribe(fd, "private-room.1");
        answered = next<pusherc::auth_request>(inbox);
        subscribe(fd, "private-room.2");
        late = next<pusherc::auth_request>(inbox);
        inbox = pusherc::inbox(); /* frees the one before */
        std::thread([&] { succeeds(answered.allow()); }).join();
        assert_true(ws_client_hears(fd, "subscription_succeeded"));
        subscribe(fd, "private-room.3"); /* there is no inbox */
        assert_true(ws_client_hears(fd, "subscription_error"));
        close(fd);
    }
    assert_true(late.channel() == "private-room.2");
    assert_true(late.allow() == PUSHERC_ECANCELED);
}

void an_abandoned_question_is_named(void **)
{
    pusherc::inbox inbox;
    pusherc::server server = make({}, with(inbox, PUSHERC_MESSAGE_ABANDONED));
    server.rule_inbox("room");
    server.start();
    int fd = establish(server);
    subscribe(fd, "private-room");
    auto question = next<pusherc::auth_request>(inbox);
    const auto number = question.number();
    close(fd);
    assert_true(next<pusherc::message::abandoned>(inbox).number == number && number != 0);
    assert_true(question.deny() == PUSHERC_ECANCELED);
}

void a_call_names_its_abandoned_questions_too(void **)
{
    std::atomic<std::uint64_t> asked{0}, abandoned{0};
    pusherc::auth_request kept;
    pusherc::hooks hooks;
    hooks.on_abandoned = [&](std::uint64_t question) { abandoned = question; };
    pusherc::server server = make(std::move(hooks));
    server.rule("room", [&](pusherc::auth_request q) {
        kept = std::move(q);
        asked = kept.number();
    });
    server.start();
    int fd = establish(server);
    subscribe(fd, "private-room");
    while (!asked)
        std::this_thread::sleep_for(1ms);
    close(fd);
    while (!abandoned)
        std::this_thread::sleep_for(1ms);
    assert_true(abandoned == asked);
}

/* -- taking -- */

void what_is_thrown_loses_no_other_message(void **)
{
    pusherc::inbox inbox;
    pusherc::server server = make({}, with(inbox));
    server.rule_inbox("{name}");
    server.start();
    int fd = establish(server);
    std::vector<std::string> names;
    const auto gather = [&](pusherc::message m) {
        auto &q = std::get<pusherc::auth_request>(m.what);
        names.emplace_back(q.channel());
        if (names.size() <= 2)
            throw std::runtime_error(names.size() == 1 ? "first" : "second");
        q.allow();
    };
    for (const char *name : {"private-a", "private-b", "private-c"})
        subscribe(fd, name);
    std::string thrown;
    while (server.stats().inbox_depth < 3)
        std::this_thread::sleep_for(1ms);
    try {
        inbox.take(gather);
        fail();
    } catch (const std::runtime_error &e) {
        thrown = e.what();
    }
    assert_string_equal(thrown.c_str(), "first");
    assert_int_equal(names.size(), 3);
    const std::string all = heard(fd, "subscription_succeeded");
    assert_true(all.find("Internal error") != all.rfind("Internal error"));
    close(fd);
}

void the_descriptor_says_whether_a_message_waits(void **)
{
    pusherc::inbox inbox;
    pusherc::server server = make({}, with(inbox));
    server.rule_inbox("room.{n}");
    server.start();
    assert_false(is_readable(inbox.fd()));
    int fd = establish(server);
    for (int i = 0; i < 70; i++) /* more than one call takes */
        subscribe(fd, "private-room." + std::to_string(i));
    while (server.stats().inbox_depth < 70)
        std::this_thread::sleep_for(1ms);
    const auto answer = [](pusherc::message m) { std::get<pusherc::auth_request>(m.what).allow(); };
    assert_int_equal(inbox.take(answer), 64);
    assert_true(is_readable(inbox.fd()));
    assert_int_equal(inbox.take(answer, pusherc::forever), 6);
    assert_false(is_readable(inbox.fd()));
    assert_int_equal(inbox.take(answer, 1ms), 0);
    close(fd);
}

void an_inbox_that_was_moved_away_from_is_empty(void **)
{
    pusherc::inbox inbox;
    pusherc::inbox moved = std::move(inbox);
    assert_null(inbox.get()); // NOLINT: that is the test
    assert_int_equal(inbox.fd(), -1);
    assert_int_equal(inbox.take([](const pusherc::message &) {}, pusherc::forever), 0);
    assert_true(moved.fd() >= 0);
    pusherc_allocator none{};
    pusherc_inbox_options options{};
    options.allocator = &none;
    try {
        pusherc::inbox refused(options);
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_EINVAL);
    }
}

/* -- rules and reports -- */

void rules_with_messages_may_render(void **)
{
    pusherc::inbox inbox;
    pusherc::server server = make({}, with(inbox));
    pusherc_rule rule{};
    rule.pattern = "page";
    const auto hide = [](pusherc::render &r) { return r.replaced("hidden"); };
    rule.user_data = &rule;
    try { /* the place is taken */
        server.rule_inbox(rule, hide);
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_EINVAL);
    }
    server.rule_inbox("page", hide);
    server.start();
    int fd = establish(server);
    subscribe(fd, "private-page");
    pusherc_grant grant{};
    grant.view = pusherc::slice("visitors");
    succeeds(next<pusherc::auth_request>(inbox).allow(grant));
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
    succeeds(server.publish("app-id", "private-page", "told", "secret"));
    assert_true(heard(fd, "hidden").find("secret") == std::string::npos);
    close(fd);
}

/* The reports of a client that comes, says something, is refused something, and goes. */
void reports_say_what_hooks_are_told(void **)
{
    std::string story;
    pusherc::inbox inbox;
    pusherc::server server =
        make({}, with(inbox, PUSHERC_MESSAGE_OPEN, PUSHERC_MESSAGE_CLOSE, PUSHERC_MESSAGE_CHANNEL,
                      PUSHERC_MESSAGE_CLIENT_EVENT, PUSHERC_MESSAGE_DENIED, PUSHERC_MESSAGE_STOPPED,
                      PUSHERC_MESSAGE_REAUTHORIZED));
    server.rule("room", allow);
    server.rule("closed", [](pusherc::auth_request q) { q.deny(404, "Locked"); });
    server.start();
    int fd = establish(server);
    subscribed(fd, "private-room");
    ws_client_say(fd, "{\"event\":\"client-hi\",\"channel\":\"private-room\",\"data\":\"you\"}");
    subscribe(fd, "private-closed");
    assert_true(ws_client_hears(fd, "Locked"));
    succeeds(server.reauthorize("app-id"));
    assert_true(next<pusherc::message::reauthorized>(inbox).kept == 1);
    close(fd);

    bool ended = false;
    const auto tell = pusherc::overloaded{
        [&](pusherc::message::closed &m) {
            assert_true(m.client_ip() == "127.0.0.1" && m.close_code() == 1006);
            story += "closed;";
            succeeds(server.stop());
        },
        [&](pusherc::message::channel_event &m) {
            assert_true(m.channel() == "private-room" && m.sequence() != 0);
            if (m.type() == PUSHERC_CHANNEL_VACATED)
                story += "vacated;";
        },
        [&](pusherc::message::stopped) { ended = true; },
        [](auto &) {},
    };
    while (!ended)
        assert_true(inbox.take([&](pusherc::message m) { std::visit(tell, m.what); }, 10s) > 0);
    assert_string_equal(story.c_str(), "vacated;closed;");
}

void reports_that_are_muted_do_not_come(void **)
{
    pusherc::inbox inbox;
    pusherc::server server =
        make({}, with(inbox, PUSHERC_MESSAGE_OPEN, PUSHERC_MESSAGE_CHANNEL, PUSHERC_MESSAGE_CLOSE));
    server.start();
    assert_true(server.mute(pusherc::message_bits(PUSHERC_MESSAGE_AUTHORIZE)) == PUSHERC_EINVAL);
    succeeds(server.mute(pusherc::message_bits(PUSHERC_MESSAGE_CHANNEL)));
    int fd = establish(server);
    (void)next<pusherc::message::opened>(inbox);
    subscribed(fd, "quiet");
    succeeds(server.mute(0));
    subscribed(fd, "loud");
    assert_true(next<pusherc::message::channel_event>(inbox).channel() == "loud");
    close(fd);
    pusherc::server other;
    assert_true(other.mute(0) == PUSHERC_ESTATE); /* it has no inbox */
    other = std::move(server);
    assert_true(server.mute(0) == PUSHERC_EINVAL); // NOLINT: moved away from
}

void reports_have_their_texts(void **)
{
    std::string story;
    pusherc::inbox inbox;
    pusherc::server server =
        make({}, with(inbox, PUSHERC_MESSAGE_OPEN, PUSHERC_MESSAGE_SIGNIN, PUSHERC_MESSAGE_DENIED,
                      PUSHERC_MESSAGE_CLIENT_EVENT, PUSHERC_MESSAGE_LOG));
    server.rule("room", allow);
    server.rule("closed", [](pusherc::auth_request q) { q.deny(404, "Locked"); });
    server.start();
    int fd = establish(server);
    subscribed(fd, "private-room");
    ws_client_say(fd, "{\"event\":\"client-hi\",\"channel\":\"private-room\",\"data\":\"you\"}");
    subscribe(fd, "private-closed");
    assert_true(ws_client_hears(fd, "Locked"));
    const auto tell = pusherc::overloaded{
        [&](pusherc::message::opened &m) {
            assert_true(m.app_id() == "app-id" && m.user_id().empty() && m.socket_id().a != 0);
            story += "opened " + std::string(m.client_ip()) + ";";
        },
        [&](pusherc::message::client_event &m) {
            story += std::string(m.name()) + " " + std::string(m.data()) + ";";
        },
        [&](pusherc::message::denied &m) {
            assert_true(m.reason() == PUSHERC_DENIED_BY_RULE && m.channel() == "private-closed");
            story += std::string(m.pattern()) + " " + std::to_string(m.status()) + " " +
                     std::string(m.detail()) + ";";
        },
        [](pusherc::message::log_line &m) { assert_true(!m.subject().empty()); },
        [](auto &) { fail(); },
    };
    while (story.find("404") == std::string::npos)
        assert_true(inbox.take([&](pusherc::message m) { std::visit(tell, m.what); }, 10s) > 0);
    assert_string_equal(story.c_str(), "opened 127.0.0.1;client-hi you;closed 404 Locked;");
    close(fd);
}

void receipts_the_ends_of_states_and_whose_a_change_is(void **)
{
    pusherc::inbox inbox;
    pusherc::hooks hooks;
    hooks.identify = [](pusherc::identify_request who) { who.accept("anna"); };
    pusherc::server server =
        make(std::move(hooks), with(inbox, PUSHERC_MESSAGE_RECEIPT, PUSHERC_MESSAGE_EPHEMERAL_END,
                                    PUSHERC_MESSAGE_CHANNEL));
    pusherc_app_options app{};
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.client_events = true;
    app.receipts = "private-chat event=message id=/id";
    app.ephemeral = "private-chat event=client-typing ttl_ms=100";
    server.put_app(app);
    server.rule("chat", allow);
    server.start();
    int fd = establish(server);
    subscribed(fd, "private-chat");
    assert_true(next<pusherc::message::channel_event>(inbox).scope() == PUSHERC_SCOPE_PROCESS);
    succeeds(server.publish("app-id", "private-chat", "message", "{\"id\":42}"));
    const auto receipt = next<pusherc::message::receipt>(inbox);
    assert_true(receipt.kind() == PUSHERC_RECEIPT_WRITTEN && receipt.user_id() == "anna");
    assert_true(receipt.channel() == "private-chat" && receipt.at_ms() > 0);
    assert_true(receipt.name() == "message" && receipt.id() == "42");
    ws_client_say(fd, "{\"event\":\"client-typing\",\"channel\":\"private-chat\",\"data\":{}}");
    const auto ended = next<pusherc::message::ephemeral_end>(inbox);
    assert_true(ended.reason() == PUSHERC_EPHEMERAL_TIME && ended.name() == "client-typing");
    assert_true(ended.channel() == "private-chat" && ended.data() == "{}");
    close(fd);

    pusherc_message raw{};
    raw.name = {"cluster", 7}; /* as a server with a link puts it */
    assert_true(pusherc::message::channel_event(raw).scope() == PUSHERC_SCOPE_CLUSTER);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_question_is_a_message_of_its_type),
        cmocka_unit_test(a_question_that_stays_in_its_message_is_refused),
        cmocka_unit_test(a_question_may_outlive_its_inbox_and_its_server),
        cmocka_unit_test(an_abandoned_question_is_named),
        cmocka_unit_test(a_call_names_its_abandoned_questions_too),
        cmocka_unit_test(what_is_thrown_loses_no_other_message),
        cmocka_unit_test(the_descriptor_says_whether_a_message_waits),
        cmocka_unit_test(an_inbox_that_was_moved_away_from_is_empty),
        cmocka_unit_test(rules_with_messages_may_render),
        cmocka_unit_test(reports_say_what_hooks_are_told),
        cmocka_unit_test(reports_that_are_muted_do_not_come),
        cmocka_unit_test(reports_have_their_texts),
        cmocka_unit_test(receipts_the_ends_of_states_and_whose_a_change_is),
    };
    return cmocka_run_group_tests_name("cpp_inbox", tests, nullptr, nullptr);
}
