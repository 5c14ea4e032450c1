/*
 * What the tests of pusherc.hpp share: a server, its client, and what hooks.on_error was told. Includes cmocka after the
 * headers of C++: it has a macro called fail.
 */
#ifndef UNIT_CPP_HOST_HPP
#define UNIT_CPP_HOST_HPP

#include <csetjmp>
#include <cstdarg>
#include <cstddef>
#include <cstdint>

#include <exception>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <pusherc/pusherc.hpp>

extern "C" {
#include <cmocka.h>
}

#include "unit/ws_client.h"

/* An error code is false when nothing went wrong. */
#define succeeds(...) assert_true(!(__VA_ARGS__))

/* What hooks.on_error was told. */
struct complaints {
    std::mutex mutex;
    std::vector<std::string> texts;

    void add(std::exception_ptr error)
    {
        std::lock_guard<std::mutex> locked(mutex);
        try {
            std::rethrow_exception(error);
        } catch (const std::exception &e) {
            texts.emplace_back(e.what());
        } catch (int number) {
            texts.emplace_back(std::to_string(number));
        }
    }
    std::string all()
    {
        std::lock_guard<std::mutex> locked(mutex);
        std::string out;
        for (const std::string &text : texts)
            out += text + ";";
        return out;
    }
};

inline pusherc::hooks telling(complaints &to)
{
    pusherc::hooks hooks;
    hooks.on_error = [&to](std::exception_ptr error) { to.add(error); };
    return hooks;
}

inline pusherc::server make(pusherc::hooks hooks = {}, pusherc_server_options options = {})
{
    pusherc_app_options app{};
    options.close_timeout_ms = 200;
    pusherc::server server(options, std::move(hooks));
    app.id = "app-id", app.key = "app-key", app.secret = "app-secret";
    app.auth_mode = PUSHERC_AUTH_RULES;
    app.client_events = true;
    server.put_app(app);
    server.listen();
    return server;
}

inline int establish(const pusherc::server &server)
{
    int fd = ws_client_dial(server.port());
    ws_client_send(fd, ws_client_upgrade);
    assert_true(ws_client_hears(fd, "connection_established"));
    return fd;
}

inline void subscribe(int fd, const std::string &channel)
{
    ws_client_say(
        fd,
        ("{\"event\":\"pusher:subscribe\",\"data\":{\"channel\":\"" + channel + "\"}}").c_str());
}

inline void subscribed(int fd, const std::string &channel)
{
    subscribe(fd, channel);
    assert_true(ws_client_hears(fd, "subscription_succeeded"));
}

/* All that comes up to `text`. */
inline std::string heard(int fd, const char *text)
{
    std::string all;
    char got[512];
    while (all.find(text) == std::string::npos) {
        const ssize_t n = recv(fd, got, sizeof got, 0);
        if (n < 0 && errno == EINTR)
            continue;
        assert_true(n > 0);
        all.append(got, static_cast<std::size_t>(n));
    }
    return all;
}

inline void allow(pusherc::auth_request question)
{
    question.allow();
}

#endif
