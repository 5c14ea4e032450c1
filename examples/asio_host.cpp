// A server beside Asio's loop, in C++17: the loop's other work may touch the same data as the rule without a lock. Here
// that is a clock, and a rule that takes its time without holding other clients up.
//
//   asio_host [PORT [inbox|poll]]     unless given: a port that the system picks, inbox
//
// inbox: the library's threads do the I/O, and the loop takes their questions as messages. poll: there is no thread, and
// the loop does everything.
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <variant>

#include <asio.hpp>

#include <pusherc/pusherc.hpp>

using namespace std::chrono_literals;

// Calls a function when a descriptor is readable, or when a time is over.
class watcher
{
  public:
    // `turn` returns how long to wait until the next call at most; less than 0: no more calls.
    watcher(asio::io_context &loop, int fd, std::function<std::chrono::milliseconds()> turn)
        : readable_(loop, dup(fd)), // Asio closes what it watches
          timer_(loop), turn_(std::move(turn))
    {
        wait(0ms);
    }

  private:
    void wait(std::chrono::milliseconds time)
    {
        const auto ready = [this](const std::error_code &error) {
            if (error || !turn_) // the other of the two was first
                return;
            readable_.cancel();
            timer_.cancel();
            if (const auto next = turn_(); next >= 0ms)
                wait(next);
            else
                turn_ = nullptr;
        };
        readable_.async_wait(asio::posix::stream_descriptor::wait_read, ready);
        timer_.expires_after(time);
        timer_.async_wait(ready);
    }

    asio::posix::stream_descriptor readable_;
    asio::steady_timer timer_;
    std::function<std::chrono::milliseconds()> turn_;
};

class host
{
  public:
    host(std::uint16_t port, bool polled)
        : server_(options(polled)), clock_(loop_), signals_(loop_, SIGINT, SIGTERM)
    {
        server_.put_app("app-id", "app-key", "app-secret", PUSHERC_AUTH_RULES);
        if (polled)
            server_.rule("rooms.{id}", [this](pusherc::auth_request q) { decide(std::move(q)); });
        else
            server_.rule_inbox("rooms.{id}");
        pusherc_listen_options address{};
        address.port = port;
        server_.listen(address);
        server_.start();
        if (polled)
            watcher_.emplace(loop_, server_.fd(), [this] { return turn(); });
        else
            watcher_.emplace(loop_, inbox_.fd(), [this] { return take(); });
        std::cout << "listening on http://127.0.0.1:" << server_.port() << std::endl;
    }

    void run()
    {
        tick();
        signals_.async_wait([this](const std::error_code &, int) {
            clock_.cancel();
            server_.stop(200ms);
        });
        loop_.run();
    }

  private:
    pusherc_server_options options(bool polled) const
    {
        pusherc_server_options options{};
        options.log_fn = pusherc_log_to_stderr;
        options.worker_count = polled ? PUSHERC_WORKERS_NONE : 2;
        if (!polled) {
            options.inbox = inbox_.get();
            options.inbox_messages = pusherc::message_bits(PUSHERC_MESSAGE_STOPPED);
        }
        return options;
    }

    // Poll mode: everything that the server does happens in here.
    std::chrono::milliseconds turn()
    {
        return server_.poll() ? server_.wait_time()
                              : -1ms; // it has stopped: the loop runs out of work
    }

    // Threads with an inbox: what rules are asked, and the end.
    std::chrono::milliseconds take()
    {
        std::chrono::milliseconds next = pusherc::forever;
        inbox_.take([&](pusherc::message message) {
            if (auto *question = std::get_if<pusherc::auth_request>(&message.what))
                decide(std::move(*question));
            else if (std::holds_alternative<pusherc::message::stopped>(message.what))
                next = -1ms;
        });
        return next;
    }

    // As if a database had to be asked: the question waits with the timer. Asio's handlers may own it.
    void decide(pusherc::auth_request question)
    {
        auto timer = std::make_unique<asio::steady_timer>(loop_, 20ms);
        auto &waits = *timer;
        waits.async_wait([timer = std::move(timer),
                          question = std::move(question)](const std::error_code &error) mutable {
            if (!error && question.param("id") != "locked")
                question.allow();
            else
                question.deny(403, "The room is locked");
        });
    }

    void tick()
    {
        const std::string now = "{\"now\":" + std::to_string(std::time(nullptr)) + "}";
        if (const auto error = server_.publish("app-id", "clock", "tick", now))
            std::cerr << "publish: " << error.message() << '\n';
        clock_.expires_after(1s);
        clock_.async_wait([this](const std::error_code &error) {
            if (!error)
                tick();
        });
    }

    asio::io_context loop_;
    pusherc::inbox inbox_;
    pusherc::server server_; // after the loop and the inbox: it goes first
    std::optional<watcher> watcher_;
    asio::steady_timer clock_;
    asio::signal_set signals_;
};

int main(int argc, char **argv)
{
    try {
        const bool polled = argc > 2 && std::string_view(argv[2]) == "poll";
        host(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0), polled).run();
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
