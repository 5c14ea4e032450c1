/*
 * pusherc.hpp in a program without exceptions and without type information: what cannot be set up is returned, and
 * questions without an answer are refused as ever.
 */
#include <string>
#include <utility>
#include <variant>

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <pusherc/pusherc.hpp>

/* After those of C++: it has a macro called fail. */
extern "C" {
#include <cmocka.h>
}

#include "unit/ws_client.h"

using namespace std::chrono_literals;

#if PUSHERC_HAS_EXCEPTIONS
#    error "this is about programs without"
#endif

namespace
{

pusherc::server make(pusherc_server_options options = {})
{
    pusherc_errinfo info{};
    auto [server, failed] = pusherc::server::create(options, {}, info);
    assert_true(!failed);
    pusherc_app_options app{};
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    assert_true(!server.put_app(app, info));
    return std::move(server);
}

void what_cannot_be_set_up_is_returned(void **)
{
    pusherc_errinfo info{};
    pusherc::server first = make();
    assert_true(!first.listen({}, info) && !first.start(info));
    pusherc::server second = make();
    pusherc_listen_options taken{};
    taken.port = first.port();
    assert_true(second.listen(taken, info) == PUSHERC_EIO);
    assert_non_null(strstr(info.text, "address in use"));
    std::error_code failed;
    assert_false(second.poll(0ms, failed));
    assert_true(failed == PUSHERC_ESTATE);
    pusherc_rule rule{};
    assert_true(second.rule(
                    rule, [](pusherc::auth_request) {}, nullptr, info) == PUSHERC_EINVAL);
    assert_true(second.remove_rule("nothing", nullptr, info) == PUSHERC_ENOENT);
    assert_true(pusherc::apps_from_json(
                    "{", [](const pusherc_app_options &) {}, info) == PUSHERC_EINVAL);

    pusherc_server_options options{};
    options.worker_count = 1000;
    auto [third, refused] = pusherc::server::create(options, {}, info);
    assert_true(refused == PUSHERC_EINVAL && third.start(info) == PUSHERC_EINVAL);
    pusherc_allocator none{};
    pusherc_inbox_options bad{};
    bad.allocator = &none;
    auto [inbox, why] = pusherc::inbox::create(bad);
    assert_true(why == PUSHERC_EINVAL && inbox.fd() == -1);
}

void questions_come_by_call_and_as_messages(void **)
{
    pusherc_errinfo info{};
    auto [inbox, failed] = pusherc::inbox::create();
    assert_true(!failed);
    pusherc_server_options options{};
    options.inbox = inbox.get();
    pusherc::server server = make(options);
    pusherc_rule called{}, taken{};
    called.pattern = "called", taken.pattern = "taken.{n}";
    assert_true(!server.rule(
        called, [](pusherc::auth_request) {}, nullptr, info));
    assert_true(!server.rule_inbox(taken, nullptr, info));
    assert_true(!server.listen({}, info) && !server.start(info));
    int fd = ws_client_dial(server.port());
    ws_client_send(fd, ws_client_upgrade);
    assert_true(ws_client_hears(fd, "connection_established"));
    const auto subscribe = [fd](const std::string &name) {
        const std::string text =
            "{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" + name + "\"}}";
        ws_client_say(fd, text.c_str());
    };
    subscribe("private-called");
    assert_true(ws_client_hears(fd, "Internal error"));
    subscribe("private-taken.1");
    assert_int_equal(inbox.take([](const pusherc::message &) {}, 10s), 1);
    assert_true(ws_client_hears(fd, "Internal error"));
    subscribe("private-taken.2");
    const auto answer = [](pusherc::message m) {
        if (auto *question = std::get_if<pusherc::auth_request>(&m.what))
            question->allow();
    };
    assert_int_equal(inbox.take(answer, 10s), 1);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
    assert_true(!server.publish("app-id", "private-taken.2", "told", "{}"));
    assert_true(ws_client_hears(fd, "told"));
    close(fd);
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_cannot_be_set_up_is_returned),
        cmocka_unit_test(questions_come_by_call_and_as_messages),
    };
    return cmocka_run_group_tests_name("cpp_without_exceptions", tests, nullptr, nullptr);
}
