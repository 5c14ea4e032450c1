/**
 * @file values.hpp
 * Text, structs, times, lists and errors: what C says with pointers, lengths and codes. Part of pusherc.hpp.
 */
#ifndef PUSHERC_CPP_VALUES_HPP
#define PUSHERC_CPP_VALUES_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <iterator>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

#include <pusherc/pusherc.h>

/** 0 in a program that is compiled without exceptions (-fno-exceptions). */
#if defined(__cpp_exceptions) || defined(_CPPUNWIND)
#    define PUSHERC_HAS_EXCEPTIONS 1
#else
#    define PUSHERC_HAS_EXCEPTIONS 0
#endif

namespace pusherc
{

/* -- text, structs, times -- */

/** Borrowed bytes as the C functions take them. */
constexpr pusherc_slice slice(std::string_view text) noexcept
{
    return pusherc_slice{text.data(), text.size()};
}

/** What the library hands out, for as long as the slice is valid. */
constexpr std::string_view view(pusherc_slice text) noexcept
{
    return {text.ptr, text.len};
}

/** A borrowed text that ends with NUL: a literal or a std::string, but not a std::string_view, which may lack the NUL. */
class cstring
{
  public:
    constexpr cstring(const char *text) noexcept : text_(text) {}
    cstring(const std::string &text) noexcept : text_(text.c_str()) {}
    constexpr const char *get() const noexcept { return text_; }

  private:
    const char *text_;
};

/** A struct of the C interface with its size: what the _INIT macros are in C. */
template <class T> constexpr T make() noexcept
{
    T value{};
    value.struct_size = sizeof value;
    return value;
}

/** The longest time there is, 49 days; server::wait(), server::poll() and server::wait_time() take it as "for ever". */
inline constexpr std::chrono::milliseconds forever{UINT32_MAX};

/** Milliseconds as C takes them: 0 if the time is over already, UINT32_MAX if it is longer than `forever`. */
constexpr std::uint32_t ms(std::chrono::milliseconds time) noexcept
{
    if (time.count() <= 0)
        return 0;
    return time < forever ? static_cast<std::uint32_t>(time.count()) : UINT32_MAX;
}

/** "<a>.<b>", as clients know the connection. */
inline std::string to_string(pusherc_socket_id id)
{
    char text[PUSHERC_SOCKET_ID_STRLEN];
    return {text, pusherc_socket_id_format(id, text)};
}

/** The id that a client has sent, or nothing if that is none. */
inline std::optional<pusherc_socket_id> parse_socket_id(std::string_view text) noexcept
{
    pusherc_socket_id id;
    if (pusherc_socket_id_parse(slice(text), &id))
        return std::nullopt;
    return id;
}

/* -- lists -- */

/** What a query found: valid during the call that received it. The items may be larger than this header knows. */
template <class T> class items
{
  public:
    class iterator
    {
      public:
        using iterator_category = std::forward_iterator_tag;
        using value_type = T;
        using difference_type = std::ptrdiff_t;
        using pointer = const T *;
        using reference = const T &;
        iterator() noexcept = default;
        iterator(const char *at, std::size_t step) noexcept : at_(at), step_(step) {}
        reference operator*() const noexcept { return *operator->(); }
        pointer operator->() const noexcept
        {
            return static_cast<pointer>(static_cast<const void *>(at_));
        }
        iterator &operator++() noexcept
        {
            at_ += step_;
            return *this;
        }
        iterator operator++(int) noexcept
        {
            iterator before = *this;
            ++*this;
            return before;
        }
        friend bool operator==(const iterator &a, const iterator &b) noexcept
        {
            return a.at_ == b.at_;
        }
        friend bool operator!=(const iterator &a, const iterator &b) noexcept
        {
            return a.at_ != b.at_;
        }

      private:
        const char *at_ = nullptr;
        std::size_t step_ = 0;
    };
    items(const T *first, std::size_t count) noexcept
        : first_(static_cast<const char *>(static_cast<const void *>(first))), size_(count),
          step_(count ? first->struct_size : 0)
    {
    }
    iterator begin() const noexcept { return {first_, step_}; }
    iterator end() const noexcept { return {first_ + size_ * step_, step_}; }
    std::size_t size() const noexcept { return size_; }
    bool empty() const noexcept { return size_ == 0; }

  private:
    const char *first_;
    std::size_t size_, step_;
};

/* -- errors -- */

/** The category of the library's error codes: names and texts are those of PUSHERC_ERROR_MAP. */
inline const std::error_category &category() noexcept
{
    struct type final : std::error_category {
        const char *name() const noexcept override { return "pusherc"; }
        std::string message(int code) const override { return pusherc_strerror(code); }
        std::error_condition default_error_condition(int code) const noexcept override
        {
            if (code == PUSHERC_EINVAL)
                return std::errc::invalid_argument;
            if (code == PUSHERC_ENOMEM)
                return std::errc::not_enough_memory;
            if (code == PUSHERC_ETIMEDOUT)
                return std::errc::timed_out;
            if (code == PUSHERC_ECANCELED)
                return std::errc::operation_canceled;
            return {code, *this};
        }
    };
    static const type instance;
    return instance;
}

/** What a C function returned, as an error code; false for 0. */
inline std::error_code result(int code) noexcept
{
    return code ? std::error_code(code, category()) : std::error_code();
}

/** Thrown by calls that set something up. what() is the sentence of pusherc_errinfo. */
class error : public std::system_error
{
  public:
    error(int code, const pusherc_errinfo &info) : system_error(result(code)), info_(info) {}
    const char *what() const noexcept override
    {
        return info_.text[0] ? info_.text : system_error::what();
    }
    /** -errno, UV_E* or a code of Mbed TLS; 0 = none. */
    int sys() const noexcept { return info_.sys; }

  private:
    pusherc_errinfo info_;
};

/** Throw pusherc::error unless the code is 0. In a program without exceptions it ends the program instead. */
inline void check(std::error_code code, const pusherc_errinfo &info = {})
{
    if (!code)
        return;
#if PUSHERC_HAS_EXCEPTIONS
    throw error(code.value(), info);
#else
    (void)info;
    std::terminate();
#endif
}

/**
 * The text that a function of sign.h writes, for example
 * `text([&](char *out, size_t cap, size_t *len) { return pusherc_sign_user(&keys, id, data, out, cap, len); })`.
 * Throws pusherc::error.
 */
template <class Write> std::string text(Write write)
{
    std::size_t len = 0;
    int code = write(static_cast<char *>(nullptr), std::size_t{0}, &len);
    std::string out;
    if (code == PUSHERC_ENOBUFS) {
        out.resize(len); /* with NUL */
        code = write(out.data(), out.size(), &len);
    }
    check(result(code));
    out.resize(len);
    return out;
}

} // namespace pusherc

/** So that `error == PUSHERC_EBACKLOG` compares a std::error_code. */
template <> struct std::is_error_code_enum<pusherc_error> : std::true_type {
};

/** As the standard library looks for it. */
inline std::error_code make_error_code(pusherc_error code) noexcept
{
    return pusherc::result(code);
}

#endif /* PUSHERC_CPP_VALUES_HPP */
