/*
 * pusherc.hpp: what is destroyed is freed or refused, no exception passes through C, what was moved away from does
 * nothing, and publishing and taking messages allocate nothing in C++.
 */
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <uv.h>

#include "unit/cpp_host.hpp"

using namespace std::chrono_literals;

/* -- allocations of the calling thread -- */

static thread_local unsigned allocations;

/* clang's thread sanitizer brings operators of its own, and nothing is counted. */
#if defined(__has_feature)
#    if __has_feature(thread_sanitizer)
#        define HAS_OPERATORS
#    endif
#endif

#ifndef HAS_OPERATORS
/* Not inline: gcc would see a free() of what its own operator has allocated. */
[[gnu::noinline]] void *operator new(std::size_t size)
{
    allocations++;
    if (void *ptr = std::malloc(size ? size : 1))
        return ptr;
    throw std::bad_alloc();
}

[[gnu::noinline]] void operator delete(void *ptr) noexcept
{
    std::free(ptr);
}

[[gnu::noinline]] void operator delete(void *ptr, std::size_t) noexcept
{
    std::free(ptr);
}
#endif

namespace
{

/* -- errors -- */

void set_up_throws_a_sentence(void **)
{
    pusherc::server first = make();
    pusherc::server second;
    pusherc_listen_options taken{};
    first.start();
    taken.port = first.port();
    assert_true(taken.port != 0);
    try {
        second.listen(taken);
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_EIO);
        assert_non_null(strstr(e.what(), "address in use"));
        assert_true(e.sys() == UV_EADDRINUSE);
    }
    try {
        second.poll(); /* has threads */
        fail();
    } catch (const std::system_error &e) {
        assert_true(e.code() == PUSHERC_ESTATE);
        assert_non_null(strstr(e.what(), pusherc_strerror(PUSHERC_ESTATE)));
    }
    pusherc_hooks hooks = pusherc::make<pusherc_hooks>();
    pusherc_server_options options{};
    options.hooks = &hooks; /* would be lost */
    try {
        pusherc::server third(options);
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_EINVAL);
    }
}

void codes_are_those_of_c(void **)
{
    succeeds(pusherc::result(0));
    assert_true(pusherc::result(PUSHERC_EBACKLOG) == PUSHERC_EBACKLOG);
    assert_true(pusherc::result(PUSHERC_EBACKLOG) != PUSHERC_EINVAL);
    assert_true(pusherc::result(PUSHERC_ENOMEM) == std::errc::not_enough_memory);
    assert_true(pusherc::result(PUSHERC_ETIMEDOUT) == std::errc::timed_out);
    assert_string_equal(pusherc::result(PUSHERC_ELIMIT).message().c_str(),
                        pusherc_strerror(PUSHERC_ELIMIT));
    assert_int_equal(pusherc::ms(-5ms), 0);
    assert_int_equal(pusherc::ms(2s), 2000);
    assert_int_equal(pusherc::ms(std::chrono::hours(24 * 365)), UINT32_MAX);
    assert_true(pusherc::parse_socket_id("1.2")->b == 2);
    assert_false(pusherc::parse_socket_id("1").has_value());
    assert_string_equal(pusherc::to_string({12, 34}).c_str(), "12.34");
}

void signatures_are_texts(void **)
{
    auto keys = pusherc::make<pusherc_credentials>();
    keys.key = pusherc::slice("key"), keys.secret = pusherc::slice("secret");
    const std::string auth = pusherc::text([&](char *out, size_t cap, size_t *len) {
        return pusherc_sign_channel(&keys, {1, 2}, pusherc::slice("private-a"), {}, out, cap, len);
    });
    assert_int_equal(auth.size(), 3 + 1 + 64);
    assert_int_equal(auth.find("key:"), 0);
    const auto why = [&](const char *channel) {
        return pusherc::text([&](char *out, size_t cap, size_t *len) {
            return pusherc_explain_auth(&keys, pusherc::slice(auth), {1, 2},
                                        pusherc::slice(channel), {}, out, cap, len);
        });
    };
    if (strstr(pusherc_features(), "explain")) {
        assert_string_equal(why("private-a").c_str(), "");
        assert_string_not_equal(why("private-b").c_str(), "");
    }
    try {
        pusherc::text([&](char *out, size_t cap, size_t *len) {
            return pusherc_sign_channel(&keys, {1, 2}, pusherc::slice("no name"), {}, out, cap,
                                        len);
        });
        fail();
    } catch (const pusherc::error &e) {
        assert_true(e.code() == PUSHERC_EINVAL);
    }
}

/* -- rules -- */

void a_rule_owns_what_it_captures(void **)
{
    auto token = std::make_shared<int>(0);
    {
        pusherc::server server = make();
        auto owned = std::make_unique<std::string>("42"); /* cannot be copied */
        server.rule("tickets.{id}", [owned = std::move(owned), token](pusherc::auth_request q) {
            if (q.param("id") == *owned && q.channel() == "private-tickets.42" &&
                q.app_id() == "app-id" && q.user_id().empty() && q.param("none").empty())
                q.allow();
            else
                q.deny(404, "Not your ticket");
        });
        server.rule("gone", [token](pusherc::auth_request q) { q.allow(); });
        assert_int_equal(token.use_count(), 3);
        server.remove_rule("gone");
        assert_int_equal(token.use_count(), 2);
        try { /* is there: the function is freed */
            server.rule("tickets.{x}", [token](pusherc::auth_request q) { q.allow(); });
            fail();
        } catch (const pusherc::error &e) {
            assert_true(e.code() == PUSHERC_EEXIST);
        }
        assert_int_equal(token.use_count(), 2);
        server.start();
        int fd = establish(server);
        subscribed(fd, "private-tickets.42");
        subscribe(fd, "private-tickets.43");
        assert_true(ws_client_hears(fd, "Not your ticket"));
        close(fd);
    }
    assert_int_equal(token.use_count(), 1);
}

void what_a_rule_throws_denies(void **)
{
    complaints told;
    pusherc::server server = make(telling(told));
    server.rule("throws", [](pusherc::auth_request) { throw std::runtime_error("no database"); });
    server.rule("throws-a-number", [](pusherc::auth_request q) {
        pusherc::auth_request kept = std::move(q);
        throw 7;
    });
    server.rule("forgets", [](pusherc::auth_request) {});
    server.start();
    int fd = establish(server);
    for (const char *name : {"private-throws", "private-throws-a-number", "private-forgets"}) {
        subscribe(fd, name);
        assert_true(ws_client_hears(fd, "Internal error"));
    }
    close(fd);
    assert_string_equal(told.all().c_str(), "no database;7;");
}

void without_on_error_exceptions_are_log_lines(void **)
{
    std::promise<std::string> line;
    pusherc::hooks hooks;
    hooks.log = [&](const pusherc_log_entry &entry) {
        if (std::string(entry.subject) == "host")
            line.set_value(std::string(pusherc::view(entry.message)));
        throw std::runtime_error("the log is full"); /* goes nowhere */
    };
    pusherc::server server = make(std::move(hooks));
    server.rule("throws", [](pusherc::auth_request) { throw std::runtime_error("no database"); });
    server.start();
    int fd = establish(server);
    subscribe(fd, "private-throws");
    assert_true(ws_client_hears(fd, "Internal error"));
    assert_string_equal(line.get_future().get().c_str(), "no database");
    close(fd);
}

void a_question_is_answered_once_on_any_thread(void **)
{
    pusherc::server server = make();
    std::promise<std::error_code> first, second;
    server.rule("later", [&](pusherc::auth_request q) {
        std::thread([&, q = std::move(q)]() mutable {
            pusherc::auth_request moved = std::move(q);
            assert_false(q.operator bool()); // NOLINT: that is the test
            assert_true(q.channel().empty() && q.param("x").empty());
            assert_true(q.allow() == PUSHERC_ESTATE);
            first.set_value(moved.allow());
            second.set_value(moved.deny());
        }).detach();
    });
    server.start();
    int fd = establish(server);
    subscribed(fd, "private-later");
    succeeds(first.get_future().get());
    assert_true(second.get_future().get() == PUSHERC_ESTATE);
    close(fd);
}

void a_question_outlives_its_server(void **)
{
    std::promise<pusherc::auth_request> kept;
    std::promise<pusherc::auth_request> forgotten;
    {
        pusherc::server server = make();
        server.rule("kept", [&](pusherc::auth_request q) { kept.set_value(std::move(q)); });
        server.rule("forgotten",
                    [&](pusherc::auth_request q) { forgotten.set_value(std::move(q)); });
        server.start();
        int fd = establish(server);
        subscribe(fd, "private-kept");
        subscribe(fd, "private-forgotten");
        auto wait = kept.get_future();
        wait.wait();
        close(fd);
        kept = std::promise<pusherc::auth_request>();
        kept.set_value(wait.get());
        forgotten.get_future().get(); /* refused */
    }
    pusherc::auth_request q = kept.get_future().get();
    assert_true(q.channel() == "private-kept");
    assert_true(q.allow() == PUSHERC_ECANCELED);
}

void questions_come_together(void **)
{
    complaints told;
    pusherc::server server = make(telling(told));
    pusherc_rule rule{};
    rule.pattern = "many.{n}";
    server.rule_batch(rule, [](pusherc::auth_requests questions) {
        for (pusherc::auth_request &q : questions) {
            if (q.param("n") == "throws")
                throw std::runtime_error("in the middle");
            q.allow();
        }
    });
    server.start();
    int fd = establish(server);
    subscribed(fd, "private-many.1");
    subscribed(fd, "private-many.2");
    subscribe(fd, "private-many.throws");
    assert_true(ws_client_hears(fd, "Internal error"));
    close(fd);
    assert_string_equal(told.all().c_str(), "in the middle;");
}

void audiences_see_what_a_function_gives_them(void **)
{
    complaints told;
    pusherc::server server = make(telling(told));
    pusherc_rule rule{};
    rule.pattern = "page";
    server.rule(
        rule,
        [](pusherc::auth_request q) {
            pusherc_grant grant{};
            grant.view = pusherc::slice("visitors");
            q.allow(grant);
        },
        [](pusherc::render &r) {
            assert_true(r.audience() == "visitors" && r.channel() == "private-page");
            if (r.event() == "throws")
                throw std::runtime_error("no template");
            return r.data() == "secret" ? r.replaced("hidden") : PUSHERC_RENDER_SAME;
        });
    server.start();
    int fd = establish(server);
    subscribed(fd, "private-page");
    succeeds(server.publish("app-id", "private-page", "throws", "lost"));
    succeeds(server.publish("app-id", "private-page", "told", "secret"));
    assert_true(heard(fd, "\"hidden\"").find("lost") == std::string::npos);
    close(fd);
    assert_string_equal(told.all().c_str(), "no template;");
}

/* -- hooks -- */

void identities_own_their_data(void **)
{
    auto token = std::make_shared<int>(7);
    std::promise<int> in_hook, in_rule;
    pusherc::hooks hooks;
    hooks.identify = [token](pusherc::identify_request q) {
        pusherc_identity who{};
        who.user_id = pusherc::slice("anna");
        assert_true(q.purpose() == PUSHERC_IDENTIFY_CONNECT && q.path() == "/app/app-key");
        assert_true(q.query("protocol") == "7" && q.header("host") == "x" &&
                    q.cookie("none").empty());
        q.accept(who, std::make_unique<std::shared_ptr<int>>(token));
    };
    hooks.on_open = [&](pusherc::conn c) {
        assert_true(c.user_id() == "anna" && c.client_ip() == "127.0.0.1");
        in_hook.set_value(**c.data<std::shared_ptr<int>>());
    };
    {
        pusherc::server server = make(std::move(hooks));
        server.rule("mine", [&](pusherc::auth_request q) {
            in_rule.set_value(**q.data<std::shared_ptr<int>>());
            q.allow();
        });
        server.start();
        int fd = establish(server);
        subscribed(fd, "private-mine");
        assert_int_equal(in_hook.get_future().get(), 7);
        assert_int_equal(in_rule.get_future().get(), 7);
        close(fd);
    }
    assert_int_equal(token.use_count(), 1);
}

void hooks_that_throw_refuse(void **)
{
    complaints told;
    std::atomic<bool> lets_in{false};
    pusherc::hooks hooks = telling(told);
    hooks.identify = [&](pusherc::identify_request q) {
        if (!lets_in)
            throw std::runtime_error("identify");
        q.accept("anna");
    };
    hooks.on_http = [](pusherc::http_request q) {
        if (q.path() == "/throws")
            throw std::runtime_error("http");
        q.respond(200, q.method(), "text/plain");
    };
    hooks.find_app = [](pusherc::app_request) { throw std::runtime_error("find_app"); };
    hooks.on_client_event = [](pusherc::conn, const pusherc_client_event &event) {
        if (pusherc::view(event.event) == "client-throws")
            throw std::runtime_error("client event");
        return true;
    };
    hooks.on_channel = [](const pusherc_channel_event &) { throw std::runtime_error("channel"); };
    pusherc::server server = make(std::move(hooks));
    server.rule("room", allow);
    server.start();

    int fd = ws_client_dial(server.port());
    ws_client_send(fd, ws_client_upgrade);
    assert_true(ws_client_hears(fd, "\x10\x04Internal error")); /* 4100 */
    close(fd);
    fd = ws_client_dial(server.port());
    ws_client_send(fd, "GET /page HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(ws_client_hears(fd, "\r\n\r\nGET"));
    ws_client_send(fd, "GET /throws HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(ws_client_hears(fd, " 503 "));
    close(fd);
    fd = ws_client_dial(server.port());
    ws_client_send(fd, "GET /apps/unknown/channels HTTP/1.1\r\nHost: x\r\n\r\n");
    assert_true(ws_client_hears(fd, "HTTP/1.1 4"));
    close(fd);
    lets_in = true;
    fd = establish(server);
    subscribed(fd, "private-room");
    ws_client_say(fd, "{\"event\":\"client-throws\",\"channel\":\"private-room\",\"data\":{}}");
    assert_true(ws_client_hears(fd, "4301"));
    close(fd);
    server = pusherc::server(); /* frees the one before: all reports have been made */
    const std::string all = told.all();
    for (const char *one : {"identify;", "http;", "find_app;", "client event;", "channel;"})
        assert_true(all.find(one) != std::string::npos);
}

/* The status line of publishing "e" over HTTP with this data, and more. */
std::string posted(const pusherc::server &server, const std::string &data)
{
    const char path[] = "/apps/app-id/events";
    std::string body = "{\"name\":\"e\",\"channel\":\"news\",\"data\":\"" + data + "\"}";
    auto keys = pusherc::make<pusherc_credentials>();
    keys.key = pusherc::slice("app-key"), keys.secret = pusherc::slice("app-secret");
    std::string query = pusherc::text([&](char *out, std::size_t cap, std::size_t *len) {
        return pusherc_sign_request(&keys, "POST", path, nullptr, 0, pusherc::slice(body),
                                    static_cast<std::uint64_t>(time(nullptr)), out, cap, len);
    });
    int fd = ws_client_dial(server.port());
    ws_client_send(fd, ("POST " + std::string(path) + "?" + query +
                        " HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: " +
                        std::to_string(body.size()) + "\r\n\r\n" + body)
                           .c_str());
    std::string answer;
    char got[512];
    for (ssize_t n; (n = recv(fd, got, sizeof got, 0)) > 0;)
        answer.append(got, static_cast<std::size_t>(n));
    close(fd);
    return answer;
}

void events_from_outside_are_judged(void **)
{
    complaints told;
    pusherc::hooks hooks = telling(told);
    hooks.on_publish = [](pusherc::incoming event) {
        if (event.data() == "no")
            return event.refused("not now");
        if (event.data() == "throws")
            throw std::runtime_error("publish");
        assert_true(event.source() == PUSHERC_SOURCE_HTTP && event.app_id() == "app-id");
        assert_true(event.name() == "e" && event.channel_count() == 1);
        assert_true(event.channel(0) == "news" && event.except().a == 0);
        assert_true(event.set_name("pusher:e") == PUSHERC_EINVAL);
        return !event.set_name("f") && !event.set_data("changed") && !event.add_channel("more");
    };
    pusherc::server server = make(std::move(hooks));
    server.start();
    int fd = establish(server);
    subscribed(fd, "more");
    assert_true(posted(server, "no").find("The event was refused: not now") != std::string::npos);
    assert_true(posted(server, "throws").find(" 403 ") != std::string::npos);
    assert_true(posted(server, "yes").find(" 200 ") != std::string::npos);
    const std::string event = heard(fd, "changed");
    assert_true(event.find("\"event\":\"f\"") != std::string::npos);
    close(fd);
    server = pusherc::server();
    assert_true(told.all().find("publish;") != std::string::npos);
}

/* -- the server -- */

void what_was_moved_away_from_does_nothing(void **)
{
    pusherc::server server = make();
    pusherc::server moved = std::move(server);
    moved.start();
    assert_null(server.get()); // NOLINT: that is the test
    assert_int_equal(server.port(), 0);
    assert_true(server.publish("app-id", "news", "told", "{}") == PUSHERC_EINVAL);
    assert_true(server.stop() == PUSHERC_EINVAL);
    assert_true(server.reauthorize("app-id") == PUSHERC_EINVAL);
    assert_true(server.list_channels("app-id", "", [](auto) { fail(); }) == PUSHERC_EINVAL);
    assert_int_equal(server.stats().sockets, 0);
    for (auto call :
         {+[](pusherc::server &s) { s.listen(); }, +[](pusherc::server &s) { s.start(); },
          +[](pusherc::server &s) { s.rule("x", allow); }}) {
        try {
            call(server);
            fail();
        } catch (const pusherc::error &e) {
            assert_true(e.code() == PUSHERC_EINVAL);
        }
    }
    int fd = establish(moved);
    server = std::move(moved);
    subscribed(fd, "news");
    close(fd);
}

void publishing_allocates_nothing(void **)
{
    pusherc::server server = make();
    server.start();
    int fd = establish(server);
    subscribed(fd, "news");
    allocations = 0;
    for (int i = 0; i < 1000; i++) {
        succeeds(server.publish("app-id", "nobody", "told", "{}"));
        succeeds(server.publish("app-id", "news", "told", "{}"));
        succeeds(server.send_to_user("app-id", "anna", "told", "{}"));
    }
    assert_true(server.publish("unknown", "news", "told", "{}") == PUSHERC_ENOENT);
    assert_int_equal(allocations, 0);
    assert_true(ws_client_hears(fd, "told"));
    close(fd);
}

void taking_messages_allocates_nothing(void **)
{
    pusherc::inbox inbox;
    pusherc_server_options options{};
    options.inbox = inbox.get();
    pusherc::server server = make({}, options);
    server.rule_inbox("room.{n}");
    server.start();
    int fd = establish(server);
    for (int i = 0; i < 20; i++)
        subscribe(fd, "private-room." + std::to_string(i));
    allocations = 0;
    for (std::size_t taken = 0; taken < 20;)
        taken +=
            inbox.take([](pusherc::message m) { std::get<pusherc::auth_request>(m.what).allow(); },
                       pusherc::forever);
    assert_int_equal(allocations, 0);
    close(fd);
}

void queries_throw_what_their_function_throws(void **)
{
    pusherc::server server = make();
    server.rule("room", [](pusherc::auth_request q) {
        pusherc_grant grant{};
        grant.user_id = pusherc::slice("anna");
        q.allow(grant);
    });
    server.start();
    int fd = establish(server);
    subscribed(fd, "news");
    subscribed(fd, "presence-room");

    std::string names;
    succeeds(server.list_channels("app-id", "", [&](pusherc::items<pusherc_channel_info> channels) {
        for (const pusherc_channel_info &channel : channels)
            names += pusherc::view(channel.name);
    }));
    assert_true(names == "newspresence-room" || names == "presence-roomnews");
    succeeds(server.list_members("app-id", "presence-room",
                                 [&](pusherc::items<pusherc_member> members, std::uint64_t) {
                                     names = std::string(pusherc::view(members.begin()->user_id));
                                 }));
    assert_string_equal(names.c_str(), "anna");
    std::size_t connections = 0;
    succeeds(
        server.list_connections("app-id", "", [&](auto found) { connections = found.size(); }));
    assert_int_equal(connections, 1);
    pusherc_channel_info info;
    succeeds(server.get_channel("app-id", "news", info));
    assert_int_equal(info.subscription_count, 1);
    assert_int_equal(server.stats().connections, 1);
    assert_true(server.list_channels("unknown", "", [](auto) { fail(); }) == PUSHERC_ENOENT);
    std::string page;
    succeeds(server.metrics([&](std::string_view chunk) { page += chunk; }));
    assert_true(page.find("pusherc_connected") != std::string::npos);
    for (int i = 0; i < 2; i++) {
        try {
            if (i == 0)
                (void)server.list_channels("app-id", "", [](auto) { throw 5; });
            else
                (void)server.metrics([](auto) { throw 5; });
            fail();
        } catch (int number) {
            assert_int_equal(number, 5);
        }
    }
    close(fd);
}

void users_and_the_past_are_queries(void **)
{
    std::promise<std::string> online;
    pusherc::hooks hooks;
    hooks.identify = [](pusherc::identify_request q) { q.accept("anna"); };
    hooks.on_user = [&](const pusherc_user_event &event) {
        if (event.online)
            online.set_value(std::string(pusherc::view(event.user_id)));
    };
    pusherc::server server = make(std::move(hooks));
    auto pattern = pusherc::make<pusherc_history_pattern>();
    pattern.pattern = "orders.{id}";
    pusherc_app_options app{};
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.user_events = true;
    app.history = &pattern, app.history_count = 1;
    app.shaping = "sensors.{id} conflate key=/id window_ms=200";
    server.put_app(app);
    server.start();
    int fd = establish(server);
    assert_string_equal(online.get_future().get().c_str(), "anna");
    std::string names;
    std::uint64_t listed = 0;
    succeeds(server.list_users(
        "app-id", false, [&](pusherc::items<pusherc_user_info> users, std::uint64_t sequence) {
            names = std::string(pusherc::view(users.begin()->user_id));
            listed = sequence;
        }));
    assert_string_equal(names.c_str(), "anna");
    pusherc_user_info user;
    succeeds(server.get_user("app-id", "anna", user));
    assert_true(user.online && user.connections == 1 && user.sequence == listed);
    assert_true(server.get_user("app-id", "ben", user) == PUSHERC_ENOENT);

    for (const char *data : {"1", "2"})
        succeeds(server.publish("app-id", "orders.7", "paid", data));
    std::string first, position;
    succeeds(server.history(
        "app-id", "orders.7", "",
        [&](pusherc::items<pusherc_past_event> events, bool complete, std::string_view at) {
            assert_true(complete && events.size() == 2);
            first = std::string(pusherc::view(events.begin()->id));
            position = std::string(at);
        }));
    succeeds(server.history("app-id", "orders.7", first,
                            [&](pusherc::items<pusherc_past_event> events, bool, std::string_view) {
                                assert_true(pusherc::view(events.begin()->data) == "2");
                                assert_true(pusherc::view(events.begin()->id) == position);
                            }));
    const auto none = [](auto &&...) { fail(); };
    assert_true(server.history("app-id", "news", "", none) == PUSHERC_ENOENT);
    try {
        (void)server.history("app-id", "orders.7", "", [](auto &&...) { throw 5; });
        fail();
    } catch (int number) {
        assert_int_equal(number, 5);
    }
    close(fd);
}

void apps_come_from_json(void **)
{
    std::string ids;
    pusherc::apps_from_json("[{\"id\":\"1\",\"key\":\"a\",\"secret\":\"b\"},{\"id\":\"2\",\"key\":"
                            "\"c\",\"secret\":\"d\"}]",
                            [&](const pusherc_app_options &app) { ids += app.id; });
    assert_string_equal(ids.c_str(), "12");
    try {
        pusherc::apps_from_json("[{\"idd\":\"1\"}]", [](const pusherc_app_options &) { fail(); });
        fail();
    } catch (const pusherc::error &e) {
        assert_non_null(strstr(e.what(), "idd"));
    }
}

void rules_are_asked_again(void **)
{
    complaints told;
    std::atomic<bool> may{true};
    std::promise<std::uint64_t> revoked;
    auto token = std::make_shared<int>(0);
    {
        pusherc::server server = make(telling(told));
        server.rule("room", [&](pusherc::auth_request q) {
            if (may)
                q.allow();
            else
                q.deny(403, "Not any more");
        });
        assert_true(server.reauthorize("app-id", {}, [token](auto, auto) { fail(); }) ==
                    PUSHERC_ESTATE);
        assert_int_equal(token.use_count(), 1); /* was freed */
        server.start();
        int fd = establish(server);
        subscribed(fd, "private-room");
        std::uint64_t kept = 0, lost = 0;
        succeeds(server.reauthorize_wait("app-id", {}, pusherc::forever, &kept, &lost));
        assert_true(kept == 1 && lost == 0);
        may = false;
        pusherc_grant_match match{};
        match.channel_pattern = pusherc::slice("room");
        succeeds(server.reauthorize("app-id", match, [&, token](std::uint64_t, std::uint64_t n) {
            revoked.set_value(n);
            throw std::runtime_error("in done");
        }));
        assert_int_equal(revoked.get_future().get(), 1);
        assert_true(ws_client_hears(fd, "Not any more"));
        succeeds(server.reauthorize("app-id"));
        close(fd);
    }
    assert_int_equal(token.use_count(), 1);
    assert_string_equal(told.all().c_str(), "in done;");
}

void a_stop_is_told_once(void **)
{
    auto token = std::make_shared<int>(0);
    std::atomic<int> stops{0};
    pusherc::server server = make();
    server.start();
    int fd = establish(server);
    assert_true(server.wait(1ms) == PUSHERC_ETIMEDOUT);
    succeeds(server.stop(20ms, [&, token] { stops++; }));
    assert_true(server.stop(0ms, [&, token] { stops += 10; }) == PUSHERC_ESTATE);
    succeeds(server.wait());
    assert_int_equal(stops, 1);
    assert_true(server.publish("app-id", "news", "told", "{}") == PUSHERC_ESTATE);
    assert_int_equal(token.use_count(), 1);
    close(fd);
}

void a_polled_server_runs_in_its_callers_loop(void **)
{
    pusherc_server_options options{};
    options.worker_count = PUSHERC_WORKERS_NONE;
    pusherc::server server(options);
    server.put_app("app-id", "app-key", "app-secret");
    server.listen();
    server.start();
    assert_true(server.fd() >= 0);
    std::thread client([&] { close(establish(server)); });
    while (server.stats().connections_total == 0)
        assert_true(server.poll(10ms));
    assert_true(server.wait_time() <= pusherc::forever);
    succeeds(server.stop());
    while (server.poll(10ms))
        continue;
    client.join();
}

void an_attached_server_may_end_in_its_stop(void **)
{
    complaints told;
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    pusherc_server_options options{};
    options.loop = &loop;
    std::optional<pusherc::server> server;
    server.emplace(options, telling(told));
    server->put_app("app-id", "app-key", "app-secret");
    server->listen();
    server->start();
    succeeds(server->stop(0ms, [&] {
        server.reset();
        throw std::runtime_error("afterwards"); /* is told although the server is gone */
    }));
    assert_int_equal(uv_run(&loop, UV_RUN_DEFAULT), 0);
    assert_false(server.has_value());
    assert_int_equal(uv_loop_close(&loop), 0);
    assert_string_equal(told.all().c_str(), "afterwards;");
}

} // namespace

int main()
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_up_throws_a_sentence),
        cmocka_unit_test(codes_are_those_of_c),
        cmocka_unit_test(signatures_are_texts),
        cmocka_unit_test(a_rule_owns_what_it_captures),
        cmocka_unit_test(what_a_rule_throws_denies),
        cmocka_unit_test(without_on_error_exceptions_are_log_lines),
        cmocka_unit_test(a_question_is_answered_once_on_any_thread),
        cmocka_unit_test(a_question_outlives_its_server),
        cmocka_unit_test(questions_come_together),
        cmocka_unit_test(audiences_see_what_a_function_gives_them),
        cmocka_unit_test(identities_own_their_data),
        cmocka_unit_test(hooks_that_throw_refuse),
        cmocka_unit_test(events_from_outside_are_judged),
        cmocka_unit_test(what_was_moved_away_from_does_nothing),
        cmocka_unit_test(publishing_allocates_nothing),
        cmocka_unit_test(taking_messages_allocates_nothing),
        cmocka_unit_test(queries_throw_what_their_function_throws),
        cmocka_unit_test(users_and_the_past_are_queries),
        cmocka_unit_test(apps_come_from_json),
        cmocka_unit_test(rules_are_asked_again),
        cmocka_unit_test(a_stop_is_told_once),
        cmocka_unit_test(a_polled_server_runs_in_its_callers_loop),
        cmocka_unit_test(an_attached_server_may_end_in_its_stop),
    };
    return cmocka_run_group_tests_name("cpp", tests, nullptr, nullptr);
}
