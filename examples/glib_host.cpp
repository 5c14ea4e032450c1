// A server in GLib's main loop, in C++17: no thread, and the loop's other work, as in a GTK program, may touch the same
// data as the rule without a lock. Here that is a clock, and a rule that takes its time without holding other clients up.
//
//   glib_host [PORT]           0, the default: the system picks one
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <functional>
#include <iostream>
#include <memory>
#include <string>
#include <utility>

#include <glib-unix.h>

#include <pusherc/pusherc.hpp>

using namespace std::chrono_literals;

// Turns a server in poll mode: when its descriptor is readable, or when the time that it names is over. For a server
// with an inbox it would watch inbox.fd(), and take messages; it would need no time.
class turner
{
  public:
    // `stopped` is called once.
    turner(pusherc::server &server, std::function<void()> stopped)
        : source_(g_source_new(&functions, sizeof(struct source)))
    {
        source *self = of(source_);
        self->server = &server;
        self->stopped = new std::function<void()>(std::move(stopped));
        g_source_add_unix_fd(source_, server.fd(), G_IO_IN);
        wait(*self);
        g_source_attach(source_, nullptr);
    }
    turner(const turner &) = delete;
    turner &operator=(const turner &) = delete;
    ~turner()
    {
        g_source_destroy(source_);
        g_source_unref(source_);
    }

  private:
    struct source { // GLib makes it, filled with zeros
        GSource base;
        pusherc::server *server;
        std::function<void()> *stopped; // owned
    };
    static source *of(GSource *base) { return reinterpret_cast<source *>(base); }

    static void wait(source &self)
    {
        const std::chrono::microseconds time = self.server->wait_time();
        const bool forever = time == pusherc::forever;
        g_source_set_ready_time(&self.base, forever ? -1 : g_get_monotonic_time() + time.count());
    }
    static gboolean dispatch(GSource *base, GSourceFunc, gpointer) noexcept
    {
        source &self = *of(base);
        if (self.server->poll()) {
            wait(self);
            return G_SOURCE_CONTINUE;
        }
        (*self.stopped)();
        return G_SOURCE_REMOVE;
    }
    static void finalize(GSource *base) { delete of(base)->stopped; }

    static inline GSourceFuncs functions{nullptr, nullptr, dispatch, finalize, nullptr, nullptr};
    GSource *source_;
};

class host
{
  public:
    explicit host(std::uint16_t port) : server_(polled())
    {
        server_.put_app("app-id", "app-key", "app-secret", PUSHERC_AUTH_RULES);
        server_.rule("rooms.{id}", decide);
        pusherc_listen_options address{};
        address.port = port;
        server_.listen(address);
        server_.start();
        std::cout << "listening on http://127.0.0.1:" << server_.port() << std::endl;
    }

    void run()
    {
        turner turns(server_, [this] { g_main_loop_quit(loop_.get()); });
        tick();
        g_timeout_add(1000, call<&host::tick>, this);
        for (int signal : {SIGINT, SIGTERM})
            g_unix_signal_add(signal, call<&host::stop>, this);
        g_main_loop_run(loop_.get());
    }

  private:
    // What GLib calls. No exception passes through it.
    template <gboolean (host::*method)()> static gboolean call(gpointer self) noexcept
    {
        return (static_cast<host *>(self)->*method)();
    }

    static pusherc_server_options polled()
    {
        pusherc_server_options options{};
        options.worker_count = PUSHERC_WORKERS_NONE;
        options.log_fn = pusherc_log_to_stderr;
        return options;
    }

    // As if a database had to be asked: the question waits with a timer, which owns it.
    static void decide(pusherc::auth_request question)
    {
        const auto answer = [](gpointer waiting) -> gboolean {
            auto &asked = *static_cast<pusherc::auth_request *>(waiting);
            if (asked.param("id") != "locked")
                asked.allow();
            else
                asked.deny(403, "The room is locked");
            return G_SOURCE_REMOVE;
        };
        auto kept = std::make_unique<pusherc::auth_request>(std::move(question));
        g_timeout_add_full(G_PRIORITY_DEFAULT, 20, answer, kept.release(), [](gpointer waiting) {
            delete static_cast<pusherc::auth_request *>(waiting);
        });
    }

    gboolean tick()
    {
        const std::string now = "{\"now\":" + std::to_string(std::time(nullptr)) + "}";
        if (const auto error = server_.publish("app-id", "clock", "tick", now))
            std::cerr << "publish: " << error.message() << '\n';
        return G_SOURCE_CONTINUE;
    }
    gboolean stop()
    {
        server_.stop(200ms);
        return G_SOURCE_CONTINUE;
    }

    struct free_loop {
        void operator()(GMainLoop *loop) const { g_main_loop_unref(loop); }
    };
    std::unique_ptr<GMainLoop, free_loop> loop_{g_main_loop_new(nullptr, FALSE)};
    pusherc::server server_;
};

int main(int argc, char **argv)
{
    try {
        host(static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0)).run();
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
