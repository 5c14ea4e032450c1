/* A GSource, as a host in a GLib or GTK program makes one. */
#include "loops/foreign.h"

#include <glib-unix.h>

struct loop {
    GMainContext *context;
    GMainLoop *main;
    GSource *source;
};

struct source {
    GSource base;
    struct foreign *f;
};

static void set_ready_time(GSource *base)
{
    struct foreign *f = ((struct source *)base)->f;
    uint32_t ms = f->wait_ms(f);
    g_source_set_ready_time(base,
                            ms == UINT32_MAX ? -1 : g_get_monotonic_time() + (gint64)ms * 1000);
}

/* The descriptor is readable, or the time is over. */
static gboolean dispatch(GSource *base, GSourceFunc callback, gpointer user_data)
{
    struct foreign *f = ((struct source *)base)->f;
    struct loop *loop = f->loop;
    bool running = f->turn(f);
    (void)callback;
    (void)user_data;
    if (running)
        set_ready_time(base);
    else
        g_main_loop_quit(loop->main);
    return running;
}

void foreign_open(struct foreign *f)
{
    static GSourceFuncs functions = {.dispatch = dispatch};
    struct loop *loop = g_new0(struct loop, 1);
    loop->context = g_main_context_new();
    loop->main = g_main_loop_new(loop->context, FALSE);
    loop->source = g_source_new(&functions, sizeof(struct source));
    ((struct source *)loop->source)->f = f;
    g_source_add_unix_fd(loop->source, f->fd, G_IO_IN);
    set_ready_time(loop->source);
    g_source_attach(loop->source, loop->context);
    f->loop = loop;
}

void foreign_run(struct foreign *f)
{
    struct loop *loop = f->loop;
    g_main_context_push_thread_default(loop->context);
    g_main_loop_run(loop->main);
    g_main_context_pop_thread_default(loop->context);
}

struct posted {
    struct foreign *f;
    void (*job)(struct foreign *f);
};

static gboolean run_posted(gpointer data)
{
    struct posted *posted = data;
    posted->job(posted->f);
    return G_SOURCE_REMOVE;
}

void foreign_post(struct foreign *f, void (*job)(struct foreign *f))
{
    struct loop *loop = f->loop;
    struct posted *posted = g_new(struct posted, 1);
    *posted = (struct posted){f, job};
    g_main_context_invoke_full(loop->context, G_PRIORITY_DEFAULT, run_posted, posted, g_free);
}

void foreign_close(struct foreign *f)
{
    struct loop *loop = f->loop;
    g_source_destroy(loop->source);
    g_source_unref(loop->source);
    g_main_loop_unref(loop->main);
    g_main_context_unref(loop->context);
    g_free(loop);
}
