/*
 * pusherc::broadcaster: every event has one end, also if the host's driver throws or forgets it, and nothing that a
 * function of the host throws passes through C.
 */
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <future>
#include <map>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

#include "unit/cpp_host.hpp"

using namespace std::chrono_literals;

namespace
{

pusherc_broadcaster_options options_of(const char *url)
{
    pusherc_broadcaster_options options{};
    options.url = url;
    options.retry_ms = 20000;
    return options;
}

pusherc_event event_to(const pusherc_slice &channel, std::string_view data)
{
    pusherc_event event{};
    event.name = pusherc_slice_of("e");
    event.data = pusherc::slice(data);
    event.channels = &channel, event.channel_count = 1;
    return event;
}

const pusherc_slice news = PUSHERC_LIT("news");

void a_server_of_the_process_carries_events(void **)
{
    pusherc::server server = make();
    server.start();
    pusherc_broadcaster_options options = options_of("local:app-id");
    options.server = server.get();
    pusherc::broadcaster broadcaster(options);
    int fd = establish(server);
    subscribed(fd, "news");
    succeeds(broadcaster.broadcast("news", "said", "\"hello\""));
    assert_true(ws_client_hears(fd, "said"));
    succeeds(broadcaster.broadcast_wait(event_to(news, "\"waited\"")));
    assert_true(ws_client_hears(fd, "waited"));
    assert_int_equal(broadcaster.stats().accepted, 2);
    close(fd);
}

void settings_that_are_wrong_throw_a_sentence(void **)
{
    try {
        pusherc::broadcaster broadcaster("carrier-pigeon://loft");
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_EINVAL);
        assert_true(std::string_view(e.what()).size() > 0);
    }
    pusherc_broadcaster_options options = options_of("null:");
    options.user_data = &options; /* would be lost */
    pusherc_errinfo info{};
    assert_true(pusherc::broadcaster::create(options, {}, info).second == PUSHERC_EINVAL);
}

void what_was_moved_away_from_refuses(void **)
{
    pusherc::broadcaster first("null:");
    pusherc::broadcaster second(std::move(first));
    assert_true(first.broadcast("news", "e", "1") == PUSHERC_EINVAL);
    assert_true(first.broadcast_wait(event_to(news, "1")) == PUSHERC_EINVAL);
    assert_true(first.broadcast_now(event_to(news, "1"), [](auto) {}) == PUSHERC_EINVAL);
    assert_true(first.stop() == PUSHERC_EINVAL);
    assert_int_equal(first.stats().accepted, 0);
    succeeds(second.broadcast("news", "e", "1"));
    assert_true(second.broadcast("", "e", "1") == PUSHERC_EINVAL);
}

/* A driver of the host that keeps its requests for a thread that answers. */
void a_driver_answers_later_and_from_another_thread(void **)
{
    std::promise<pusherc::broadcast_request> sent;
    pusherc::broadcast_functions functions;
    functions.send = [&](pusherc::broadcast_request request) {
        sent.set_value(std::move(request));
    };
    pusherc::broadcaster broadcaster(options_of("host:"), std::move(functions));
    std::promise<std::string> ended;
    succeeds(broadcaster.broadcast_now(event_to(news, "1"), [&](pusherc::broadcast_result how) {
        ended.set_value(how.error() ? how.error().message() : "accepted");
    }));
    std::thread([&] {
        auto request = sent.get_future().get();
        assert_int_equal(request.events().size(), 1);
        for (const pusherc_event &event : request.events())
            assert_true(pusherc::view(event.data) == "1");
        assert_true(!request.key(0).empty());
        succeeds(request.accept());
        assert_true(request.accept() == PUSHERC_ESTATE);
        assert_true(request.events().empty() && request.key(0).empty());
    }).join();
    assert_true(ended.get_future().get() == "accepted");
}

void a_request_that_is_forgotten_or_whose_driver_throws_is_sent_again(void **)
{
    complaints told;
    std::atomic<int> attempts{0};
    std::string keys[3];
    pusherc::broadcast_functions functions;
    functions.on_error = [&](std::exception_ptr error) { told.add(error); };
    functions.send = [&](pusherc::broadcast_request request) {
        const int attempt = attempts++;
        keys[attempt] = request.key(0);
        if (attempt == 0)
            throw std::runtime_error("no route");
        if (attempt == 2)
            request.accept();
    };
    pusherc::broadcaster broadcaster(options_of("host:"), std::move(functions));
    succeeds(broadcaster.broadcast_wait(event_to(news, "1")));
    assert_int_equal(attempts, 3);
    assert_true(keys[0] == keys[1] && keys[1] == keys[2]);
    assert_true(told.all() == "no route;");
}

void what_is_refused_is_told_once(void **)
{
    complaints told;
    std::promise<std::string> failed;
    pusherc::broadcast_functions functions;
    functions.on_error = [&](std::exception_ptr error) { told.add(error); };
    functions.send = [](pusherc::broadcast_request request) {
        request.refuse(PUSHERC_ELIMIT, "too long for a pigeon");
    };
    functions.on_failed = [&](const pusherc_event &event, pusherc::broadcast_result why) {
        failed.set_value(std::string(pusherc::view(event.data)) + " " + std::string(why.reason()) +
                         (why.error() == PUSHERC_ELIMIT ? "" : "?"));
    };
    pusherc::broadcaster broadcaster(options_of("host:"), std::move(functions));
    succeeds(broadcaster.broadcast("news", "e", "1"));
    assert_true(failed.get_future().get() == "1 too long for a pigeon");

    pusherc_errinfo info{};
    assert_true(broadcaster.broadcast_wait(event_to(news, "2"), 20s, &info) == PUSHERC_ELIMIT);
    assert_non_null(strstr(info.text, "pigeon"));

    std::promise<void> ended;
    succeeds(broadcaster.broadcast_now(event_to(news, "3"), [&](pusherc::broadcast_result how) {
        assert_true(how.attempts() == 1 && how.status() == 0);
        ended.set_value();
        throw std::runtime_error("in the end");
    }));
    ended.get_future().get();
    succeeds(broadcaster.stop(20s));
    while (told.all().empty())
        std::this_thread::sleep_for(1ms);
    assert_true(told.all() == "in the end;");
    assert_int_equal(broadcaster.stats().refused, 3);
}

void a_stop_ends_what_waits_and_is_told(void **)
{
    std::optional<pusherc::broadcast_request> kept; /* outlives the broadcaster */
    std::promise<void> taken;
    {
        pusherc::broadcast_functions functions;
        functions.send = [&](pusherc::broadcast_request request) {
            kept = std::move(request);
            taken.set_value();
        };
        std::promise<std::error_code> ended;
        std::promise<void> stopped;
        pusherc::broadcaster broadcaster(options_of("host:"), std::move(functions));
        succeeds(broadcaster.broadcast_now(event_to(news, "1"), [&](pusherc::broadcast_result how) {
            ended.set_value(how.error());
        }));
        taken.get_future().get();
        succeeds(broadcaster.stop(0ms, [&] { stopped.set_value(); }));
        assert_true(ended.get_future().get() == PUSHERC_ECANCELED);
        stopped.get_future().get();
        assert_true(broadcaster.broadcast("news", "e", "2") == PUSHERC_ESTATE);
    }
    succeeds(kept->accept());
}

void the_environment_names_the_setting(void **)
{
    std::map<std::string, std::string> environment{{"BROADCAST_CONNECTION", "null"}};
    const auto lookup = [&](const char *name) -> const char * {
        const auto found = environment.find(name);
        return found == environment.end() ? nullptr : found->second.c_str();
    };
    assert_true(pusherc::broadcast_url(lookup) == "null:");
    environment["BROADCAST_URL"] = "pusher://key:" + std::string(400, 's') + "@localhost/app";
    assert_true(pusherc::broadcast_url(lookup) == environment["BROADCAST_URL"]);
    environment.clear();
    try {
        (void)pusherc::broadcast_url(lookup);
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_ENOENT);
    }
    try {
        (void)pusherc::broadcast_url([](const char *) -> const char * { throw 7; });
        fail();
    } catch (int thrown) {
        assert_int_equal(thrown, 7);
    }
}

} // namespace

int main()
{
    const CMUnitTest tests[] = {
        cmocka_unit_test(a_server_of_the_process_carries_events),
        cmocka_unit_test(settings_that_are_wrong_throw_a_sentence),
        cmocka_unit_test(what_was_moved_away_from_refuses),
        cmocka_unit_test(a_driver_answers_later_and_from_another_thread),
        cmocka_unit_test(a_request_that_is_forgotten_or_whose_driver_throws_is_sent_again),
        cmocka_unit_test(what_is_refused_is_told_once),
        cmocka_unit_test(a_stop_ends_what_waits_and_is_told),
        cmocka_unit_test(the_environment_names_the_setting),
    };
    return cmocka_run_group_tests(tests, nullptr, nullptr);
}
