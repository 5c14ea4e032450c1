/**
 * @file inbox.hpp
 * Questions and reports as messages that a thread of the host takes. Part of pusherc.hpp.
 */
#ifndef PUSHERC_CPP_INBOX_HPP
#define PUSHERC_CPP_INBOX_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>
#include <utility>
#include <variant>

#include <pusherc/cpp/function.hpp>
#include <pusherc/cpp/question.hpp>

namespace pusherc
{

/** The pusherc_server_options.inbox_messages of these types. */
template <class... Types> constexpr std::uint32_t message_bits(Types... types) noexcept
{
    return (std::uint32_t{0} | ... | (std::uint32_t{1} << types));
}

/** One function of several lambdas, one for each type: for std::visit(). */
template <class... F> struct overloaded : F... {
    using F::operator()...;
};
template <class... F> overloaded(F...) -> overloaded<F...>;

/**
 * One message. A question in it that is not moved away is refused when the message goes. Texts of reports live until the
 * next inbox::take().
 */
struct message {
    /** What the reports have in common. */
    class report
    {
      public:
        explicit report(const pusherc_message &raw) noexcept : raw_(raw) {}
        pusherc_socket_id socket_id() const noexcept { return raw_.socket_id; }
        std::string_view app_id() const noexcept { return view(raw_.app_id); }
        std::string_view channel() const noexcept { return view(raw_.channel); }
        std::string_view user_id() const noexcept { return view(raw_.user_id); }

      protected:
        pusherc_message raw_;
    };
    /** Nothing waits any more for the answer to this question. It still has to be answered. */
    struct abandoned {
        std::uint64_t number; /**< of the question, as auth_request::number() */
    };
    /** What reports about connections have in common. */
    struct conn_report : report {
        using report::report;
        std::string_view client_ip() const noexcept { return view(raw_.data); }
    };
    struct opened : conn_report {
        using conn_report::conn_report;
    };
    struct closed : conn_report {
        using conn_report::conn_report;
        std::uint16_t close_code() const noexcept
        {
            return static_cast<std::uint16_t>(raw_.number);
        }
    };
    struct signed_in : conn_report {
        using conn_report::conn_report;
    };
    struct channel_event : report {
        using report::report;
        pusherc_channel_event_type type() const noexcept
        {
            return static_cast<pusherc_channel_event_type>(raw_.number);
        }
        /** Of the process, or of all linked servers. */
        pusherc_scope scope() const noexcept
        {
            return raw_.name.len ? PUSHERC_SCOPE_CLUSTER : PUSHERC_SCOPE_PROCESS;
        }
        std::uint64_t subscription_count() const noexcept { return raw_.a; }
        std::uint64_t sequence() const noexcept { return raw_.b; }
    };
    struct user_event : report {
        using report::report;
        bool online() const noexcept { return raw_.number != 0; }
        std::uint64_t away_ms() const noexcept { return raw_.a; }
        std::uint64_t sequence() const noexcept { return raw_.b; }
    };
    struct client_event : report {
        using report::report;
        std::string_view name() const noexcept { return view(raw_.name); }
        std::string_view data() const noexcept { return view(raw_.data); }
    };
    /** As on_receipt. */
    struct receipt : report {
        using report::report;
        pusherc_receipt_kind kind() const noexcept
        {
            return static_cast<pusherc_receipt_kind>(raw_.number);
        }
        std::string_view name() const noexcept { return view(raw_.name); }
        std::string_view id() const noexcept { return view(raw_.data); }
        std::uint64_t at_ms() const noexcept { return raw_.a; }
    };
    /** As on_ephemeral_end; the state's key is in the data. */
    struct ephemeral_end : report {
        using report::report;
        pusherc_ephemeral_reason reason() const noexcept
        {
            return static_cast<pusherc_ephemeral_reason>(raw_.number);
        }
        std::string_view name() const noexcept { return view(raw_.name); }
        std::string_view data() const noexcept { return view(raw_.data); }
    };
    struct denied : report {
        using report::report;
        pusherc_denial_reason reason() const noexcept
        {
            return static_cast<pusherc_denial_reason>(raw_.number);
        }
        int status() const noexcept { return static_cast<int>(raw_.a); }
        std::string_view pattern() const noexcept { return view(raw_.name); }
        std::string_view detail() const noexcept { return view(raw_.data); }
    };
    struct webhook_failed : report {
        using report::report;
        int last_status() const noexcept { return raw_.number; }
        std::uint64_t event_count() const noexcept { return raw_.a; }
        std::uint64_t attempts() const noexcept { return raw_.b; }
        std::string_view url() const noexcept { return view(raw_.name); }
        std::string_view body() const noexcept { return view(raw_.data); }
    };
    struct log_line : report {
        using report::report;
        pusherc_log_level level() const noexcept
        {
            return static_cast<pusherc_log_level>(raw_.number);
        }
        std::string_view subject() const noexcept { return view(raw_.name); }
        std::string_view line() const noexcept { return view(raw_.data); }
    };
    /** The result of a server::reauthorize() without a function. */
    struct reauthorized {
        std::uint64_t kept, revoked;
    };
    /** The server has stopped; only log lines may follow. */
    struct stopped {
    };

    /** std::monostate: a type that this header does not know. */
    using content = std::variant<std::monostate, auth_request, identify_request, app_request,
                                 http_request, abandoned, opened, closed, signed_in, channel_event,
                                 client_event, denied, webhook_failed, log_line, reauthorized,
                                 stopped, user_event, receipt, ephemeral_end>;

    explicit message(const pusherc_message &raw) noexcept
        : what(of(raw)), server(raw.server), user_data(raw.user_data)
    {
    }

    content what;
    pusherc_server *server; /**< compare it with server::get(); the server may have been freed */
    void *user_data; /**< questions to rules: pusherc_rule.user_data; log lines: log_user_data */

  private:
    static content of(const pusherc_message &raw) noexcept
    {
        switch (raw.type) {
        case PUSHERC_MESSAGE_IDENTIFY:
            return identify_request(static_cast<pusherc_identify_request *>(raw.request));
        case PUSHERC_MESSAGE_FIND_APP:
            return app_request(static_cast<pusherc_app_request *>(raw.request));
        case PUSHERC_MESSAGE_HTTP:
            return http_request(static_cast<pusherc_http_request *>(raw.request));
        case PUSHERC_MESSAGE_AUTHORIZE:
            return auth_request(static_cast<pusherc_auth_request *>(raw.request));
        case PUSHERC_MESSAGE_ABANDONED:
            return abandoned{raw.id};
        case PUSHERC_MESSAGE_OPEN:
            return opened(raw);
        case PUSHERC_MESSAGE_CLOSE:
            return closed(raw);
        case PUSHERC_MESSAGE_SIGNIN:
            return signed_in(raw);
        case PUSHERC_MESSAGE_CHANNEL:
            return channel_event(raw);
        case PUSHERC_MESSAGE_CLIENT_EVENT:
            return client_event(raw);
        case PUSHERC_MESSAGE_DENIED:
            return denied(raw);
        case PUSHERC_MESSAGE_WEBHOOK_FAILED:
            return webhook_failed(raw);
        case PUSHERC_MESSAGE_LOG:
            return log_line(raw);
        case PUSHERC_MESSAGE_REAUTHORIZED:
            return reauthorized{raw.a, raw.b};
        case PUSHERC_MESSAGE_STOPPED:
            return stopped{};
        case PUSHERC_MESSAGE_USER:
            return user_event(raw);
        case PUSHERC_MESSAGE_RECEIPT:
            return receipt(raw);
        case PUSHERC_MESSAGE_EPHEMERAL_END:
            return ephemeral_end(raw);
        }
        return {};
    }
};

/**
 * Messages of one or several servers, taken by a thread of the host: name it in pusherc_server_options.inbox. It can be
 * moved, and may be destroyed before its servers and while questions are unanswered. It allocates nothing here.
 */
class inbox
{
  public:
    /** Throws pusherc::error. */
    explicit inbox(pusherc_inbox_options options = {}) { check(set_up(options)); }
    /** The same for programs without exceptions. */
    static std::pair<inbox, std::error_code> create(pusherc_inbox_options options = {}) noexcept
    {
        inbox made(nullptr);
        const std::error_code failed = made.set_up(options);
        return {std::move(made), failed};
    }

    /** For pusherc_server_options and the C functions; owned by this object. NULL if it was moved away from. */
    pusherc_inbox *get() const noexcept { return raw_.get(); }
    /** Readable as long as there is something to take. A loop that closes what it watches gets a duplicate. */
    int fd() const noexcept { return raw_ ? pusherc_inbox_fd(raw_.get()) : -1; }

    /**
     * Take up to 64 messages, the oldest first, and call handle(message) with each; what it throws, the call throws when
     * all of them were handled, and of several the first. Waits at most `timeout` for the first message. Returns how many
     * there were. One thread at a time.
     */
    template <class F> std::size_t take(F handle, std::chrono::milliseconds timeout = {})
    {
        pusherc_message raw[64];
        if (!raw_)
            return 0;
        const std::size_t count =
            pusherc_inbox_take(raw_.get(), raw, sizeof *raw, std::size(raw), ms(timeout));
        detail::visit<F> visit(handle);
        for (std::size_t i = 0; i < count; i++)
            visit(message(raw[i]));
        (void)visit.rethrow(0);
        return count;
    }

  private:
    struct closing {
        void operator()(pusherc_inbox *raw) const noexcept { pusherc_inbox_free(raw); }
    };

    explicit inbox(std::nullptr_t) noexcept {}
    std::error_code set_up(pusherc_inbox_options options) noexcept
    {
        pusherc_inbox *raw = nullptr;
        options.struct_size = sizeof options;
        const int code = pusherc_inbox_new(&raw, &options);
        raw_.reset(raw);
        return result(code);
    }

    std::unique_ptr<pusherc_inbox, closing> raw_;
};

} // namespace pusherc

#endif /* PUSHERC_CPP_INBOX_HPP */
