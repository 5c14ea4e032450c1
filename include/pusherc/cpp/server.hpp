/**
 * @file server.hpp
 * The server. Part of pusherc.hpp.
 */
#ifndef PUSHERC_CPP_SERVER_HPP
#define PUSHERC_CPP_SERVER_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>

#include <pusherc/cpp/hooks.hpp>

namespace pusherc
{

/**
 * A server, freed with this object. It can be moved; calls of one that was moved away from return or throw
 * PUSHERC_EINVAL. In attach mode it must have stopped before it is destroyed; its end may be in the function given to
 * stop().
 */
class server
{
  public:
    /**
     * Throws pusherc::error; PUSHERC_EINVAL also if options.hooks is set: give `functions` instead. For messages instead
     * of calls set options.inbox and options.inbox_messages, see inbox.
     */
    explicit server(pusherc_server_options options = {}, hooks functions = {})
        : state_(std::make_unique<detail::state>())
    {
        pusherc_errinfo info{};
        check(set_up(options, std::move(functions), info), info);
    }
    /** The same for programs without exceptions. With an error, calls of the server return PUSHERC_EINVAL. */
    static std::pair<server, std::error_code> create(pusherc_server_options options,
                                                     hooks functions, pusherc_errinfo &info)
    {
        server made(std::make_unique<detail::state>());
        const std::error_code failed = made.set_up(options, std::move(functions), info);
        return {std::move(made), failed};
    }

    /** For the C functions; owned by this object. NULL if it was moved away from. */
    pusherc_server *get() const noexcept { return state_ ? state_->raw : nullptr; }

    /** @name Setting up: these throw pusherc::error
     * With a pusherc_errinfo as last argument they return the error instead, and fill that.
     * @{ */
    void put_app(pusherc_app_options app)
    {
        or_throw([&](auto &info) { return put_app(app, info); });
    }
    std::error_code put_app(pusherc_app_options app, pusherc_errinfo &info) noexcept
    {
        app.struct_size = sizeof app;
        return result(pusherc_server_put_app(get(), &app, &info));
    }
    void put_app(cstring id, cstring key, cstring secret,
                 pusherc_auth_mode mode = PUSHERC_AUTH_SIGNATURE)
    {
        pusherc_app_options app{};
        app.id = id.get(), app.key = key.get(), app.secret = secret.get();
        app.auth_mode = mode;
        put_app(app);
    }
    /** Each begins as make<pusherc_app_options>(). */
    void put_apps(const pusherc_app_options *apps, std::size_t count)
    {
        or_throw([&](auto &info) { return put_apps(apps, count, info); });
    }
    std::error_code put_apps(const pusherc_app_options *apps, std::size_t count,
                             pusherc_errinfo &info) noexcept
    {
        return result(pusherc_server_put_apps(get(), apps, count, &info));
    }
    std::error_code remove_app(cstring app_id) noexcept
    {
        return result(pusherc_server_remove_app(get(), app_id.get()));
    }

    /**
     * Add a rule. `authorize` receives each question; `render`, if it is given, decides what each audience sees of an
     * event, and gives nothing if it throws. Both are kept until the rule is gone.
     */
    void rule(pusherc_rule rule, function<void(auth_request)> authorize,
              function<pusherc_render_verdict(render &)> render = nullptr)
    {
        or_throw([&](auto &info) {
            return this->rule(rule, std::move(authorize), std::move(render), info);
        });
    }
    std::error_code rule(pusherc_rule rule, function<void(auth_request)> authorize,
                         function<pusherc_render_verdict(render &)> render, pusherc_errinfo &info)
    {
        return add(rule, {state_told(), std::move(authorize), nullptr, std::move(render)}, info);
    }
    void rule(cstring pattern, function<void(auth_request)> authorize,
              function<pusherc_render_verdict(render &)> render = nullptr)
    {
        this->rule(rule_of(pattern), std::move(authorize), std::move(render));
    }
    /** As rule(), with up to 64 questions in one call. */
    void rule_batch(pusherc_rule rule, function<void(auth_requests)> authorize,
                    function<pusherc_render_verdict(render &)> render = nullptr)
    {
        or_throw([&](auto &info) {
            return rule_batch(rule, std::move(authorize), std::move(render), info);
        });
    }
    std::error_code rule_batch(pusherc_rule rule, function<void(auth_requests)> authorize,
                               function<pusherc_render_verdict(render &)> render,
                               pusherc_errinfo &info)
    {
        return add(rule, {state_told(), nullptr, std::move(authorize), std::move(render)}, info);
    }
    /**
     * A rule whose questions are messages in pusherc_server_options.inbox. rule.user_data comes back with each of them
     * (message::user_data); PUSHERC_EINVAL with `render`, which needs that place.
     */
    void rule_inbox(pusherc_rule rule, function<pusherc_render_verdict(render &)> render = nullptr)
    {
        or_throw([&](auto &info) { return rule_inbox(rule, std::move(render), info); });
    }
    std::error_code rule_inbox(pusherc_rule rule, function<pusherc_render_verdict(render &)> render,
                               pusherc_errinfo &info)
    {
        rule.inbox = true;
        if (!render) {
            rule.struct_size = sizeof rule;
            return result(pusherc_server_add_rule(get(), &rule, &info));
        }
        if (rule.user_data)
            return result(PUSHERC_EINVAL);
        return add(rule, {state_told(), nullptr, nullptr, std::move(render)}, info);
    }
    void rule_inbox(cstring pattern, function<pusherc_render_verdict(render &)> render = nullptr)
    {
        rule_inbox(rule_of(pattern), std::move(render));
    }
    void remove_rule(cstring pattern, cstring app_id = nullptr)
    {
        or_throw([&](auto &info) { return remove_rule(pattern, app_id, info); });
    }
    std::error_code remove_rule(cstring pattern, cstring app_id, pusherc_errinfo &info) noexcept
    {
        return result(pusherc_server_remove_rule(get(), app_id.get(), pattern.get(), &info));
    }

    /** Returns the port of the listener that was added. */
    std::uint16_t listen(pusherc_listen_options address = {})
    {
        or_throw([&](auto &info) { return listen(address, info); });
        return port(state_->listeners - 1);
    }
    std::error_code listen(pusherc_listen_options address, pusherc_errinfo &info) noexcept
    {
        address.struct_size = sizeof address;
        const int code = pusherc_server_listen(get(), &address, &info);
        if (code == 0)
            state_->listeners++;
        return result(code);
    }
    std::uint16_t port(std::size_t listener = 0) const noexcept
    {
        return get() ? pusherc_server_port(get(), listener) : std::uint16_t{0};
    }
    void reload_tls(std::size_t listener, pusherc_tls_options tls)
    {
        or_throw([&](auto &info) { return reload_tls(listener, tls, info); });
    }
    std::error_code reload_tls(std::size_t listener, pusherc_tls_options tls,
                               pusherc_errinfo &info) noexcept
    {
        tls.struct_size = sizeof tls;
        return result(pusherc_server_reload_tls(get(), listener, &tls, &info));
    }
    void start()
    {
        or_throw([&](auto &info) { return start(info); });
    }
    std::error_code start(pusherc_errinfo &info) noexcept
    {
        return result(pusherc_server_start(get(), &info));
    }
    /** @} */

    /** @name Running and stopping
     * @{ */
    /** Poll mode. False: it has stopped. Throws pusherc::error (PUSHERC_ESTATE). */
    bool poll(std::chrono::milliseconds timeout = {})
    {
        std::error_code failed;
        const bool runs = poll(timeout, failed);
        check(failed);
        return runs;
    }
    bool poll(std::chrono::milliseconds timeout, std::error_code &failed) noexcept
    {
        const int code = pusherc_server_poll(get(), ms(timeout));
        failed = result(code < 0 ? code : 0);
        return code == 1;
    }
    /** Poll mode: the descriptor to wait for. Throws pusherc::error (PUSHERC_ESTATE). */
    int fd() const
    {
        const int fd = pusherc_server_fd(get());
        check(result(fd < 0 ? fd : 0));
        return fd;
    }
    /** Poll mode: how long to wait for the descriptor; `forever` = for as long as the loop likes. */
    std::chrono::milliseconds wait_time() const noexcept
    {
        return std::chrono::milliseconds(pusherc_server_wait_ms(get()));
    }
    std::error_code adopt(std::intptr_t os_socket, std::string_view head = {}) noexcept
    {
        return result(pusherc_server_adopt(get(), os_socket, slice(head)));
    }
    /** `stopped` is called once when the stop has ended; not if the call returns an error. Allocates if it is given. */
    std::error_code stop(std::chrono::milliseconds grace = {}, function<void()> stopped = nullptr)
    {
        if (!get())
            return result(PUSHERC_EINVAL);
        auto once = detail::once<void()>::make(state_->told, std::move(stopped));
        const int code =
            pusherc_server_stop(get(), ms(grace), once ? on_stopped : nullptr, once.get());
        if (code == 0)
            (void)once.release();
        return result(code);
    }
    std::error_code wait(std::chrono::milliseconds timeout = forever) noexcept
    {
        return result(pusherc_server_wait(get(), ms(timeout)));
    }
    /** @} */

    /** @name Publishing: allocates nothing here
     * @{ */
    [[nodiscard]] std::error_code publish(cstring app_id, std::string_view channel,
                                          std::string_view name, std::string_view data,
                                          pusherc_socket_id except = {}) noexcept
    {
        const pusherc_slice to = slice(channel);
        pusherc_event event{};
        event.name = slice(name), event.data = slice(data);
        event.channels = &to, event.channel_count = 1;
        event.except = except;
        return publish(app_id, event);
    }
    [[nodiscard]] std::error_code publish(cstring app_id, pusherc_event event) noexcept
    {
        event.struct_size = sizeof event;
        return result(pusherc_publish(get(), app_id.get(), &event));
    }
    /** Each begins as make<pusherc_event>(). */
    [[nodiscard]] std::error_code publish_batch(cstring app_id, const pusherc_event *events,
                                                std::size_t count) noexcept
    {
        return result(pusherc_publish_batch(get(), app_id.get(), events, count));
    }
    [[nodiscard]] std::error_code send_to_user(cstring app_id, std::string_view user_id,
                                               std::string_view name,
                                               std::string_view data) noexcept
    {
        return result(
            pusherc_send_to_user(get(), app_id.get(), slice(user_id), slice(name), slice(data)));
    }
    /** @} */

    /** @name Asking the rules again, and closing
     * @{ */
    /** Without `done` it allocates nothing. `done` is not called if the call returns an error. */
    std::error_code
    reauthorize(cstring app_id, pusherc_grant_match match = {},
                function<void(std::uint64_t kept, std::uint64_t revoked)> done = nullptr)
    {
        if (!get())
            return result(PUSHERC_EINVAL);
        match.struct_size = sizeof match;
        auto once = reauthorized::make(state_->told, std::move(done));
        const int code = pusherc_reauthorize(get(), app_id.get(), &match,
                                             once ? on_reauthorized : nullptr, once.get());
        if (code == 0)
            (void)once.release();
        return result(code);
    }
    std::error_code reauthorize_wait(cstring app_id, pusherc_grant_match match = {},
                                     std::chrono::milliseconds timeout = forever,
                                     std::uint64_t *kept = nullptr,
                                     std::uint64_t *revoked = nullptr) noexcept
    {
        match.struct_size = sizeof match;
        return result(
            pusherc_reauthorize_wait(get(), app_id.get(), &match, ms(timeout), kept, revoked));
    }
    std::error_code unsubscribe(cstring app_id, pusherc_socket_id socket_id,
                                std::string_view channel, cstring reason = nullptr) noexcept
    {
        return result(pusherc_server_unsubscribe(get(), app_id.get(), socket_id, pusherc_slice{},
                                                 slice(channel), reason.get()));
    }
    std::error_code unsubscribe_user(cstring app_id, std::string_view user_id,
                                     std::string_view channel, cstring reason = nullptr) noexcept
    {
        return result(pusherc_server_unsubscribe(get(), app_id.get(), pusherc_socket_id{},
                                                 slice(user_id), slice(channel), reason.get()));
    }
    std::error_code disconnect(cstring app_id, pusherc_socket_id socket_id,
                               std::uint16_t close_code, cstring reason = nullptr) noexcept
    {
        return result(
            pusherc_server_disconnect(get(), app_id.get(), socket_id, close_code, reason.get()));
    }
    std::error_code disconnect_user(cstring app_id, std::string_view user_id,
                                    std::uint16_t close_code, cstring reason = nullptr) noexcept
    {
        return result(pusherc_server_disconnect_user(get(), app_id.get(), slice(user_id),
                                                     close_code, reason.get()));
    }
    /** @} */

    /** @name Queries: `done` is called once before the call returns; what it throws, the call throws
     * @{ */
    /** done(items<pusherc_channel_info>) */
    template <class F>
    std::error_code list_channels(cstring app_id, std::string_view prefix, F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_list_channels(
            get(), app_id.get(), slice(prefix),
            [](const pusherc_channel_info *first, std::size_t count, void *to) noexcept {
                detail::visit<F>::of(to)(items<pusherc_channel_info>(first, count));
            },
            &visit));
    }
    /** done(items<pusherc_member>, std::uint64_t sequence) */
    template <class F>
    std::error_code list_members(cstring app_id, std::string_view channel, F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_list_members(
            get(), app_id.get(), slice(channel),
            [](const pusherc_member *first, std::size_t count, std::uint64_t sequence,
               void *to) noexcept {
                detail::visit<F>::of(to)(items<pusherc_member>(first, count), sequence);
            },
            &visit));
    }
    /** done(items<pusherc_user_info>, std::uint64_t sequence) */
    template <class F> std::error_code list_users(cstring app_id, bool away_too, F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_list_users(
            get(), app_id.get(), away_too,
            [](const pusherc_user_info *first, std::size_t count, std::uint64_t sequence,
               void *to) noexcept {
                detail::visit<F>::of(to)(items<pusherc_user_info>(first, count), sequence);
            },
            &visit));
    }
    /** done(items<pusherc_past_event>, bool complete, std::string_view position); after "" = all that are kept */
    template <class F>
    std::error_code history(cstring app_id, std::string_view channel, std::string_view after,
                            F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_history(
            get(), app_id.get(), slice(channel), slice(after),
            [](const pusherc_past_event *first, std::size_t count, bool complete,
               pusherc_slice position, void *to) noexcept {
                detail::visit<F>::of(to)(items<pusherc_past_event>(first, count), complete,
                                         view(position));
            },
            &visit));
    }
    /** done(items<pusherc_connection>); user_id "" = all connections of the app */
    template <class F>
    std::error_code list_connections(cstring app_id, std::string_view user_id, F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_list_connections(
            get(), app_id.get(), slice(user_id),
            [](const pusherc_connection *first, std::size_t count, void *to) noexcept {
                detail::visit<F>::of(to)(items<pusherc_connection>(first, count));
            },
            &visit));
    }
    /** done(const pusherc_cached_event *): nullptr if the channel keeps none */
    template <class F>
    std::error_code get_cached_event(cstring app_id, std::string_view channel, F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_get_cached_event(
            get(), app_id.get(), slice(channel),
            [](const pusherc_cached_event *event, void *to) noexcept {
                detail::visit<F>::of(to)(event);
            },
            &visit));
    }
    /** done(std::string_view json) */
    template <class F>
    std::error_code explain(cstring app_id, std::string_view channel, std::string_view user_id,
                            F done) const
    {
        detail::visit<F> visit(done);
        return visit.rethrow(pusherc_explain(
            get(), app_id.get(), slice(channel), slice(user_id),
            [](pusherc_slice json, void *to) noexcept { detail::visit<F>::of(to)(view(json)); },
            &visit));
    }
    /** write(std::string_view chunk), several times */
    template <class F> std::error_code metrics(F write) const
    {
        detail::visit<F> visit(write);
        return visit.rethrow(pusherc_server_metrics(
            get(),
            [](pusherc_slice chunk, void *to) noexcept {
                return detail::visit<F>::of(to)(view(chunk)) ? 0 : int{PUSHERC_ECANCELED};
            },
            &visit));
    }
    /** `out.name` points to what `name` points to. */
    std::error_code get_channel(cstring app_id, std::string_view name,
                                pusherc_channel_info &out) const noexcept
    {
        out.struct_size = sizeof out;
        return result(pusherc_get_channel(get(), app_id.get(), slice(name), &out));
    }
    /** PUSHERC_ENOENT also if the user is not known. `out.user_id` points to what `user_id` points to. */
    std::error_code get_user(cstring app_id, std::string_view user_id,
                             pusherc_user_info &out) const noexcept
    {
        out.struct_size = sizeof out;
        return result(pusherc_get_user(get(), app_id.get(), slice(user_id), &out));
    }
    /** Zeros if the server was moved away from. */
    pusherc_stats stats() const noexcept
    {
        auto out = make<pusherc_stats>();
        (void)pusherc_server_stats(get(), &out);
        return out;
    }
    /** Silence these reports of the inbox for a time: message_bits(PUSHERC_MESSAGE_CHANNEL, ...); 0 = none. */
    std::error_code mute(std::uint32_t messages) noexcept
    {
        return result(pusherc_server_mute(get(), messages));
    }
    /** @} */

  private:
    using reauthorized = detail::once<void(std::uint64_t, std::uint64_t)>;

    static void on_stopped(pusherc_server *, void *user_data) noexcept
    {
        detail::once<void()>::call(user_data);
    }
    static void on_reauthorized(std::uint64_t kept, std::uint64_t revoked, void *user_data) noexcept
    {
        reauthorized::call(user_data, kept, revoked);
    }
    explicit server(std::unique_ptr<detail::state> state) noexcept : state_(std::move(state)) {}

    template <class F> static void or_throw(F f)
    {
        pusherc_errinfo info{};
        check(f(info), info);
    }
    static pusherc_rule rule_of(cstring pattern) noexcept
    {
        pusherc_rule rule{};
        rule.pattern = pattern.get();
        return rule;
    }
    std::shared_ptr<const detail::reports> state_told() const noexcept
    {
        return state_ ? state_->told : nullptr;
    }

    std::error_code set_up(pusherc_server_options options, hooks functions, pusherc_errinfo &info)
    {
        if (options.hooks)
            return result(PUSHERC_EINVAL);
        auto &told = *state_->told;
        told.on_error = std::move(functions.on_error);
        told.log = std::move(functions.log);
        state_->functions = std::move(functions);
        if (told.log) {
            options.log_fn = detail::reports::on_log;
            options.log_user_data = &told;
        }
        told.log_fn = options.log_fn;
        told.log_user_data = options.log_user_data;
        pusherc_hooks c = state_->questions();
        state_->reports_to(c);
        options.hooks = &c;
        options.struct_size = sizeof options;
        return result(pusherc_server_new(&state_->raw, &options, &info));
    }

    std::error_code add(pusherc_rule rule, detail::rule of, pusherc_errinfo &info)
    {
        if (!get())
            return result(PUSHERC_EINVAL);
        auto functions = std::make_unique<detail::rule>(std::move(of));
        rule.struct_size = sizeof rule;
        rule.authorize = functions->authorize ? detail::rule::on_authorize : nullptr;
        rule.authorize_batch = functions->authorize_batch ? detail::rule::on_batch : nullptr;
        rule.render = functions->render_fn ? detail::rule::on_render : nullptr;
        rule.user_data = functions.get();
        rule.free_user_data = [](void *ptr) { delete static_cast<detail::rule *>(ptr); };
        const int code = pusherc_server_add_rule(get(), &rule, &info);
        if (code == 0)
            (void)functions.release();
        return result(code);
    }

    std::unique_ptr<detail::state> state_;
};

/** The same for programs without exceptions. */
template <class F>
std::error_code apps_from_json(std::string_view json, F each, pusherc_errinfo &info)
{
    detail::visit<F> visit(each);
    return visit.rethrow(pusherc_apps_from_json(
        slice(json),
        [](const pusherc_app_options *app, void *to) noexcept {
            return detail::visit<F>::of(to)(*app) ? 0 : int{PUSHERC_ECANCELED};
        },
        &visit, &info));
}

/** each(const pusherc_app_options &), for each app of the JSON text. Throws pusherc::error, and what `each` throws. */
template <class F> void apps_from_json(std::string_view json, F each)
{
    pusherc_errinfo info{};
    check(apps_from_json(json, each, info), info);
}

} // namespace pusherc

#endif /* PUSHERC_CPP_SERVER_HPP */
