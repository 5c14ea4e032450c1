/*
 * What `pusherc doctor` can find: one row for each finding.
 * X(NAME, LEVEL, what is checked, what it means, what to do)
 */
#ifndef CLI_DOCTOR_ROWS_H
#define CLI_DOCTOR_ROWS_H

/* clang-format off */
#define CLI_FINDING_MAP(X) \
    /* -- an .env file -- */ \
    X(ENV_OK, OK, "env", "the file's settings agree with each other", "") \
    X(ENV_LACKS, FAIL, "env", "the file does not name a server and an app", "set what is missing; an application needs the app's id, key and secret, and host, port and scheme of a server") \
    X(ENV_ELSEWHERE, FAIL, "env", "the application does not publish to a server of the Pusher protocol", "set BROADCAST_CONNECTION to reverb or pusher, and let a cached configuration be made again") \
    X(ENV_UNCHOSEN, WARN, "env", "the file does not say how to publish, and Laravel then publishes to nothing", "set BROADCAST_CONNECTION to reverb or pusher") \
    X(ENV_QUOTE, WARN, "env", "a value has a quote that is left over, and programs differ in what they make of it", "put quotes around the whole value, or none") \
    X(ENV_REPEATED, WARN, "env", "a name stands in the file twice with different values, and the last one counts", "remove one of the lines") \
    X(ENV_UNREAD, WARN, "env", "nothing reads this name", "correct the name, or remove the line") \
    X(ENV_SECRET_PUBLIC, FAIL, "env", "the app's secret is built into the pages, where each visitor can read it", "remove the name, build the pages again, and give the app a new secret") \
    X(ENV_PORT_SCHEME, WARN, "env", "port and scheme do not fit together: 443 is for https, 80 for http", "correct one of the two") \
    X(ENV_PAGE_KEY, FAIL, "env", "the pages connect with another key than the application publishes with", "set the VITE_ name to the app's key, and build the pages again") \
    X(ENV_PAGE_HOST, WARN, "env", "the pages connect to another host than the application publishes to", "that is right only if both names lead to the same server") \
    X(ENV_PAGE_PORT, WARN, "env", "the pages connect to another port than the application publishes to", "that is right only if both ports lead to the same server") \
    X(ENV_PAGE_SCHEME, FAIL, "env", "pages and application disagree about TLS on the same port", "set both schemes to what the port speaks, and build the pages again; without a VITE_ scheme pages use https") \
    X(ENV_PAGE_EMPTY, WARN, "env", "a name for the pages is empty, because it takes its value from a name that is not set", "set the other name, or remove the line") \
    /* -- the network -- */ \
    X(NAME_OK, OK, "name", "the host has an address", "") \
    X(NAME_UNKNOWN, FAIL, "name", "the host has no address", "correct the host's name, or its entry in DNS or /etc/hosts") \
    X(CLUSTER_UNKNOWN, FAIL, "name", "there is no host of this cluster", "correct the cluster: Pusher's dashboard names it beside the key") \
    X(TCP_OK, OK, "tcp", "the port takes connections", "") \
    X(TCP_REFUSED, FAIL, "tcp", "nothing listens on this port", "start the server, or correct the port; a server that listens on 127.0.0.1 takes no connections from other machines") \
    X(TCP_SILENT, FAIL, "tcp", "the port cannot be reached", "let the firewall pass this port, or correct the address") \
    X(TLS_OK, OK, "tls", "the certificate is valid for the host", "") \
    X(TLS_NONE, FAIL, "tls", "the port speaks HTTP without TLS", "use http and ws, or give the server or its proxy a certificate") \
    X(TLS_REQUIRED, FAIL, "tls", "the port speaks TLS only", "use https and wss: scheme https, forceTLS true") \
    X(TLS_UNTRUSTED, FAIL, "tls", "no authority that is trusted has signed the certificate, or the server leaves out the certificates between", "let the server send the whole chain, or add the authority to those that are trusted: --ca-file tries that") \
    X(TLS_EXPIRED, FAIL, "tls", "the certificate has expired", "renew it, and let the server read it again") \
    X(TLS_FUTURE, FAIL, "tls", "the certificate is not valid yet", "correct the clock of this machine, or wait") \
    X(TLS_OTHER_NAME, FAIL, "tls", "the certificate is for another name", "connect by a name that is in the certificate, or get one for this name") \
    X(TLS_SOON, WARN, "tls", "the certificate expires soon", "renew it, and let the server read it again") \
    X(TLS_FAILED, FAIL, "tls", "the TLS handshake fails", "see the log of the server or its proxy; a server of today needs TLS 1.2 or 1.3") \
    /* -- the WebSocket -- */ \
    X(WS_OK, OK, "websocket", "the WebSocket opens", "") \
    X(WS_UPGRADE_EATEN, FAIL, "websocket", "a proxy takes \"Upgrade\" out of the request, so that no WebSocket opens", "let the proxy speak HTTP/1.1 to the server and pass on Upgrade and Connection; docs/operations.md has the lines for nginx") \
    X(WS_QUERY_EATEN, FAIL, "websocket", "a proxy takes the query out of the request", "let the proxy pass on what stands behind the \"?\"") \
    X(WS_PATH, FAIL, "websocket", "the server does not know the path", "set the client's wsPath and the server's path prefix to the same; a proxy must not add, take away or double parts of the path") \
    X(WS_REFUSED, FAIL, "websocket", "the upgrade is refused", "see the log of the server or its proxy") \
    X(WS_REDIRECT, FAIL, "websocket", "the upgrade is answered with a redirect, which no WebSocket follows", "connect to where it leads, or let the proxy serve /app at this address") \
    X(WS_GATEWAY, FAIL, "websocket", "the proxy does not reach the server", "start the server, or correct the address that the proxy passes requests to") \
    X(WS_WRONG_ACCEPT, FAIL, "websocket", "the answer to the upgrade belongs to another request: something between answers in place of the server", "let no cache answer below /app") \
    X(WS_SILENT, FAIL, "websocket", "the WebSocket opens, but no message comes through it", "turn off what buffers answers in the proxy") \
    X(WS_NO_ANSWER, FAIL, "websocket", "the upgrade gets no answer", "see whether the port belongs to a server of the Pusher protocol") \
    X(WS_CLOSED, FAIL, "websocket", "the server closes the connection", "see the server's log") \
    X(WS_TLS_ONLY, FAIL, "websocket", "the app takes connections with TLS only", "use wss: forceTLS true; behind a proxy that ends TLS let it send X-Forwarded-Proto, and set the server's proxy_count") \
    X(WS_DISABLED, FAIL, "websocket", "the app is not enabled", "enable the app") \
    X(WS_QUOTA, FAIL, "websocket", "the app has as many connections as it may have", "raise the app's limit of connections") \
    X(WS_UNAUTHORIZED, FAIL, "websocket", "the server does not want this client", "give --origin with the address of your pages, if the app allows some origins only") \
    /* -- the app -- */ \
    X(KEY_OK, OK, "key", "the server knows the key", "") \
    X(KEY_MISSING, WARN, "key", "no key was given, so that nothing about the app could be tried", "give https://KEY:SECRET@HOST/apps/ID, or --app ID:KEY:SECRET") \
    X(KEY_UNKNOWN, FAIL, "key", "the server knows no app with this key", "compare the key with that of the server, and ask whether this is the right server") \
    X(CLUSTER_OTHER, FAIL, "key", "this cluster of Pusher knows no app with this key", "set the cluster that Pusher's dashboard names beside the key") \
    X(API_OK, OK, "api", "the HTTP API answers, and takes the signature", "") \
    X(API_NO_ANSWER, FAIL, "api", "the HTTP API does not answer", "see whether the port belongs to a server of the Pusher protocol") \
    X(API_OTHER, FAIL, "api", "something else than the HTTP API answers", "correct host, port and path: the API is where /apps/ID is") \
    X(API_REDIRECT, FAIL, "api", "the HTTP API is answered with a redirect, which publishers do not follow", "publish to where it leads") \
    X(API_GATEWAY, FAIL, "api", "the proxy does not reach the server", "start the server, or correct the address that the proxy passes requests to") \
    X(API_ERROR, FAIL, "api", "the HTTP API fails", "see the server's log") \
    X(API_QUERY_EATEN, FAIL, "api", "a proxy takes the query out of the request, and the signature with it", "let the proxy pass on what stands behind the \"?\"") \
    X(API_SLASH, FAIL, "api", "a proxy doubles a slash in the path", "let the location of the proxy and its address of the server both end with a slash, or neither") \
    X(API_PATH, FAIL, "api", "a proxy changes the path, and the signature is for the path that the server sees", "set the path of the publisher and the server's path prefix to the same") \
    X(API_PATH_UNKNOWN, FAIL, "api", "the server does not know the path", "correct the path before /apps; a proxy must not add, take away or double parts of it") \
    X(CLOCK_OK, OK, "clock", "the clocks agree", "") \
    X(CLOCK_DIFFERS, WARN, "clock", "the clocks of this machine and the server differ", "let both machines set their clocks by NTP; above 600 seconds the server refuses all requests") \
    X(CLOCK_OFF, FAIL, "clock", "the clocks differ so much that the server refuses signed requests", "let both machines set their clocks by NTP") \
    X(ID_OK, OK, "id", "the server knows the id, and it belongs to the key", "") \
    X(ID_MISSING, WARN, "id", "no id was given, so that the HTTP API could not be tried", "give https://KEY:SECRET@HOST/apps/ID, or --app ID:KEY:SECRET") \
    X(ID_UNKNOWN, FAIL, "id", "the server knows no app with this id", "compare the id with that of the server; it is not the key") \
    X(SECRET_OK, OK, "secret", "the secret is right", "") \
    X(SECRET_MISSING, WARN, "secret", "no secret was given, so that private channels and publishing could not be tried", "give https://KEY:SECRET@HOST/apps/ID, or --app ID:KEY:SECRET") \
    X(SECRET_WRONG, FAIL, "secret", "the secret is not that of the key", "compare the secret with that of the server; white space and quotes belong to neither") \
    X(SIGNATURE_REFUSED, FAIL, "signature", "the HTTP API refuses the signature, though id, key and secret are right one by one", "compare the string that was signed with what the server sees: a proxy may change method, path, query or body") \
    /* -- channels and events -- */ \
    X(PUBLIC_OK, OK, "public", "a public channel can be subscribed to", "") \
    X(PUBLIC_REFUSED, FAIL, "public", "a subscription to a public channel is refused or not answered", "see the server's log") \
    X(PRIVATE_OK, OK, "private", "a private channel can be subscribed to", "") \
    X(PRIVATE_REFUSED, FAIL, "private", "a subscription to a private channel is refused or not answered, though the secret is right", "see the server's log") \
    X(PRESENCE_OK, OK, "presence", "a presence channel can be subscribed to", "") \
    X(PRESENCE_REFUSED, FAIL, "presence", "a subscription to a presence channel is refused or not answered, though the secret is right", "see the server's log; some servers limit the members of a channel or their length") \
    X(GUARD_OK, OK, "rule", "the guarded channel is refused to a client without a user", "") \
    X(GUARD_NONE, FAIL, "rule", "a client without a user gets the guarded channel", "add a rule that covers the name; for a name without a prefix it needs the kind \"public\"") \
    X(PUBLISH_OK, OK, "publish", "the server accepts an event", "") \
    X(PUBLISH_REFUSED, FAIL, "publish", "the server refuses an event, though it answers questions", "see the answer, and the server's log; a proxy may refuse or change bodies") \
    X(RECEIVE_OK, OK, "receive", "the event arrives at the subscriber", "") \
    X(RECEIVE_SLOW, WARN, "receive", "the event arrives late", "see whether the server or a proxy is overloaded, or buffers") \
    X(RECEIVE_NOTHING, FAIL, "receive", "the server accepts the event, but it does not arrive", "API and WebSocket lead to different servers that do not share their events: let both lead to the same one, or connect the servers") \
    /* -- an auth endpoint -- */ \
    X(AUTH_OK, OK, "auth", "the auth endpoint signs as the server expects", "") \
    X(AUTH_UNREACHABLE, FAIL, "auth", "the auth endpoint does not answer", "correct its address, or start the application") \
    X(AUTH_REDIRECT, FAIL, "auth", "the auth endpoint answers with a redirect, mostly to a login page", "send the cookie or token of a user who is signed in: --cookie, --header") \
    X(AUTH_CSRF, FAIL, "auth", "the auth endpoint wants a CSRF token", "let the client send X-CSRF-TOKEN, or take the endpoint out of the check") \
    X(AUTH_FORBIDDEN, WARN, "auth", "the auth endpoint refuses the channel", "that is right if this user may not have it; give --channel, and --cookie or --header of a user who may") \
    X(AUTH_NOT_FOUND, FAIL, "auth", "there is no auth endpoint at this address", "correct the address; Laravel has it at /broadcasting/auth once channels are set up, and it takes POST") \
    X(AUTH_ERROR, FAIL, "auth", "the auth endpoint fails", "see the application's log") \
    X(AUTH_NOT_JSON, FAIL, "auth", "the answer of the auth endpoint is no JSON", "let nothing else be printed before or behind the answer") \
    X(AUTH_LACKS, FAIL, "auth", "the answer of the auth endpoint has no \"auth\"", "answer with {\"auth\":\"KEY:SIGNATURE\"}, and \"channel_data\" for presence channels") \
    X(AUTH_KEY, FAIL, "auth", "the auth endpoint signs for another key", "give the application the same key as the page") \
    X(AUTH_SIGNATURE, FAIL, "auth", "the auth endpoint makes a wrong signature", "give the application the app's secret; sign exactly the string that is shown") \
    X(CORS_OK, OK, "cors", "pages of the origin may read the endpoint's answer", "") \
    X(CORS_PREFLIGHT, FAIL, "cors", "the endpoint refuses the question that a browser asks first (OPTIONS)", "let OPTIONS be answered with 200 or 204 and the CORS fields, without a login") \
    X(CORS_MISSING, FAIL, "cors", "the answer has no Access-Control-Allow-Origin, so that the browser hides it from the page", "allow the origin: in Laravel config/cors.php, paths and allowed_origins") \
    X(CORS_OTHER, FAIL, "cors", "the answer allows another origin", "allow exactly the origin of the page: scheme, host and port, without a slash at the end") \
    X(CORS_STAR, FAIL, "cors", "the answer allows \"*\", which browsers do not accept together with cookies", "answer with the origin itself") \
    X(CORS_CREDENTIALS, FAIL, "cors", "the answer does not allow cookies", "answer with Access-Control-Allow-Credentials: true; in Laravel supports_credentials") \
    X(COOKIE_SAMESITE, WARN, "cookie", "browsers do not send this cookie from pages of another site", "set SameSite=None and Secure, or serve page and endpoint from one site") \
    X(COOKIE_INSECURE, WARN, "cookie", "browsers refuse SameSite=None without Secure", "set Secure, and serve by https") \
    X(COOKIE_PLAIN, WARN, "cookie", "browsers do not keep a cookie with Secure that comes without TLS", "serve by https, or leave Secure out for development") \
/* end of the map */
/* clang-format on */

#endif
