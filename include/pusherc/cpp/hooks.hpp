/**
 * @file hooks.hpp
 * What a server calls: the host's functions, and what they receive. Part of pusherc.hpp.
 */
#ifndef PUSHERC_CPP_HOOKS_HPP
#define PUSHERC_CPP_HOOKS_HPP

#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <string_view>

#include <pusherc/cpp/function.hpp>
#include <pusherc/cpp/question.hpp>

namespace pusherc
{

/** One event for one audience: valid only during the call that received it. */
class render
{
  public:
    explicit render(pusherc_render *raw) noexcept : raw_(raw) {}
    std::string_view audience() const noexcept { return view(pusherc_render_view(raw_)); }
    std::string_view app_id() const noexcept { return view(pusherc_render_app_id(raw_)); }
    std::string_view channel() const noexcept { return view(pusherc_render_channel(raw_)); }
    std::string_view event() const noexcept { return view(pusherc_render_event(raw_)); }
    std::string_view data() const noexcept { return view(pusherc_render_data(raw_)); }
    std::string_view param(cstring name) const noexcept
    {
        return view(pusherc_render_param(raw_, name.get()));
    }
    /** The verdict "this payload": return it. If it cannot be had, the audience gets nothing. */
    pusherc_render_verdict replaced(std::string_view data) noexcept
    {
        return pusherc_render_payload(raw_, slice(data)) ? PUSHERC_RENDER_NOTHING
                                                         : PUSHERC_RENDER_REPLACED;
    }

  private:
    pusherc_render *raw_;
};

/** A connection: valid only during the call that received it. */
class conn
{
  public:
    explicit conn(const pusherc_conn *raw) noexcept : raw_(raw) {}
    pusherc_socket_id socket_id() const noexcept { return pusherc_conn_socket_id(raw_); }
    std::string_view app_id() const noexcept { return view(pusherc_conn_app_id(raw_)); }
    std::string_view user_id() const noexcept { return view(pusherc_conn_user_id(raw_)); }
    std::string_view client_ip() const noexcept { return view(pusherc_conn_client_ip(raw_)); }
    /** What identify_request::accept() has attached: T has to be the type that it was given. */
    template <class T> T *data() const noexcept
    {
        return static_cast<T *>(pusherc_conn_data(raw_));
    }

  private:
    const pusherc_conn *raw_;
};

/** An event from outside: valid only during the call that received it. */
class incoming
{
  public:
    explicit incoming(pusherc_incoming *raw) noexcept : raw_(raw) {}
    pusherc_event_source source() const noexcept { return pusherc_incoming_source(raw_); }
    std::string_view app_id() const noexcept { return view(pusherc_incoming_app_id(raw_)); }
    std::string_view name() const noexcept { return view(pusherc_incoming_name(raw_)); }
    std::string_view data() const noexcept { return view(pusherc_incoming_data(raw_)); }
    std::size_t channel_count() const noexcept { return pusherc_incoming_channel_count(raw_); }
    std::string_view channel(std::size_t index) const noexcept
    {
        return view(pusherc_incoming_channel(raw_, index));
    }
    pusherc_socket_id except() const noexcept { return pusherc_incoming_except(raw_); }
    std::error_code set_name(std::string_view name) noexcept
    {
        return result(pusherc_incoming_set_name(raw_, slice(name)));
    }
    std::error_code set_data(std::string_view data) noexcept
    {
        return result(pusherc_incoming_set_data(raw_, slice(data)));
    }
    std::error_code add_channel(std::string_view channel) noexcept
    {
        return result(pusherc_incoming_add_channel(raw_, slice(channel)));
    }
    /** The verdict "no", with a reason for the publisher: return it. */
    bool refused(cstring reason) noexcept
    {
        (void)pusherc_incoming_refuse(raw_, reason.get());
        return false;
    }

  private:
    pusherc_incoming *raw_;
};

/**
 * The host's functions; those that are empty are not used. They run on the server's threads and may throw: a question is
 * then refused, an event is not published, and on_error is told.
 */
struct hooks {
    function<void(identify_request)> identify;
    function<void(app_request)> find_app;
    function<void(http_request)> on_http;
    /** True: relay it. */
    function<bool(conn, const pusherc_client_event &)> on_client_event;
    /** True: publish it. */
    function<bool(incoming)> on_publish;
    function<void(conn)> on_open;
    function<void(conn, std::uint16_t close_code)> on_close;
    function<void(conn)> on_signin;
    function<void(const pusherc_channel_event &)> on_channel;
    function<void(const pusherc_user_event &)> on_user;
    function<void(const pusherc_receipt &)> on_receipt;
    function<void(const pusherc_ephemeral_end &)> on_ephemeral_end;
    function<void(const pusherc_denial &)> on_denied;
    function<void(const pusherc_webhook_failure &)> on_webhook_failed;
    /** Nothing waits any more for the answer to the question of this number(). It still has to be answered. */
    function<void(std::uint64_t question)> on_abandoned;
    function<void(const pusherc_log_entry &)> log; /**< instead of pusherc_server_options.log_fn */
    /** What a function of the host has thrown, on the thread where that happened. Empty: it becomes a log line. */
    function<void(std::exception_ptr)> on_error;
};

/* -- what stands between C and the host's functions -- */

namespace detail
{

/** The functions of one rule; the C library frees it when the rule is gone. */
struct rule {
    std::shared_ptr<const reports> told;
    function<void(auth_request)> authorize;
    function<void(auth_requests)> authorize_batch;
    function<pusherc_render_verdict(render &)> render_fn;

    static void on_authorize(pusherc_auth_request *raw, void *user_data) noexcept
    {
        auto &self = *static_cast<rule *>(user_data);
        self.told->run([&] { self.authorize(auth_request(raw)); });
    }
    static void on_batch(pusherc_auth_request *const *raw, std::size_t count,
                         void *user_data) noexcept
    {
        auto &self = *static_cast<rule *>(user_data);
        for (std::size_t i = 0, n; i < count; i += n) {
            n = count - i < auth_requests::max_size ? count - i : auth_requests::max_size;
            self.told->run([&] { self.authorize_batch(auth_requests(raw + i, n)); });
        }
    }
    static pusherc_render_verdict on_render(pusherc_render *raw, void *user_data) noexcept
    {
        auto &self = *static_cast<rule *>(user_data);
        pusherc_render_verdict verdict = PUSHERC_RENDER_NOTHING;
        self.told->run([&] {
            render call(raw);
            verdict = self.render_fn(call);
        });
        return verdict;
    }
};

/** What a server needs for as long as it lives. It has an address of its own, since C keeps pointers to it. */
struct state {
    hooks functions;
    std::shared_ptr<reports> told = std::make_shared<reports>();
    pusherc_server *raw = nullptr;
    std::size_t listeners = 0;

    state() = default;
    state(const state &) = delete;
    state &operator=(const state &) = delete;
    ~state() { pusherc_server_free(raw); } /* before the functions, which it may call */

    template <class F> static void run(void *user_data, F f) noexcept
    {
        auto &self = *static_cast<state *>(user_data);
        self.told->run([&] { f(self.functions); });
    }

    pusherc_hooks questions() noexcept
    {
        auto c = make<pusherc_hooks>();
        c.user_data = this;
        if (functions.identify)
            c.identify = [](pusherc_identify_request *q, void *self) noexcept {
                run(self, [q](hooks &h) { h.identify(identify_request(q)); });
            };
        if (functions.find_app)
            c.find_app = [](pusherc_app_request *q, void *self) noexcept {
                run(self, [q](hooks &h) { h.find_app(app_request(q)); });
            };
        if (functions.on_http)
            c.on_http = [](pusherc_http_request *q, void *self) noexcept {
                run(self, [q](hooks &h) { h.on_http(http_request(q)); });
            };
        if (functions.on_client_event)
            c.on_client_event = [](const pusherc_conn *from, const pusherc_client_event *event,
                                   void *self) noexcept {
                bool relay = false;
                run(self, [&](hooks &h) { relay = h.on_client_event(conn(from), *event); });
                return relay ? 0 : 1;
            };
        if (functions.on_publish)
            c.on_publish = [](pusherc_incoming *event, void *self) noexcept {
                bool publish = false;
                run(self, [&](hooks &h) { publish = h.on_publish(incoming(event)); });
                return publish ? 0 : 1;
            };
        return c;
    }

    void reports_to(pusherc_hooks &c) const noexcept
    {
        if (functions.on_open)
            c.on_open = [](const pusherc_conn *who, void *self) noexcept {
                run(self, [who](hooks &h) { h.on_open(conn(who)); });
            };
        if (functions.on_close)
            c.on_close = [](const pusherc_conn *who, std::uint16_t code, void *self) noexcept {
                run(self, [&](hooks &h) { h.on_close(conn(who), code); });
            };
        if (functions.on_signin)
            c.on_signin = [](const pusherc_conn *who, void *self) noexcept {
                run(self, [who](hooks &h) { h.on_signin(conn(who)); });
            };
        if (functions.on_channel)
            c.on_channel = [](const pusherc_channel_event *event, void *self) noexcept {
                run(self, [event](hooks &h) { h.on_channel(*event); });
            };
        if (functions.on_user)
            c.on_user = [](const pusherc_user_event *event, void *self) noexcept {
                run(self, [event](hooks &h) { h.on_user(*event); });
            };
        if (functions.on_receipt)
            c.on_receipt = [](const pusherc_receipt *receipt, void *self) noexcept {
                run(self, [receipt](hooks &h) { h.on_receipt(*receipt); });
            };
        if (functions.on_ephemeral_end)
            c.on_ephemeral_end = [](const pusherc_ephemeral_end *end, void *self) noexcept {
                run(self, [end](hooks &h) { h.on_ephemeral_end(*end); });
            };
        if (functions.on_denied)
            c.on_denied = [](const pusherc_denial *denial, void *self) noexcept {
                run(self, [denial](hooks &h) { h.on_denied(*denial); });
            };
        if (functions.on_abandoned)
            c.on_abandoned = [](std::uint64_t question, void *self) noexcept {
                run(self, [question](hooks &h) { h.on_abandoned(question); });
            };
        if (functions.on_webhook_failed)
            c.on_webhook_failed = [](const pusherc_webhook_failure *failure, void *self) noexcept {
                run(self, [failure](hooks &h) { h.on_webhook_failed(*failure); });
            };
    }
};

} // namespace detail

} // namespace pusherc

#endif /* PUSHERC_CPP_HOOKS_HPP */
