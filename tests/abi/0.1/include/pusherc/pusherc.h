/**
 * @file pusherc.h
 * Everything public, in one include.
 */
#ifndef PUSHERC_H
#define PUSHERC_H

#include <pusherc/alloc.h>
#include <pusherc/app.h>
#include <pusherc/auth.h>
#include <pusherc/broadcast.h>
#include <pusherc/channel.h>
#include <pusherc/cluster.h>
#include <pusherc/ephemeral.h>
#include <pusherc/error.h>
#include <pusherc/history.h>
#include <pusherc/hooks.h>
#include <pusherc/inbox.h>
#include <pusherc/laravel.h>
#include <pusherc/log.h>
#include <pusherc/metrics.h>
#include <pusherc/outbox.h>
#include <pusherc/publish.h>
#include <pusherc/receipt.h>
#include <pusherc/server.h>
#include <pusherc/settings.h>
#include <pusherc/sign.h>
#include <pusherc/types.h>
#include <pusherc/users.h>
#include <pusherc/version.h>
#include <pusherc/webhook.h>

#endif /* PUSHERC_H */
