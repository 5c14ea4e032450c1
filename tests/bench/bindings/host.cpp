/*
 * host.c in C++, with pusherc.hpp. The command line is that of host.c.
 */
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <string_view>
#include <thread>
#include <utility>
#include <variant>

#include <sys/resource.h>

#include <pusherc/pusherc.hpp>

static void decide(pusherc::auth_request &question, std::chrono::milliseconds block)
{
    if (block.count() > 0)
        std::this_thread::sleep_for(block);
    if (!question.user_id().empty())
        question.allow();
    else
        question.deny(403);
}

static void take(pusherc::inbox &inbox, std::chrono::milliseconds block)
{
    bool ended = false;
    const auto handle = pusherc::overloaded{
        [block](pusherc::auth_request &question) { decide(question, block); },
        [&](pusherc::message::stopped) { ended = true; },
        [](auto &) {},
    };
    while (!ended)
        inbox.take([&](pusherc::message m) { std::visit(handle, m.what); }, pusherc::forever);
}

static void serve(std::uint16_t port, std::string_view way, std::chrono::milliseconds block)
{
    pusherc::inbox inbox;
    pusherc_server_options options{};
    options.worker_count = 1;
    options.log_fn = pusherc_log_to_stderr;
    if (way == "inbox") {
        options.inbox = inbox.get();
        options.inbox_messages = pusherc::message_bits(PUSHERC_MESSAGE_STOPPED);
    }
    pusherc::hooks hooks;
    hooks.identify = [](pusherc::identify_request q) { q.accept(q.query("token")); };
    pusherc::server server(options, std::move(hooks));
    server.put_app("app-id", "app-key", "app-secret", PUSHERC_AUTH_EITHER);
    if (way == "inbox")
        server.rule_inbox("bench.{n}");
    else if (way == "callback")
        server.rule("bench.{n}", [block](pusherc::auth_request q) { decide(q, block); });
    pusherc_listen_options address{};
    address.port = port, address.backlog = 4096;
    server.listen(address);
    server.start();
    std::cout << "listening on http://127.0.0.1:" << server.port() << std::endl;
    std::thread taker;
    if (way == "inbox")
        taker = std::thread([&] { take(inbox, block); });
    sigset_t end;
    int number;
    sigemptyset(&end);
    sigaddset(&end, SIGINT), sigaddset(&end, SIGTERM);
    sigwait(&end, &number);
    server.stop();
    if (taker.joinable())
        taker.join();
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 4) {
        std::cerr << "usage: host-cpp PORT none|callback|inbox [BLOCK_MS]\n";
        return 2;
    }
    rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    sigset_t end; /* for sigwait(); the threads inherit that they are blocked */
    sigemptyset(&end);
    sigaddset(&end, SIGINT), sigaddset(&end, SIGTERM);
    sigprocmask(SIG_BLOCK, &end, nullptr);
    try {
        serve(static_cast<std::uint16_t>(std::atoi(argv[1])), argv[2],
              std::chrono::milliseconds(argc > 3 ? std::atoi(argv[3]) : 0));
    } catch (const std::exception &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
