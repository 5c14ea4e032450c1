// Asio: a stream_descriptor and a timer. The descriptor is duplicated, because Asio closes what it watches.
#include "loops/foreign.h"

#include <chrono>
#include <system_error>
#include <unistd.h>

#include <asio.hpp>

namespace
{

struct loop {
    asio::io_context context;
    asio::posix::stream_descriptor readable{context};
    asio::steady_timer timer{context};
};

void wait(foreign *f);

void turn(foreign *f, const std::error_code &error)
{
    auto &l = *static_cast<loop *>(f->loop);
    if (error) // the other of the two was first
        return;
    l.readable.cancel();
    l.timer.cancel();
    if (f->turn(f))
        wait(f);
    else
        l.context.stop();
}

void wait(foreign *f)
{
    auto &l = *static_cast<loop *>(f->loop);
    const auto ready = [f](const std::error_code &error) { turn(f, error); };
    const std::uint32_t ms = f->wait_ms(f);
    l.readable.async_wait(asio::posix::stream_descriptor::wait_read, ready);
    if (ms == UINT32_MAX)
        return;
    l.timer.expires_after(std::chrono::milliseconds(ms));
    l.timer.async_wait(ready);
}

} // namespace

void foreign_open(foreign *f)
{
    auto *l = new loop;
    l->readable.assign(dup(f->fd));
    f->loop = l;
}

void foreign_run(foreign *f)
{
    wait(f);
    static_cast<loop *>(f->loop)->context.run();
}

void foreign_post(foreign *f, void (*job)(foreign *))
{
    asio::post(static_cast<loop *>(f->loop)->context, [f, job] { job(f); });
}

void foreign_close(foreign *f)
{
    delete static_cast<loop *>(f->loop);
}
