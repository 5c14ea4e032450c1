/**
 * @file function.hpp
 * The host's functions: how they are kept, and how they are called without an exception passing through C. Part of
 * pusherc.hpp.
 */
#ifndef PUSHERC_CPP_FUNCTION_HPP
#define PUSHERC_CPP_FUNCTION_HPP

#include <exception>
#include <functional>
#include <memory>
#include <type_traits>
#include <utility>

#include <pusherc/cpp/values.hpp>

namespace pusherc
{

template <class Signature> class function;

/**
 * A function with what it has captured: std::function that may also own what cannot be copied. It is made once; calling
 * it allocates nothing. Several workers may call it at the same time.
 */
template <class Result, class... Args> class function<Result(Args...)>
{
    struct callable {
        virtual ~callable() = default;
        virtual Result call(Args... args) = 0;
    };
    template <class F> struct holder final : callable {
        F target;
        template <class From> explicit holder(From &&from) : target(std::forward<From>(from)) {}
        Result call(Args... args) override
        {
            if constexpr (std::is_void_v<Result>)
                static_cast<void>(std::invoke(target, std::forward<Args>(args)...));
            else
                return std::invoke(target, std::forward<Args>(args)...);
        }
    };
    template <class F>
    using if_callable = std::enable_if_t<!std::is_same_v<std::decay_t<F>, function> &&
                                         std::is_invocable_r_v<Result, std::decay_t<F> &, Args...>>;
    std::unique_ptr<callable> callable_;

  public:
    function() noexcept = default;
    function(std::nullptr_t) noexcept {}
    template <class F, class = if_callable<F>>
    function(F &&f) : callable_(std::make_unique<holder<std::decay_t<F>>>(std::forward<F>(f)))
    {
    }
    explicit operator bool() const noexcept { return callable_ != nullptr; }
    Result operator()(Args... args) const { return callable_->call(std::forward<Args>(args)...); }
};

/** Internal: not for hosts. */
namespace detail
{

/** Calls f; what it throws does not leave this function: then, in the handler, it calls failed(). */
template <class F, class Failed> void contain(F &&f, Failed &&failed) noexcept
{
#if PUSHERC_HAS_EXCEPTIONS
    try {
        f();
    } catch (...) {
        failed();
    }
#else
    (void)failed;
    f();
#endif
}

/** Where exceptions and log lines go. Shared with everything that may run when the server is gone. */
struct reports {
    function<void(std::exception_ptr)> on_error;
    function<void(const pusherc_log_entry &)> log;
    pusherc_log_fn log_fn = nullptr;
    void *log_user_data = nullptr;

    static void on_log(const pusherc_log_entry *entry, void *self) noexcept
    {
        contain([&] { static_cast<reports *>(self)->log(*entry); },
                [] { /* a line that cannot be written */ });
    }

    void say(const char *what) const noexcept
    {
        if (!log_fn)
            return;
        auto entry = make<pusherc_log_entry>();
        entry.level = PUSHERC_LOG_ERROR;
        entry.subject = "host", entry.file = __FILE__, entry.line = __LINE__;
        entry.message = pusherc_slice_of(what);
        log_fn(&entry, log_user_data);
    }

    /** What on_error throws, or what it would have been told, is a log line. */
    void tell(const std::exception_ptr &error) const noexcept
    {
#if PUSHERC_HAS_EXCEPTIONS
        try {
            if (!on_error)
                std::rethrow_exception(error);
            on_error(error);
        } catch (const std::exception &e) {
            say(e.what());
        } catch (...) {
            say("a function of the host has thrown something that is no std::exception");
        }
#else
        (void)error;
#endif
    }

    template <class F> void run(F f) const noexcept
    {
        contain(f, [this] { tell(std::current_exception()); });
    }
};

/** A function that waits to be called once, with no owner but the C library. */
template <class Signature> struct once {
    std::shared_ptr<const reports> told;
    function<Signature> done;

    /** NULL if there is nothing to call. */
    static std::unique_ptr<once> make(const std::shared_ptr<const reports> &told,
                                      function<Signature> done)
    {
        if (!done)
            return nullptr;
        return std::unique_ptr<once>(new once{told, std::move(done)});
    }
    template <class... Args> static void call(void *user_data, Args... args) noexcept
    {
        const std::unique_ptr<once> self(static_cast<once *>(user_data));
        self->told->run([&] { self->done(args...); });
    }
};

/** Calls a function of the host several times before it returns, and throws the first that it has thrown afterwards. */
template <class F> class visit
{
  public:
    explicit visit(F &f) noexcept : f_(f) {}
    template <class... Args> bool operator()(Args &&...args) noexcept
    {
        contain([&] { f_(std::forward<Args>(args)...); },
                [this] {
                    if (!thrown_)
                        thrown_ = std::current_exception();
                });
        return !thrown_;
    }
    static visit &of(void *user_data) noexcept { return *static_cast<visit *>(user_data); }
    std::error_code rethrow(int code) const
    {
        if (thrown_)
            std::rethrow_exception(thrown_);
        return result(code);
    }

  private:
    F &f_;
    std::exception_ptr thrown_;
};

} // namespace detail

} // namespace pusherc

#endif /* PUSHERC_CPP_FUNCTION_HPP */
