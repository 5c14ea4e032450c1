/**
 * @file question.hpp
 * Questions of the server that the host answers: they can be moved, and are refused if they are destroyed unanswered.
 * Part of pusherc.hpp.
 */
#ifndef PUSHERC_CPP_QUESTION_HPP
#define PUSHERC_CPP_QUESTION_HPP

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <system_error>

#include <pusherc/cpp/values.hpp>

namespace pusherc
{

/**
 * A question of the server. It can be moved, kept, and answered later from any thread, also after the server is gone.
 * It is answered exactly once: one that is destroyed without an answer is refused. After the answer, or after a move
 * away from it, reading it gives nothing, and another answer returns PUSHERC_ESTATE.
 */
template <class Raw, class Refuse> class question
{
  public:
    explicit operator bool() const noexcept { return raw_ != nullptr; }
    /** For the C functions; owned by this object. */
    Raw *get() const noexcept { return raw_.get(); }
    /** Give it away: the caller has to answer it. */
    Raw *release() noexcept { return raw_.release(); }

  protected:
    question() noexcept = default;
    explicit question(Raw *raw) noexcept : raw_(raw) {}
    std::string_view read(pusherc_slice (*reader)(const Raw *)) const noexcept
    {
        return raw_ ? view(reader(raw_.get())) : std::string_view();
    }
    std::string_view read(pusherc_slice (*reader)(const Raw *, const char *),
                          cstring name) const noexcept
    {
        return raw_ ? view(reader(raw_.get(), name.get())) : std::string_view();
    }
    template <class Answer> std::error_code answer(Answer with) noexcept
    {
        return result(raw_ ? with(raw_.release()) : PUSHERC_ESTATE);
    }

  private:
    struct refusal {
        void operator()(Raw *raw) const noexcept { Refuse::refuse(raw); }
    };
    std::unique_ptr<Raw, refusal> raw_;
};

/** How questions without an answer are refused. */
struct unanswered {
    static void refuse(pusherc_auth_request *raw) noexcept
    {
        (void)pusherc_auth_deny(raw, 403, "Internal error");
    }
    static void refuse(pusherc_identify_request *raw) noexcept
    {
        (void)pusherc_identify_reject(raw, 4100, "Internal error"); /* clients come back */
    }
    static void refuse(pusherc_app_request *raw) noexcept
    {
        (void)pusherc_app_answer(raw, nullptr);
    }
    static void refuse(pusherc_http_request *raw) noexcept
    {
        (void)pusherc_http_respond(raw, 503, nullptr, 0, slice("Internal error\n"));
    }
};

/** "May this user have this channel?" Without an answer: 403. */
class auth_request : public question<pusherc_auth_request, unanswered>
{
  public:
    auth_request() noexcept = default;
    explicit auth_request(pusherc_auth_request *raw) noexcept : question(raw) {}

    /** As hooks.on_abandoned and message::abandoned name it; 0 after the answer. */
    std::uint64_t number() const noexcept { return get() ? pusherc_auth_question(get()) : 0; }
    std::string_view app_id() const noexcept { return read(pusherc_auth_app_id); }
    std::string_view channel() const noexcept { return read(pusherc_auth_channel); }
    std::string_view param(cstring name) const noexcept { return read(pusherc_auth_param, name); }
    std::string_view user_id() const noexcept { return read(pusherc_auth_user_id); }
    pusherc_socket_id socket_id() const noexcept
    {
        return get() ? pusherc_auth_socket_id(get()) : pusherc_socket_id{};
    }
    /** What identify_request::accept() has attached: T has to be the type that it was given. */
    template <class T> T *data() const noexcept
    {
        return get() ? static_cast<T *>(pusherc_auth_conn_data(get())) : nullptr;
    }
    std::error_code allow(pusherc_grant grant = {}) noexcept
    {
        grant.struct_size = sizeof grant;
        return answer([&](auto *raw) { return pusherc_auth_allow(raw, &grant); });
    }
    std::error_code deny(int status = 0, cstring reason = nullptr) noexcept
    {
        return answer([&](auto *raw) { return pusherc_auth_deny(raw, status, reason.get()); });
    }
};

/** "Who is this?" Without an answer: 4100, so that the client comes back. */
class identify_request : public question<pusherc_identify_request, unanswered>
{
  public:
    identify_request() noexcept = default;
    explicit identify_request(pusherc_identify_request *raw) noexcept : question(raw) {}

    /** As hooks.on_abandoned and message::abandoned name it; 0 after the answer. */
    std::uint64_t number() const noexcept { return get() ? pusherc_identify_question(get()) : 0; }
    pusherc_identify_purpose purpose() const noexcept
    {
        return get() ? pusherc_identify_purpose_of(get()) : PUSHERC_IDENTIFY_CONNECT;
    }
    std::string_view app_id() const noexcept { return read(pusherc_identify_app_id); }
    std::string_view header(cstring name) const noexcept
    {
        return read(pusherc_identify_header, name);
    }
    std::string_view cookie(cstring name) const noexcept
    {
        return read(pusherc_identify_cookie, name);
    }
    std::string_view bearer() const noexcept { return read(pusherc_identify_bearer); }
    std::string_view query(cstring name) const noexcept
    {
        return read(pusherc_identify_query, name);
    }
    std::string_view path() const noexcept { return read(pusherc_identify_path); }
    std::string_view peer() const noexcept { return read(pusherc_identify_peer); }
    std::string_view client_ip() const noexcept { return read(pusherc_identify_client_ip); }

    /** Without an argument: anonymous. */
    std::error_code accept(pusherc_identity who = {}) noexcept
    {
        who.struct_size = sizeof who;
        return answer([&](auto *raw) { return pusherc_identify_accept(raw, &who); });
    }
    std::error_code accept(std::string_view user_id) noexcept
    {
        pusherc_identity who{};
        who.user_id = slice(user_id);
        return accept(who);
    }
    /** The connection owns `data` from now on: conn::data() and auth_request::data() lend it. */
    template <class T>
    std::error_code accept(pusherc_identity who, std::unique_ptr<T> data) noexcept
    {
        if (!get())
            return result(PUSHERC_ESTATE);
        who.data = data.release();
        who.free_data = [](void *ptr) { delete static_cast<T *>(ptr); };
        return accept(who);
    }
    std::error_code reject(std::uint16_t close_code, cstring reason = nullptr) noexcept
    {
        return answer(
            [&](auto *raw) { return pusherc_identify_reject(raw, close_code, reason.get()); });
    }
};

/** "Which app is this?" Without an answer: there is no such app. */
class app_request : public question<pusherc_app_request, unanswered>
{
  public:
    app_request() noexcept = default;
    explicit app_request(pusherc_app_request *raw) noexcept : question(raw) {}

    /** As hooks.on_abandoned and message::abandoned name it; 0 after the answer. */
    std::uint64_t number() const noexcept
    {
        return get() ? pusherc_app_request_question(get()) : 0;
    }
    std::string_view id() const noexcept { return read(pusherc_app_request_id); }
    std::string_view key() const noexcept { return read(pusherc_app_request_key); }
    std::error_code found(pusherc_app_options app) noexcept
    {
        app.struct_size = sizeof app;
        return answer([&](auto *raw) { return pusherc_app_answer(raw, &app); });
    }
    std::error_code unknown() noexcept
    {
        return answer([](auto *raw) { return pusherc_app_answer(raw, nullptr); });
    }
};

/** A request for one of the host's own pages. Without an answer: 503. */
class http_request : public question<pusherc_http_request, unanswered>
{
  public:
    http_request() noexcept = default;
    explicit http_request(pusherc_http_request *raw) noexcept : question(raw) {}

    /** As hooks.on_abandoned and message::abandoned name it; 0 after the answer. */
    std::uint64_t number() const noexcept { return get() ? pusherc_http_question(get()) : 0; }
    std::string_view method() const noexcept { return read(pusherc_http_method); }
    std::string_view path() const noexcept { return read(pusherc_http_path); }
    std::string_view query(cstring name) const noexcept { return read(pusherc_http_query, name); }
    std::string_view header(cstring name) const noexcept { return read(pusherc_http_header, name); }
    std::string_view cookie(cstring name) const noexcept { return read(pusherc_http_cookie, name); }
    std::string_view body() const noexcept { return read(pusherc_http_body); }
    std::string_view form(cstring name) const noexcept { return read(pusherc_http_form, name); }
    std::string_view peer() const noexcept { return read(pusherc_http_peer); }
    std::string_view client_ip() const noexcept { return read(pusherc_http_client_ip); }

    /** `type` is the Content-Type; "" = none. */
    std::error_code respond(int status, std::string_view body, std::string_view type = "") noexcept
    {
        const pusherc_http_field field{slice("Content-Type"), slice(type)};
        return respond(status, body, &field, type.empty() ? 0 : 1);
    }
    std::error_code respond(int status, std::string_view body, const pusherc_http_field *fields,
                            std::size_t field_count) noexcept
    {
        return answer([&](auto *raw) {
            return pusherc_http_respond(raw, status, fields, field_count, slice(body));
        });
    }
};

/** Questions of one rule that arose together: 1 to 64. Each is answered by itself, and can be moved away. */
class auth_requests
{
  public:
    auth_requests(pusherc_auth_request *const *raw, std::size_t count) noexcept : size_(count)
    {
        for (std::size_t i = 0; i < count; i++)
            items_[i] = auth_request(raw[i]);
    }
    auth_request *begin() noexcept { return items_; }
    auth_request *end() noexcept { return items_ + size_; }
    std::size_t size() const noexcept { return size_; }
    auth_request &operator[](std::size_t i) noexcept { return items_[i]; }
    static constexpr std::size_t max_size = 64;

  private:
    auth_request items_[max_size];
    std::size_t size_;
};

} // namespace pusherc

#endif /* PUSHERC_CPP_QUESTION_HPP */
