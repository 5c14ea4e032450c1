/*
 * The inspector on listeners for operators: a page that shows what happens, the state that it asks for again and again,
 * and a form that publishes a test event. The page is the same for everyone and holds no data; state and form need the
 * token, in the field Authorization. Without the option inspector_token, or in a build with -Dinspector=disabled, there
 * is no such page.
 */
#ifndef PC_API_INSPECTOR_H
#define PC_API_INSPECTOR_H

#include "api/call.h"

#ifdef PC_WITH_INSPECTOR

/* Made of the files in api/inspector/ when the library is built. */
extern const pusherc_slice pc_inspector_page_html, pc_inspector_page_css, pc_inspector_page_js;

/* True: the path is the inspector's, and the reply is complete. */
bool pc_api_inspector(struct pc_api_call *call);

#else

static inline bool pc_api_inspector(struct pc_api_call *call)
{
    (void)call;
    return false;
}

#endif

#endif
