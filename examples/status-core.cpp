// The core of a status page in C++17: one channel with two audiences. Members see who has changed what; visitors see the
// change alone, and lose the channel when the page becomes private.
//
//   status-core [PORT [PAGE]]     unless given: a port that the system picks, examples/status-core.html
//   GET /                         PAGE; with #token-olga behind it the page is that member's. With a member's bearer token:
//   POST /services    form: service, status         tells all open pages
//   POST /visibility  form: public=yes|no           asks the rule again about all clients; answers when that has ended
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>

#include <cjson/cJSON.h>

#include <pusherc/pusherc.hpp>

struct free_json {
    void operator()(cJSON *json) const { cJSON_Delete(json); }
    void operator()(char *text) const { cJSON_free(text); }
};
using json = std::unique_ptr<cJSON, free_json>;

static std::string printed(const json &value)
{
    const std::unique_ptr<char, free_json> text(cJSON_PrintUnformatted(value.get()));
    return text ? text.get() : throw std::bad_alloc();
}

// The member whose token this is; "" = none. Stands for a look-up in a database.
static std::string_view member_of(std::string_view token)
{
    return token == "token-olga" ? "olga" : token == "token-max" ? "max" : "";
}

class status_page
{
  public:
    status_page(std::uint16_t port, std::istream &&page) : page_(std::istreambuf_iterator(page), {})
    {
        if (page_.empty())
            throw std::runtime_error("the page cannot be read");
        pusherc_server_options options{};
        options.log_fn = pusherc_log_to_stderr; // exceptions of the functions below, too
        pusherc::hooks hooks;
        hooks.identify = [](pusherc::identify_request q) { q.accept(member_of(q.bearer())); };
        hooks.on_http = [this](pusherc::http_request q) { serve(std::move(q)); };
        server_.emplace(options, std::move(hooks));
        server_->put_app("app-id", "app-key", "app-secret", PUSHERC_AUTH_RULES);
        pusherc_rule rule{};
        rule.pattern = "status.page", rule.kinds = PUSHERC_RULE_PUBLIC;
        server_->rule(
            rule, [this](pusherc::auth_request question) { decide(std::move(question)); }, render);
        pusherc_listen_options address{};
        address.port = port;
        server_->listen(address);
        server_->start();
        std::cout << "listening on http://127.0.0.1:" << server_->port() << std::endl;
    }

  private:
    void decide(pusherc::auth_request question)
    {
        const bool member = !question.user_id().empty();
        pusherc_grant grant{};
        grant.view = pusherc::slice(member ? "member" : "visitor");
        if (member || public_)
            question.allow(grant);
        else
            question.deny(403, "This page is for members");
    }

    // Once for all visitors, not for each: no names.
    static pusherc_render_verdict render(pusherc::render &event)
    {
        if (event.audience() == "member")
            return PUSHERC_RENDER_SAME;
        const json change(cJSON_ParseWithLength(event.data().data(), event.data().size()));
        cJSON_DeleteItemFromObjectCaseSensitive(change.get(), "by");
        return change ? event.replaced(printed(change)) : PUSHERC_RENDER_NOTHING;
    }

    void serve(pusherc::http_request request)
    {
        const std::string_view bearer = request.header("Authorization");
        const std::string_view by =
            bearer.substr(0, 7) == "Bearer " ? member_of(bearer.substr(7)) : "";
        if (request.method() == "GET" && request.path() == "/")
            request.respond(200, page_, "text/html; charset=utf-8");
        else if (by.empty())
            request.respond(401, "Who are you?\n");
        else if (request.method() == "POST" && request.path() == "/services")
            change(std::move(request), by);
        else if (request.method() == "POST" && request.path() == "/visibility")
            show(std::move(request));
        else
            request.respond(404, "Not here\n");
    }

    void change(pusherc::http_request request, std::string_view by)
    {
        const json event(cJSON_CreateObject());
        for (const char *name : {"service", "status"})
            cJSON_AddStringToObject(event.get(), name, std::string(request.form(name)).c_str());
        cJSON_AddStringToObject(event.get(), "by", std::string(by).c_str());
        const auto error = server_->publish("app-id", "status.page", "changed", printed(event));
        request.respond(error ? 503 : 200, error ? error.message() : "Told\n");
    }

    // What is published after this reaches no visitor of a private page. The request waits for the count.
    void show(pusherc::http_request request)
    {
        public_ = request.form("public") == "yes";
        pusherc_grant_match match{};
        match.channel_pattern = pusherc::slice("status.page");
        server_->reauthorize(
            "app-id", match,
            [request = std::move(request)](std::uint64_t kept, std::uint64_t revoked) mutable {
                request.respond(200, "kept " + std::to_string(kept) + ", revoked " +
                                         std::to_string(revoked) + "\n");
            });
    }

    const std::string page_;
    std::atomic<bool> public_{true};
    std::optional<pusherc::server> server_; // last: it goes before what its functions use
};

int main(int argc, char **argv)
{
    sigset_t signals; // for sigwait(); the server's threads block all signals
    sigemptyset(&signals);
    sigaddset(&signals, SIGINT), sigaddset(&signals, SIGTERM);
    sigprocmask(SIG_BLOCK, &signals, nullptr);
    try {
        const auto port = static_cast<std::uint16_t>(argc > 1 ? std::atoi(argv[1]) : 0);
        status_page page(port, std::ifstream(argc > 2 ? argv[2] : "examples/status-core.html"));
        int number;
        sigwait(&signals, &number);
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
