/**
 * @file broadcast.hpp
 * Publishing from anywhere, with or without a server of ours in the process. Part of pusherc.hpp.
 */
#ifndef PUSHERC_CPP_BROADCAST_HPP
#define PUSHERC_CPP_BROADCAST_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include <pusherc/cpp/function.hpp>
#include <pusherc/cpp/question.hpp>

namespace pusherc
{

/** How an event ended: valid until the function that received it returns. */
class broadcast_result
{
  public:
    explicit broadcast_result(const pusherc_broadcast_result &raw) noexcept : raw_(&raw) {}
    /** False: the carrier has accepted the event. */
    std::error_code error() const noexcept { return result(raw_->code); }
    /** Of the last HTTP answer; 0 = there was none. */
    int status() const noexcept { return raw_->status; }
    std::uint32_t attempts() const noexcept { return raw_->attempts; }
    /** Of the last failure, one line. */
    std::string_view reason() const noexcept { return view(raw_->reason); }

  private:
    const pusherc_broadcast_result *raw_;
};

/** A request that is destroyed without an answer has failed: its events are sent again. */
struct not_sent {
    static void refuse(pusherc_broadcast_request *raw) noexcept
    {
        pusherc_broadcast_answer(raw, PUSHERC_EIO, 0, "the driver gave no answer");
    }
};

/** Some events for a driver of the host ("host:"). It can be moved, and answered later from any thread. */
class broadcast_request : public question<pusherc_broadcast_request, not_sent>
{
  public:
    broadcast_request() noexcept = default;
    explicit broadcast_request(pusherc_broadcast_request *raw) noexcept : question(raw) {}

    /** In the order in which they have to arrive; valid until the answer. */
    items<pusherc_event> events() const noexcept
    {
        std::size_t count = 0;
        const pusherc_event *first =
            get() ? pusherc_broadcast_request_events(get(), &count) : nullptr;
        return {first, count};
    }
    /** The key of the nth event, the same in each attempt. */
    std::string_view key(std::size_t nth) const noexcept
    {
        return get() ? view(pusherc_broadcast_request_key(get(), nth)) : std::string_view();
    }
    /** All events have been accepted. */
    std::error_code accept() noexcept { return finish(0, {}, nullptr); }
    /** PUSHERC_EBACKLOG: send them later; PUSHERC_EIO: send them again; any other: they are refused. */
    std::error_code refuse(pusherc_error code, cstring reason = nullptr,
                           std::chrono::milliseconds retry_after = {}) noexcept
    {
        return finish(code, retry_after, reason);
    }

  private:
    std::error_code finish(int code, std::chrono::milliseconds retry_after, cstring reason) noexcept
    {
        return answer([&](auto *raw) {
            pusherc_broadcast_answer(raw, code, ms(retry_after), reason.get());
            return 0;
        });
    }
};

/** The host's functions; those that are empty are not used. They run on the broadcaster's thread and must not block. */
struct broadcast_functions {
    /** Sends the events of a request, for "host:". What it throws fails the request, whose events are sent again. */
    function<void(broadcast_request)> send;
    std::uint32_t max_events = 1;    /**< of one request, 1..10 */
    std::uint32_t max_under_way = 1; /**< requests that are not answered yet */
    /** An event of broadcast() that could not be sent. */
    function<void(const pusherc_event &, broadcast_result)> on_failed;
    function<void(const pusherc_log_entry &)>
        log; /**< instead of pusherc_broadcaster_options.log_fn */
    /** What one of these functions, or one given to broadcast_now(), has thrown. Empty: it becomes a log line. */
    function<void(std::exception_ptr)> on_error;
};

namespace detail
{

/** What a broadcaster needs for as long as it lives. */
struct broadcasting {
    broadcast_functions functions;
    std::shared_ptr<reports> told = std::make_shared<reports>();
    pusherc_broadcaster *raw = nullptr;

    broadcasting() = default;
    broadcasting(const broadcasting &) = delete;
    broadcasting &operator=(const broadcasting &) = delete;
    ~broadcasting() { pusherc_broadcaster_free(raw); } /* before the functions, which it may call */

    static void on_send(pusherc_broadcast_request *request, void *user_data) noexcept
    {
        auto &self = *static_cast<broadcasting *>(user_data);
        self.told->run([&] { self.functions.send(broadcast_request(request)); });
    }
    static void on_failed(const pusherc_event *event, const pusherc_broadcast_result *why,
                          void *user_data) noexcept
    {
        auto &self = *static_cast<broadcasting *>(user_data);
        self.told->run([&] { self.functions.on_failed(*event, broadcast_result(*why)); });
    }
};

} // namespace detail

/**
 * A way to publish, named by a setting such as "pusher://key:secret@host/app-id" (docs/broadcasting.md), with its queue.
 * It can be moved; calls of one that was moved away from return PUSHERC_EINVAL. Destroyed it goes on sending for
 * pusherc_broadcaster_options.grace_ms; with a `loop` it must have stopped before.
 */
class broadcaster
{
  public:
    /** Throws pusherc::error. */
    explicit broadcaster(cstring url) : broadcaster(options_of(url)) {}
    /** `driver`, `on_failed` and `user_data` of the options have to be empty: give `functions` instead. */
    explicit broadcaster(pusherc_broadcaster_options options, broadcast_functions functions = {})
        : state_(std::make_unique<detail::broadcasting>())
    {
        pusherc_errinfo info{};
        check(set_up(options, std::move(functions), info), info);
    }
    /** The same for programs without exceptions. */
    static std::pair<broadcaster, std::error_code> create(pusherc_broadcaster_options options,
                                                          broadcast_functions functions,
                                                          pusherc_errinfo &info)
    {
        broadcaster made(std::make_unique<detail::broadcasting>());
        const std::error_code failed = made.set_up(options, std::move(functions), info);
        return {std::move(made), failed};
    }

    /** For the C functions; owned by this object. NULL if it was moved away from. */
    pusherc_broadcaster *get() const noexcept { return state_ ? state_->raw : nullptr; }

    /** @name Handing events over, now to hear nothing more of them, or to hear their end
     * @{ */
    [[nodiscard]] std::error_code broadcast(std::string_view channel, std::string_view name,
                                            std::string_view data,
                                            pusherc_socket_id except = {}) noexcept
    {
        const pusherc_slice to = slice(channel);
        pusherc_event event{};
        event.name = slice(name), event.data = slice(data);
        event.channels = &to, event.channel_count = 1;
        event.except = except;
        return broadcast(event);
    }
    [[nodiscard]] std::error_code broadcast(pusherc_event event) noexcept
    {
        event.struct_size = sizeof event;
        return broadcast_batch(&event, 1);
    }
    /** Each begins as make<pusherc_event>(). */
    [[nodiscard]] std::error_code broadcast_batch(const pusherc_event *events,
                                                  std::size_t count) noexcept
    {
        return result(get() ? pusherc_broadcast(get(), events, count) : PUSHERC_EINVAL);
    }
    /** `done` is called once, on the broadcaster's thread or inside this call; not if the call returns an error. */
    [[nodiscard]] std::error_code broadcast_now(pusherc_event event,
                                                function<void(broadcast_result)> done,
                                                std::chrono::milliseconds timeout = {})
    {
        event.struct_size = sizeof event;
        return broadcast_batch_now(&event, 1, std::move(done), timeout);
    }
    [[nodiscard]] std::error_code broadcast_batch_now(const pusherc_event *events,
                                                      std::size_t count,
                                                      function<void(broadcast_result)> done,
                                                      std::chrono::milliseconds timeout = {})
    {
        auto once = ended::make(state_ ? state_->told : nullptr, std::move(done));
        if (!get() || !once)
            return result(PUSHERC_EINVAL);
        auto *waits = once.release(); /* it may be gone when the call returns */
        const int code = pusherc_broadcast_now(get(), events, count, ms(timeout), on_ended, waits);
        if (code)
            once.reset(waits);
        return result(code);
    }
    [[nodiscard]] std::error_code broadcast_wait(pusherc_event event,
                                                 std::chrono::milliseconds timeout = {},
                                                 pusherc_errinfo *info = nullptr) noexcept
    {
        event.struct_size = sizeof event;
        return broadcast_batch_wait(&event, 1, timeout, info);
    }
    [[nodiscard]] std::error_code broadcast_batch_wait(const pusherc_event *events,
                                                       std::size_t count,
                                                       std::chrono::milliseconds timeout = {},
                                                       pusherc_errinfo *info = nullptr) noexcept
    {
        return result(get() ? pusherc_broadcast_wait(get(), events, count, ms(timeout), info)
                            : PUSHERC_EINVAL);
    }
    /** @} */

    /** `stopped` is called once, on the broadcaster's thread, when nothing is left. Allocates if it is given. */
    std::error_code stop(std::chrono::milliseconds grace = {}, function<void()> stopped = nullptr)
    {
        if (!get())
            return result(PUSHERC_EINVAL);
        auto once = detail::once<void()>::make(state_->told, std::move(stopped));
        auto *waits = once.release();
        pusherc_broadcaster_stop(get(), ms(grace), waits ? detail::once<void()>::call<> : nullptr,
                                 waits);
        return {};
    }
    /** Zeros if it was moved away from. */
    pusherc_broadcast_stats stats() const noexcept
    {
        auto out = make<pusherc_broadcast_stats>();
        if (get())
            (void)pusherc_broadcaster_stats(get(), &out);
        return out;
    }

  private:
    using ended = detail::once<void(broadcast_result)>;

    static void on_ended(const pusherc_broadcast_result *how, void *user_data) noexcept
    {
        ended::call(user_data, broadcast_result(*how));
    }
    explicit broadcaster(std::unique_ptr<detail::broadcasting> state) noexcept
        : state_(std::move(state))
    {
    }
    static pusherc_broadcaster_options options_of(cstring url) noexcept
    {
        pusherc_broadcaster_options options{};
        options.url = url.get();
        return options;
    }

    std::error_code set_up(pusherc_broadcaster_options options, broadcast_functions functions,
                           pusherc_errinfo &info)
    {
        if (options.driver || options.on_failed || options.user_data)
            return result(PUSHERC_EINVAL);
        auto &told = *state_->told;
        auto &mine = state_->functions = std::move(functions);
        told.on_error = std::move(mine.on_error);
        told.log = std::move(mine.log);
        if (told.log) {
            options.log_fn = detail::reports::on_log;
            options.log_user_data = &told;
        }
        told.log_fn = options.log_fn;
        told.log_user_data = options.log_user_data;
        auto driver = make<pusherc_broadcast_driver>();
        driver.user_data = state_.get();
        driver.max_events = mine.max_events, driver.max_under_way = mine.max_under_way;
        driver.send = detail::broadcasting::on_send;
        if (mine.send)
            options.driver = &driver;
        options.on_failed = mine.on_failed ? detail::broadcasting::on_failed : nullptr;
        options.user_data = state_.get();
        options.struct_size = sizeof options;
        return result(pusherc_broadcaster_new(&state_->raw, &options, &info));
    }

    std::unique_ptr<detail::broadcasting> state_;
};

/**
 * The setting that an environment of Laravel, Pusher, Reverb or soketi names. lookup(const char *name) returns its value,
 * NULL = not set; std::getenv does. Throws pusherc::error, and what `lookup` throws.
 */
template <class F> std::string broadcast_url(F lookup)
{
    const char *value = nullptr;
    auto ask = [&](const char *name) { value = lookup(name); };
    detail::visit<decltype(ask)> visit(ask);
    struct call {
        detail::visit<decltype(ask)> &visit;
        const char *&value;
    } call{visit, value};
    pusherc_errinfo info{};
    std::string out(256, '\0');
    const auto find = [&](std::size_t *len) {
        return pusherc_broadcast_url(
            [](const char *name, void *to) noexcept -> const char * {
                auto &asked = *static_cast<struct call *>(to);
                return asked.visit(name) ? asked.value : nullptr;
            },
            &call, out.data(), out.size(), len, &info);
    };
    std::size_t len = 0;
    int code = find(&len);
    if (code == PUSHERC_ENOBUFS) {
        out.resize(len); /* with NUL */
        code = find(&len);
    }
    check(visit.rethrow(code), info);
    out.resize(len);
    return out;
}

} // namespace pusherc

#endif /* PUSHERC_CPP_BROADCAST_HPP */
