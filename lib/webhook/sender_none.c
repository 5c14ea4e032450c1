/* In place of sender.c in a library without webhooks: there never is a sender, and so nothing else is called. */
#include "webhook/sender.h"

int pc_sender_new(struct pc_sender **out, struct pc_loop *loop, const char *ca_file)
{
    (void)loop;
    (void)ca_file;
    *out = NULL;
    return 0;
}

void pc_sender_free(struct pc_sender *sender)
{
    (void)sender;
}

int pc_sender_start(struct pc_sender *sender, bool alone, int *sys)
{
    (void)sender;
    (void)alone;
    *sys = 0;
    return 0;
}

void pc_sender_last(struct pc_sender *sender)
{
    (void)sender;
}
