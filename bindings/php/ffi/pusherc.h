/* Made by `generate` from the library's public headers; for FFI::cdef(), and for ffi.preload. */
#define FFI_SCOPE "pusherc"
#define FFI_LIB "libpusherc.so.0"
typedef void (*pusherc_free_fn)(uintptr_t ptr);
typedef struct pusherc_slice {
    char *ptr;
    size_t len;
} pusherc_slice;
pusherc_slice pusherc_slice_of(const char *text);
bool pusherc_slice_equal(pusherc_slice a, pusherc_slice b);
typedef struct pusherc_socket_id {
    uint64_t a;
    uint64_t b;
} pusherc_socket_id;
enum {
    PUSHERC_SOCKET_ID_STRLEN = 42
};
int pusherc_socket_id_parse(pusherc_slice text, pusherc_socket_id *out);
size_t pusherc_socket_id_format(pusherc_socket_id id, char out[PUSHERC_SOCKET_ID_STRLEN]);
typedef struct pusherc_allocator {
    void *(*malloc_fn)(size_t size, uintptr_t user_data);
    void *(*realloc_fn)(uintptr_t ptr, size_t size, uintptr_t user_data);
    void (*free_fn)(uintptr_t ptr, uintptr_t user_data);
    uintptr_t user_data;
} pusherc_allocator;
typedef enum pusherc_error {
    PUSHERC_OK = 0,
    PUSHERC_EINVAL = (-20001),
    PUSHERC_ENOMEM = (-20002),
    PUSHERC_ESTATE = (-20003),
    PUSHERC_ENOENT = (-20004),
    PUSHERC_EEXIST = (-20005),
    PUSHERC_ELIMIT = (-20006),
    PUSHERC_ENOBUFS = (-20007),
    PUSHERC_EPROTO = (-20008),
    PUSHERC_EAUTH = (-20009),
    PUSHERC_EIO = (-20010),
    PUSHERC_ETLS = (-20011),
    PUSHERC_ETIMEDOUT = (-20012),
    PUSHERC_ECANCELED = (-20013),
    PUSHERC_EBACKLOG = (-20014),
    PUSHERC_ENOSYS = (-20015)
} pusherc_error;
typedef struct pusherc_errinfo {
    int code;
    int sys;
    char text[192];
} pusherc_errinfo;
const char *pusherc_err_name(int code);
const char *pusherc_strerror(int code);
enum {
    PUSHERC_MAX_HISTORY_PATTERNS = 32
};
typedef struct pusherc_history_pattern {
    size_t struct_size;
    const char *pattern;
    uint32_t max_events;
    uint32_t max_bytes;
    uint32_t max_age_s;
    uint32_t reserved_;
} pusherc_history_pattern;
void pusherc_history_pattern_init(pusherc_history_pattern *out, size_t struct_size);
typedef struct pusherc_past_event {
    size_t struct_size;
    pusherc_slice id;
    pusherc_slice name;
    pusherc_slice data;
    uint64_t age_ms;
} pusherc_past_event;
typedef void (*pusherc_history_fn)(const pusherc_past_event *events, size_t count, bool complete, pusherc_slice position, uintptr_t user_data);
int pusherc_history(uintptr_t server, const char *app_id, pusherc_slice channel, pusherc_slice after, pusherc_history_fn done, uintptr_t user_data);
enum {
    PUSHERC_WEBHOOK_CHANNEL_OCCUPIED = 0x01,
    PUSHERC_WEBHOOK_CHANNEL_VACATED = 0x02,
    PUSHERC_WEBHOOK_MEMBER_ADDED = 0x04,
    PUSHERC_WEBHOOK_MEMBER_REMOVED = 0x08,
    PUSHERC_WEBHOOK_CLIENT_EVENT = 0x10,
    PUSHERC_WEBHOOK_CACHE_MISS = 0x20,
    PUSHERC_WEBHOOK_SUBSCRIPTION_COUNT = 0x40,
    PUSHERC_WEBHOOK_ALL = 0x7f
};
enum {
    PUSHERC_MAX_WEBHOOKS = 16,
    PUSHERC_MAX_WEBHOOK_EVENTS = 1000
};
typedef struct pusherc_webhook_header {
    const char *name;
    const char *value;
} pusherc_webhook_header;
typedef struct pusherc_webhook {
    size_t struct_size;
    const char *url;
    const char *channel_prefix;
    const char *channel_suffix;
    const pusherc_webhook_header *headers;
    size_t header_count;
    uint32_t events;
    uint32_t reserved_;
} pusherc_webhook;
void pusherc_webhook_init(pusherc_webhook *out, size_t struct_size);
typedef enum pusherc_slow_policy {
    PUSHERC_SLOW_CLOSE = 0,
    PUSHERC_SLOW_DROP
} pusherc_slow_policy;
typedef enum pusherc_auth_mode {
    PUSHERC_AUTH_SIGNATURE = 0,
    PUSHERC_AUTH_RULES,
    PUSHERC_AUTH_EITHER
} pusherc_auth_mode;
typedef struct pusherc_app_options {
    size_t struct_size;
    const char *id;
    const char *key;
    const char *secret;
    const char *encryption_master_key;
    const char *const *allowed_origins;
    const pusherc_webhook *webhooks;
    size_t webhook_count;
    pusherc_auth_mode auth_mode;
    pusherc_slow_policy slow_policy;
    uint32_t max_connections;
    uint32_t max_connections_per_user;
    uint32_t max_connections_per_ip;
    uint32_t max_channels_per_connection;
    uint32_t max_channel_name_bytes;
    uint32_t max_event_name_bytes;
    uint32_t max_event_payload_bytes;
    uint32_t max_event_channels;
    uint32_t max_batch_events;
    uint32_t max_presence_members;
    uint32_t max_user_info_bytes;
    uint32_t max_watchlist_users;
    uint32_t max_client_events_per_s;
    uint32_t max_backend_events_per_s;
    uint32_t max_read_requests_per_s;
    uint32_t max_client_messages_per_s;
    uint32_t activity_timeout_ms;
    uint32_t user_authentication_timeout_ms;
    uint32_t cache_ttl_s;
    uint32_t offline_delay_ms;
    bool disabled;
    bool tls_only;
    bool client_events;
    bool strict_user_info;
    bool allow_missing_protocol;
    bool user_authentication;
    bool subscription_count_events;
    bool watchlist_events;
    bool terminate_matches_presence;
    bool jsonp;
    uint8_t reserved_[2];
    uint32_t secret_grace_ms;
    uint32_t presence_grace_ms;
    uint32_t reserved2_;
    uint32_t signin_wait_ms;
    uint32_t max_deferred_channels;
    uint32_t max_received_messages_per_s;
    uint32_t max_received_bytes_per_s;
    const char *shaping;
    const pusherc_history_pattern *history;
    size_t history_count;
    uint32_t max_users_seen;
    bool user_events;
    uint8_t reserved3_[3];
    const char *ephemeral;
    uint32_t max_ephemeral_bytes;
    uint32_t reserved4_;
    const char *receipts;
    uint32_t receipt_keep_s;
    uint32_t max_receipt_bytes;
} pusherc_app_options;
void pusherc_app_options_init(pusherc_app_options *out, size_t struct_size);
int pusherc_server_put_app(uintptr_t server, const pusherc_app_options *options, pusherc_errinfo *info);
int pusherc_server_put_apps(uintptr_t server, const pusherc_app_options *options, size_t count, pusherc_errinfo *info);
int pusherc_server_remove_app(uintptr_t server, const char *app_id);
typedef int (*pusherc_app_fn)(const pusherc_app_options *options, uintptr_t user_data);
int pusherc_apps_from_json(pusherc_slice json, pusherc_app_fn each, uintptr_t user_data, pusherc_errinfo *info);
typedef struct pusherc_grant {
    size_t struct_size;
    pusherc_slice user_id;
    pusherc_slice user_info_json;
    pusherc_slice view;
    uint32_t expires_in_ms;
    uint32_t reserved_;
} pusherc_grant;
void pusherc_grant_init(pusherc_grant *out, size_t struct_size);
typedef void (*pusherc_authorize_fn)(uintptr_t request, uintptr_t user_data);
typedef void (*pusherc_authorize_batch_fn)(uintptr_t *requests, size_t count, uintptr_t user_data);
typedef enum pusherc_render_verdict {
    PUSHERC_RENDER_SAME = 0,
    PUSHERC_RENDER_REPLACED,
    PUSHERC_RENDER_NOTHING
} pusherc_render_verdict;
typedef pusherc_render_verdict (*pusherc_render_fn)(uintptr_t render, uintptr_t user_data);
pusherc_slice pusherc_render_view(uintptr_t render);
pusherc_slice pusherc_render_app_id(uintptr_t render);
pusherc_slice pusherc_render_channel(uintptr_t render);
pusherc_slice pusherc_render_event(uintptr_t render);
pusherc_slice pusherc_render_data(uintptr_t render);
pusherc_slice pusherc_render_param(uintptr_t render, const char *name);
int pusherc_render_payload(uintptr_t render, pusherc_slice data);
enum {
    PUSHERC_RULE_PUBLIC = 0x1,
    PUSHERC_RULE_PRIVATE = 0x2,
    PUSHERC_RULE_PRESENCE = 0x4,
    PUSHERC_RULE_ENCRYPTED = 0x8,
    PUSHERC_RULE_DEFAULT = PUSHERC_RULE_PRIVATE | PUSHERC_RULE_PRESENCE | PUSHERC_RULE_ENCRYPTED
};
enum {
    PUSHERC_RULE_MAX_PARAMS = 8,
    PUSHERC_RULE_MAX_VIEWS = 32
};
typedef struct pusherc_redaction {
    size_t struct_size;
    pusherc_slice view;
    const pusherc_slice *members;
    size_t member_count;
    bool nothing;
    uint8_t reserved_[7];
} pusherc_redaction;
void pusherc_redaction_init(pusherc_redaction *out, size_t struct_size);
typedef struct pusherc_rule {
    size_t struct_size;
    const char *app_id;
    const char *pattern;
    pusherc_authorize_fn authorize;
    pusherc_authorize_batch_fn authorize_batch;
    pusherc_render_fn render;
    uintptr_t user_data;
    uint32_t kinds;
    uint32_t cache_ms;
    pusherc_free_fn free_user_data;
    uint32_t gather_ms;
    bool replaces;
    uint8_t reserved_[3];
    uint32_t presence_grace_ms;
    uint32_t reserved2_;
    const pusherc_redaction *redactions;
    size_t redaction_count;
    bool inbox;
    uint8_t reserved3_[7];
} pusherc_rule;
void pusherc_rule_init(pusherc_rule *out, size_t struct_size);
int pusherc_server_add_rule(uintptr_t server, const pusherc_rule *rule, pusherc_errinfo *info);
int pusherc_server_remove_rule(uintptr_t server, const char *app_id, const char *pattern, pusherc_errinfo *info);
pusherc_slice pusherc_auth_app_id(uintptr_t request);
uint64_t pusherc_auth_question(uintptr_t request);
pusherc_slice pusherc_auth_channel(uintptr_t request);
pusherc_slice pusherc_auth_param(uintptr_t request, const char *name);
pusherc_slice pusherc_auth_user_id(uintptr_t request);
pusherc_socket_id pusherc_auth_socket_id(uintptr_t request);
uintptr_t pusherc_auth_conn_data(uintptr_t request);
int pusherc_auth_allow(uintptr_t request, const pusherc_grant *grant);
int pusherc_auth_deny(uintptr_t request, int status, const char *reason);
typedef struct pusherc_grant_match {
    size_t struct_size;
    pusherc_slice user_id;
    pusherc_slice channel_pattern;
    const struct pusherc_grant_match *next;
    pusherc_socket_id socket_id;
    bool anonymous;
    uint8_t reserved_[7];
} pusherc_grant_match;
enum {
    PUSHERC_MAX_GRANT_MATCHES = 100
};
void pusherc_grant_match_init(pusherc_grant_match *out, size_t struct_size);
typedef void (*pusherc_reauthorized_fn)(uint64_t kept, uint64_t revoked, uintptr_t user_data);
int pusherc_reauthorize(uintptr_t server, const char *app_id, const pusherc_grant_match *match, pusherc_reauthorized_fn done, uintptr_t user_data);
int pusherc_reauthorize_wait(uintptr_t server, const char *app_id, const pusherc_grant_match *match, uint32_t timeout_ms, uint64_t *kept, uint64_t *revoked);
int pusherc_server_unsubscribe(uintptr_t server, const char *app_id, pusherc_socket_id socket_id, pusherc_slice user_id, pusherc_slice channel, const char *reason);
typedef enum pusherc_denial_reason {
    PUSHERC_DENIED_BY_RULE = (1),
    PUSHERC_DENIED_NO_RULE = (2),
    PUSHERC_DENIED_TIMEOUT = (3),
    PUSHERC_DENIED_BAD_SIGNATURE = (4),
    PUSHERC_DENIED_NO_SIGNATURE = (5),
    PUSHERC_DENIED_NO_USER = (6),
    PUSHERC_DENIED_BAD_NAME = (7),
    PUSHERC_DENIED_BAD_MEMBER = (8),
    PUSHERC_DENIED_LIMIT = (9),
    PUSHERC_DENIED_REVOKED = (10),
    PUSHERC_DENIED_COOKIE_IDENTITY = (11),
    PUSHERC_DENIED_INTERNAL = (12)
} pusherc_denial_reason;
typedef struct pusherc_denial {
    size_t struct_size;
    pusherc_denial_reason reason;
    int status;
    pusherc_slice app_id;
    pusherc_slice channel;
    pusherc_slice pattern;
    pusherc_slice user_id;
    pusherc_socket_id socket_id;
    pusherc_slice detail;
} pusherc_denial;
const char *pusherc_denial_name(pusherc_denial_reason reason);
typedef void (*pusherc_explain_fn)(pusherc_slice json, uintptr_t user_data);
int pusherc_explain(uintptr_t server, const char *app_id, pusherc_slice channel, pusherc_slice user_id, pusherc_explain_fn done, uintptr_t user_data);
typedef enum pusherc_log_level {
    PUSHERC_LOG_OFF = 0,
    PUSHERC_LOG_ERROR,
    PUSHERC_LOG_WARN,
    PUSHERC_LOG_INFO,
    PUSHERC_LOG_DEBUG,
    PUSHERC_LOG_TRACE
} pusherc_log_level;
typedef struct pusherc_log_entry {
    size_t struct_size;
    pusherc_log_level level;
    int line;
    const char *subject;
    const char *file;
    pusherc_slice message;
    pusherc_slice app_id;
    pusherc_socket_id socket_id;
} pusherc_log_entry;
typedef void (*pusherc_log_fn)(const pusherc_log_entry *entry, uintptr_t user_data);
void pusherc_log_to_stderr(const pusherc_log_entry *entry, uintptr_t user_data);
void pusherc_log_json_to_stderr(const pusherc_log_entry *entry, uintptr_t user_data);
enum {
    PUSHERC_MAX_CHANNELS_PER_EVENT = 100,
    PUSHERC_MAX_EVENTS_PER_BATCH = 10
};
typedef struct pusherc_event {
    size_t struct_size;
    pusherc_slice name;
    const pusherc_slice *channels;
    size_t channel_count;
    pusherc_slice data;
    pusherc_socket_id except;
    bool encrypted;
    uint8_t reserved_[7];
} pusherc_event;
void pusherc_event_init(pusherc_event *out, size_t struct_size);
int pusherc_publish(uintptr_t server, const char *app_id, const pusherc_event *event);
int pusherc_publish_to(uintptr_t server, const char *app_id, const char *channel, size_t channel_len, const char *name, size_t name_len, const char *data, size_t data_len, const char *except);
int pusherc_publish_batch(uintptr_t server, const char *app_id, const pusherc_event *events, size_t count);
int pusherc_send_to_user(uintptr_t server, const char *app_id, pusherc_slice user_id, pusherc_slice name, pusherc_slice data);
typedef struct pusherc_broadcast_result {
    size_t struct_size;
    int code;
    int status;
    uint32_t attempts;
    uint32_t reserved_;
    pusherc_slice reason;
} pusherc_broadcast_result;
typedef void (*pusherc_broadcast_fn)(const pusherc_broadcast_result *result, uintptr_t user_data);
typedef void (*pusherc_broadcast_failed_fn)(const pusherc_event *event, const pusherc_broadcast_result *result, uintptr_t user_data);
typedef struct pusherc_broadcast_driver {
    size_t struct_size;
    uintptr_t user_data;
    uint32_t max_events;
    uint32_t max_under_way;
    void (*send)(uintptr_t request, uintptr_t user_data);
    void (*close)(uintptr_t user_data);
} pusherc_broadcast_driver;
void pusherc_broadcast_driver_init(pusherc_broadcast_driver *out, size_t struct_size);
typedef struct pusherc_broadcaster_options {
    size_t struct_size;
    const char *url;
    uintptr_t server;
    const pusherc_broadcast_driver *driver;
    uintptr_t loop;
    const pusherc_allocator *allocator;
    pusherc_log_fn log_fn;
    uintptr_t log_user_data;
    pusherc_log_level log_level;
    uint32_t max_queued;
    uint64_t max_bytes;
    uint32_t batch_bytes;
    uint32_t batch_events;
    uint32_t max_under_way;
    uint32_t timeout_ms;
    uint32_t retry_ms;
    uint32_t grace_ms;
    const char *ca_file;
    pusherc_broadcast_failed_fn on_failed;
    uintptr_t user_data;
    bool no_idempotency_keys;
    uint8_t reserved_[7];
    const char *conflate;
} pusherc_broadcaster_options;
void pusherc_broadcaster_options_init(pusherc_broadcaster_options *out, size_t struct_size);
int pusherc_broadcaster_new(uintptr_t *out, const pusherc_broadcaster_options *options, pusherc_errinfo *info);
void pusherc_broadcaster_stop(uintptr_t broadcaster, uint32_t grace_ms, void (*stopped)(uintptr_t user_data), uintptr_t user_data);
void pusherc_broadcaster_free(uintptr_t broadcaster);
int pusherc_broadcast(uintptr_t broadcaster, const pusherc_event *events, size_t count);
int pusherc_broadcast_now(uintptr_t broadcaster, const pusherc_event *events, size_t count, uint32_t timeout_ms, pusherc_broadcast_fn done, uintptr_t user_data);
int pusherc_broadcast_wait(uintptr_t broadcaster, const pusherc_event *events, size_t count, uint32_t timeout_ms, pusherc_errinfo *info);
const pusherc_event * pusherc_broadcast_request_events(uintptr_t request, size_t *count);
pusherc_slice pusherc_broadcast_request_key(uintptr_t request, size_t nth);
void pusherc_broadcast_answer(uintptr_t request, int code, uint32_t retry_after_ms, const char *reason);
typedef struct pusherc_broadcast_stats {
    size_t struct_size;
    uint64_t queued;
    uint64_t queued_bytes;
    uint64_t oldest_ms;
    uint64_t accepted;
    uint64_t refused;
    uint64_t expired;
    uint64_t canceled;
    uint64_t rejected;
    uint64_t requests;
    uint64_t failures;
    uint64_t retries;
    uint64_t under_way;
    uint64_t paused_ms;
    uint64_t in;
    uint64_t merged;
} pusherc_broadcast_stats;
void pusherc_broadcast_stats_init(pusherc_broadcast_stats *out, size_t struct_size);
int pusherc_broadcaster_stats(uintptr_t broadcaster, pusherc_broadcast_stats *out);
typedef const char *(*pusherc_lookup_fn)(const char *name, uintptr_t user_data);
int pusherc_broadcast_url(pusherc_lookup_fn lookup, uintptr_t user_data, char *out, size_t cap, size_t *len, pusherc_errinfo *info);
typedef enum pusherc_channel_kind {
    PUSHERC_CHANNEL_PRIVATE_ENCRYPTED = (2),
    PUSHERC_CHANNEL_PRIVATE = (1),
    PUSHERC_CHANNEL_PRESENCE = (3),
    PUSHERC_CHANNEL_USER = (4),
    PUSHERC_CHANNEL_PUBLIC = (0)
} pusherc_channel_kind;
typedef struct pusherc_channel_info {
    size_t struct_size;
    pusherc_slice name;
    pusherc_channel_kind kind;
    bool cache;
    uint8_t reserved_[3];
    uint64_t subscription_count;
    uint64_t user_count;
    uint64_t sequence;
} pusherc_channel_info;
void pusherc_channel_info_init(pusherc_channel_info *out, size_t struct_size);
typedef struct pusherc_member {
    size_t struct_size;
    pusherc_slice user_id;
    pusherc_slice info_json;
} pusherc_member;
typedef struct pusherc_cached_event {
    size_t struct_size;
    pusherc_slice name;
    pusherc_slice data;
    uint64_t ttl_ms;
} pusherc_cached_event;
typedef void (*pusherc_channels_fn)(const pusherc_channel_info *items, size_t count, uintptr_t user_data);
typedef void (*pusherc_members_fn)(const pusherc_member *items, size_t count, uint64_t sequence, uintptr_t user_data);
typedef void (*pusherc_cached_event_fn)(const pusherc_cached_event *event, uintptr_t user_data);
int pusherc_channel_classify(pusherc_slice name, pusherc_channel_kind *kind, bool *cache);
int pusherc_list_channels(uintptr_t server, const char *app_id, pusherc_slice prefix, pusherc_channels_fn done, uintptr_t user_data);
int pusherc_get_channel(uintptr_t server, const char *app_id, pusherc_slice name, pusherc_channel_info *out);
int pusherc_list_members(uintptr_t server, const char *app_id, pusherc_slice channel, pusherc_members_fn done, uintptr_t user_data);
int pusherc_get_cached_event(uintptr_t server, const char *app_id, pusherc_slice channel, pusherc_cached_event_fn done, uintptr_t user_data);
typedef enum pusherc_step {
    PUSHERC_STEP_ATTACH = 1,
    PUSHERC_STEP_DETACH = 2,
    PUSHERC_STEP_RENEW = 3,
    PUSHERC_STEP_SYNCED = 4,
    PUSHERC_STEP_MINE = 5,
    PUSHERC_STEP_JOIN = 6,
    PUSHERC_STEP_LEAVE = 7,
    PUSHERC_STEP_COUNT = 8,
    PUSHERC_STEP_FETCH = 9,
    PUSHERC_STEP_VERIFY = 10,
    PUSHERC_STEP_PEEK = 11,
    PUSHERC_STEP_REAP = 12,
    PUSHERC_STEP_TELL = 13,
    PUSHERC_STEP_TOLD = 14,
    PUSHERC_STEP_CHECK = 15,
    PUSHERC_STEP_CHANNELS = 16,
    PUSHERC_STEP_KEEP = 17,
    PUSHERC_STEP_REKEEP = 18,
    PUSHERC_STEP_KEPT = 19,
    PUSHERC_STEP_ONCE_BEGIN = 20,
    PUSHERC_STEP_ONCE_DONE = 21,
    PUSHERC_STEP_ONCE_UNDO = 22,
    PUSHERC_STEP_ORDER = 23,
    PUSHERC_STEP_ORDERS = 24,
    PUSHERC_STEP_TOTALS = 25
} pusherc_step;
typedef enum pusherc_topic {
    PUSHERC_TOPIC_CHANNEL = 1,
    PUSHERC_TOPIC_PARTITION = 2,
    PUSHERC_TOPIC_ORDERS = 3
} pusherc_topic;
typedef void (*pusherc_authority_publish_fn)(pusherc_topic topic, pusherc_slice key, pusherc_slice message, uintptr_t user_data);
typedef void (*pusherc_authority_answer_fn)(const pusherc_slice *values, size_t count, uintptr_t user_data);
int pusherc_authority_new(uintptr_t *out, const pusherc_allocator *allocator);
void pusherc_authority_free(uintptr_t authority);
int pusherc_authority_execute(uintptr_t authority, uint64_t unix_us, pusherc_step step, const pusherc_slice *args, size_t arg_count, pusherc_authority_publish_fn publish, pusherc_authority_answer_fn answer, uintptr_t user_data);
typedef struct pusherc_cluster_options {
    size_t struct_size;
    uint32_t lease_ms;
    uint32_t renew_ms;
    uint32_t settle_ms;
    uint32_t join_wait_ms;
    uint32_t count_ms;
    uint32_t sweep_ms;
    uint32_t linger_ms;
    uint32_t outbox_ms;
    uint32_t outbox_bytes;
    bool stale_reads;
    uint8_t reserved_[3];
    uint32_t close_after_ms;
    bool ready_needs_link;
    uint8_t reserved2_[3];
} pusherc_cluster_options;
void pusherc_cluster_options_init(pusherc_cluster_options *out, size_t struct_size);
typedef struct pusherc_link_ops {
    size_t struct_size;
    uint32_t partitions;
    uint32_t reserved_;
    int (*start)(uintptr_t self, uintptr_t link);
    void (*stop)(uintptr_t self);
    int (*subscribe)(uintptr_t self, uint32_t partition, uint64_t session, pusherc_topic topic, pusherc_slice key);
    int (*unsubscribe)(uintptr_t self, uint32_t partition, uint64_t session, pusherc_topic topic, pusherc_slice key);
    int (*publish)(uintptr_t self, uint32_t partition, uint64_t session, pusherc_slice key, pusherc_slice message);
    int (*execute)(uintptr_t self, uint32_t partition, uint64_t session, pusherc_step step, const pusherc_slice *args, size_t arg_count);
    int (*reset)(uintptr_t self, uint32_t partition, uint64_t session);
} pusherc_link_ops;
void pusherc_link_ops_init(pusherc_link_ops *out, size_t struct_size);
int pusherc_server_use_link(uintptr_t server, const pusherc_link_ops *ops, uintptr_t self, const pusherc_cluster_options *options, pusherc_errinfo *info);
typedef struct pusherc_redis_options {
    size_t struct_size;
    const char *url;
    const char * prefix;
    uint32_t timeout_ms;
    uint32_t reserved_;
    const char *ca_file;
} pusherc_redis_options;
void pusherc_redis_options_init(pusherc_redis_options *out, size_t struct_size);
int pusherc_server_use_redis(uintptr_t server, const pusherc_redis_options *redis, const pusherc_cluster_options *options, pusherc_errinfo *info);
int pusherc_link_up(uintptr_t link, uint32_t partition, uint64_t session, pusherc_slice run);
void pusherc_link_lost(uintptr_t link, uint32_t partition, bool topics_only);
int pusherc_link_subscribed(uintptr_t link, uint32_t partition, pusherc_topic topic, pusherc_slice key);
int pusherc_link_message(uintptr_t link, uint32_t partition, pusherc_topic topic, pusherc_slice key, pusherc_slice message);
int pusherc_link_answer(uintptr_t link, uint32_t partition, const pusherc_slice *values, size_t count);
typedef enum pusherc_link_state {
    PUSHERC_LINK_NONE = 0,
    PUSHERC_LINK_DOWN,
    PUSHERC_LINK_ATTACHING,
    PUSHERC_LINK_UP
} pusherc_link_state;
typedef struct pusherc_cluster_info {
    size_t struct_size;
    pusherc_link_state state;
    uint32_t nodes;
    char node_id[24];
    uint64_t gaps;
    uint64_t dropped;
    uint64_t refused;
    uint64_t reaped;
    bool unsettled;
    uint8_t reserved_[7];
} pusherc_cluster_info;
void pusherc_cluster_info_init(pusherc_cluster_info *out, size_t struct_size);
int pusherc_server_cluster(uintptr_t server, pusherc_cluster_info *out);
typedef struct pusherc_ephemeral {
    size_t struct_size;
    pusherc_slice channel;
    pusherc_slice event;
    pusherc_slice user_id;
    pusherc_slice key;
    pusherc_slice data;
    uint64_t ends_in_ms;
} pusherc_ephemeral;
void pusherc_ephemeral_init(pusherc_ephemeral *out, size_t struct_size);
int pusherc_set_ephemeral(uintptr_t server, const char *app_id, const pusherc_ephemeral *state);
int pusherc_end_ephemeral(uintptr_t server, const char *app_id, const pusherc_ephemeral *state);
typedef enum pusherc_ephemeral_reason {
    PUSHERC_EPHEMERAL_TIME = 1,
    PUSHERC_EPHEMERAL_LEFT
} pusherc_ephemeral_reason;
typedef struct pusherc_ephemeral_end {
    size_t struct_size;
    pusherc_ephemeral_reason reason;
    uint32_t reserved_;
    pusherc_slice app_id;
    pusherc_slice channel;
    pusherc_slice event;
    pusherc_slice user_id;
    pusherc_slice key;
    pusherc_slice data;
} pusherc_ephemeral_end;
typedef void (*pusherc_ephemeral_fn)(const pusherc_ephemeral *items, size_t count, uintptr_t user_data);
int pusherc_list_ephemeral(uintptr_t server, const char *app_id, pusherc_slice channel, pusherc_ephemeral_fn done, uintptr_t user_data);
typedef enum pusherc_receipt_kind {
    PUSHERC_RECEIPT_WRITTEN = 1,
    PUSHERC_RECEIPT_SHOWN
} pusherc_receipt_kind;
typedef struct pusherc_receipt {
    size_t struct_size;
    pusherc_receipt_kind kind;
    uint32_t reserved_;
    pusherc_slice app_id;
    pusherc_slice channel;
    pusherc_slice event;
    pusherc_slice id;
    pusherc_slice user_id;
    pusherc_socket_id socket_id;
    uint64_t at_ms;
} pusherc_receipt;
typedef struct pusherc_user_info {
    size_t struct_size;
    pusherc_slice user_id;
    bool online;
    uint8_t reserved_[3];
    uint32_t connections;
    uint32_t channels;
    uint32_t reserved2_;
    uint64_t away_ms;
    uint64_t sequence;
} pusherc_user_info;
void pusherc_user_info_init(pusherc_user_info *out, size_t struct_size);
typedef struct pusherc_user_event {
    size_t struct_size;
    pusherc_slice app_id;
    pusherc_slice user_id;
    bool online;
    uint8_t reserved_[7];
    uint64_t away_ms;
    uint64_t sequence;
} pusherc_user_event;
typedef void (*pusherc_users_fn)(const pusherc_user_info *items, size_t count, uint64_t sequence, uintptr_t user_data);
int pusherc_list_users(uintptr_t server, const char *app_id, bool away_too, pusherc_users_fn done, uintptr_t user_data);
int pusherc_get_user(uintptr_t server, const char *app_id, pusherc_slice user_id, pusherc_user_info *out);
typedef struct pusherc_identity {
    size_t struct_size;
    pusherc_slice user_id;
    pusherc_slice user_info_json;
    uintptr_t data;
    pusherc_free_fn free_data;
    uint32_t expires_in_ms;
    uint32_t reserved_;
} pusherc_identity;
void pusherc_identity_init(pusherc_identity *out, size_t struct_size);
typedef enum pusherc_channel_event_type {
    PUSHERC_CHANNEL_OCCUPIED = 1,
    PUSHERC_CHANNEL_VACATED,
    PUSHERC_MEMBER_ADDED,
    PUSHERC_MEMBER_REMOVED,
    PUSHERC_SUBSCRIPTION_COUNT
} pusherc_channel_event_type;
typedef enum pusherc_scope {
    PUSHERC_SCOPE_PROCESS = 0,
    PUSHERC_SCOPE_CLUSTER
} pusherc_scope;
typedef struct pusherc_channel_event {
    size_t struct_size;
    pusherc_channel_event_type type;
    pusherc_scope scope;
    pusherc_slice app_id;
    pusherc_slice channel;
    pusherc_slice user_id;
    uint64_t subscription_count;
    uint64_t sequence;
} pusherc_channel_event;
typedef struct pusherc_client_event {
    size_t struct_size;
    pusherc_slice channel;
    pusherc_slice event;
    pusherc_slice data;
    pusherc_slice user_id;
} pusherc_client_event;
typedef struct pusherc_webhook_failure {
    size_t struct_size;
    pusherc_slice app_id;
    pusherc_slice url;
    pusherc_slice body;
    pusherc_slice reason;
    uint32_t event_count;
    uint32_t attempts;
    uint16_t last_status;
    uint8_t reserved_[6];
} pusherc_webhook_failure;
typedef struct pusherc_hooks {
    size_t struct_size;
    uintptr_t user_data;
    void (*identify)(uintptr_t request, uintptr_t user_data);
    void (*find_app)(uintptr_t request, uintptr_t user_data);
    void (*on_http)(uintptr_t request, uintptr_t user_data);
    int (*on_client_event)(uintptr_t conn, const pusherc_client_event *event, uintptr_t user_data);
    void (*on_open)(uintptr_t conn, uintptr_t user_data);
    void (*on_close)(uintptr_t conn, uint16_t close_code, uintptr_t user_data);
    void (*on_channel)(const pusherc_channel_event *event, uintptr_t user_data);
    void (*on_denied)(const pusherc_denial *denial, uintptr_t user_data);
    void (*on_webhook_failed)(const pusherc_webhook_failure *failure, uintptr_t user_data);
    void (*on_signin)(uintptr_t conn, uintptr_t user_data);
    void (*on_abandoned)(uint64_t question, uintptr_t user_data);
    void (*on_user)(const pusherc_user_event *event, uintptr_t user_data);
    int (*on_publish)(uintptr_t event, uintptr_t user_data);
    void (*on_receipt)(const pusherc_receipt *receipt, uintptr_t user_data);
    void (*on_ephemeral_end)(const pusherc_ephemeral_end *end, uintptr_t user_data);
} pusherc_hooks;
void pusherc_hooks_init(pusherc_hooks *out, size_t struct_size);
pusherc_socket_id pusherc_conn_socket_id(uintptr_t conn);
pusherc_slice pusherc_conn_app_id(uintptr_t conn);
pusherc_slice pusherc_conn_user_id(uintptr_t conn);
pusherc_slice pusherc_conn_client_ip(uintptr_t conn);
uintptr_t pusherc_conn_data(uintptr_t conn);
typedef enum pusherc_event_source {
    PUSHERC_SOURCE_HTTP = 1,
    PUSHERC_SOURCE_LARAVEL_REDIS = 2
} pusherc_event_source;
pusherc_event_source pusherc_incoming_source(uintptr_t event);
pusherc_slice pusherc_incoming_app_id(uintptr_t event);
pusherc_slice pusherc_incoming_name(uintptr_t event);
pusherc_slice pusherc_incoming_data(uintptr_t event);
size_t pusherc_incoming_channel_count(uintptr_t event);
pusherc_slice pusherc_incoming_channel(uintptr_t event, size_t index);
pusherc_socket_id pusherc_incoming_except(uintptr_t event);
int pusherc_incoming_set_name(uintptr_t event, pusherc_slice name);
int pusherc_incoming_set_data(uintptr_t event, pusherc_slice data);
int pusherc_incoming_add_channel(uintptr_t event, pusherc_slice channel);
int pusherc_incoming_refuse(uintptr_t event, const char *reason);
typedef enum pusherc_identify_purpose {
    PUSHERC_IDENTIFY_CONNECT = 0,
    PUSHERC_IDENTIFY_CHANNEL_AUTH,
    PUSHERC_IDENTIFY_USER_AUTH
} pusherc_identify_purpose;
pusherc_identify_purpose pusherc_identify_purpose_of(uintptr_t request);
pusherc_slice pusherc_identify_app_id(uintptr_t request);
uint64_t pusherc_identify_question(uintptr_t request);
pusherc_slice pusherc_identify_header(uintptr_t request, const char *name);
pusherc_slice pusherc_identify_cookie(uintptr_t request, const char *name);
pusherc_slice pusherc_identify_bearer(uintptr_t request);
pusherc_slice pusherc_identify_query(uintptr_t request, const char *name);
pusherc_slice pusherc_identify_path(uintptr_t request);
pusherc_slice pusherc_identify_peer(uintptr_t request);
pusherc_slice pusherc_identify_client_ip(uintptr_t request);
int pusherc_identify_accept(uintptr_t request, const pusherc_identity *identity);
int pusherc_identify_reject(uintptr_t request, uint16_t close_code, const char *reason);
pusherc_slice pusherc_app_request_id(uintptr_t request);
pusherc_slice pusherc_app_request_key(uintptr_t request);
uint64_t pusherc_app_request_question(uintptr_t request);
int pusherc_app_answer(uintptr_t request, const pusherc_app_options *options);
pusherc_slice pusherc_http_method(uintptr_t request);
uint64_t pusherc_http_question(uintptr_t request);
pusherc_slice pusherc_http_path(uintptr_t request);
pusherc_slice pusherc_http_query(uintptr_t request, const char *name);
pusherc_slice pusherc_http_header(uintptr_t request, const char *name);
pusherc_slice pusherc_http_cookie(uintptr_t request, const char *name);
pusherc_slice pusherc_http_body(uintptr_t request);
pusherc_slice pusherc_http_form(uintptr_t request, const char *name);
pusherc_slice pusherc_http_peer(uintptr_t request);
pusherc_slice pusherc_http_client_ip(uintptr_t request);
typedef struct pusherc_http_field {
    pusherc_slice name;
    pusherc_slice value;
} pusherc_http_field;
int pusherc_http_respond(uintptr_t request, int status, const pusherc_http_field *fields, size_t field_count, pusherc_slice body);
typedef enum pusherc_message_type {
    PUSHERC_MESSAGE_IDENTIFY = 1,
    PUSHERC_MESSAGE_FIND_APP,
    PUSHERC_MESSAGE_HTTP,
    PUSHERC_MESSAGE_AUTHORIZE,
    PUSHERC_MESSAGE_ABANDONED,
    PUSHERC_MESSAGE_OPEN,
    PUSHERC_MESSAGE_CLOSE,
    PUSHERC_MESSAGE_SIGNIN,
    PUSHERC_MESSAGE_CHANNEL,
    PUSHERC_MESSAGE_CLIENT_EVENT,
    PUSHERC_MESSAGE_DENIED,
    PUSHERC_MESSAGE_WEBHOOK_FAILED,
    PUSHERC_MESSAGE_LOG,
    PUSHERC_MESSAGE_REAUTHORIZED,
    PUSHERC_MESSAGE_STOPPED,
    PUSHERC_MESSAGE_USER,
    PUSHERC_MESSAGE_RECEIPT,
    PUSHERC_MESSAGE_EPHEMERAL_END
} pusherc_message_type;
typedef struct pusherc_message {
    size_t struct_size;
    pusherc_message_type type;
    int number;
    uint64_t id;
    uintptr_t request;
    uintptr_t user_data;
    uintptr_t server;
    pusherc_socket_id socket_id;
    pusherc_slice app_id;
    pusherc_slice channel;
    pusherc_slice user_id;
    pusherc_slice name;
    pusherc_slice data;
    uint64_t a;
    uint64_t b;
} pusherc_message;
typedef struct pusherc_inbox_options {
    size_t struct_size;
    const pusherc_allocator *allocator;
    uint32_t max_messages;
    uint32_t reserved_;
} pusherc_inbox_options;
void pusherc_inbox_options_init(pusherc_inbox_options *out, size_t struct_size);
int pusherc_inbox_new(uintptr_t *out, const pusherc_inbox_options *options);
int pusherc_inbox_fd(uintptr_t inbox);
size_t pusherc_inbox_take(uintptr_t inbox, pusherc_message *out, size_t message_size, size_t capacity, uint32_t timeout_ms);
void pusherc_inbox_free(uintptr_t inbox);
enum {
    PUSHERC_WORKERS_MAX = 64
};
typedef enum pusherc_http_error_format {
    PUSHERC_HTTP_ERRORS_TEXT = 0,
    PUSHERC_HTTP_ERRORS_JSON
} pusherc_http_error_format;
typedef struct pusherc_server_options {
    size_t struct_size;
    const pusherc_hooks *hooks;
    uintptr_t loop;
    uint32_t worker_count;
    pusherc_log_level log_level;
    pusherc_log_fn log_fn;
    uintptr_t log_user_data;
    const pusherc_allocator *allocator;
    const char *path_prefix;
    const char *auth_path;
    const char *user_auth_path;
    const char *metrics_prefix;
    const char *webhook_ca_file;
    uint64_t max_cache_bytes;
    uint32_t max_connections;
    uint32_t max_frame_bytes;
    uint32_t max_http_body_bytes;
    uint32_t max_http_head_bytes;
    uint32_t proxy_count;
    uint32_t max_auth_skew_s;
    pusherc_http_error_format http_error_format;
    uint32_t idempotency_ms;
    uint32_t accept_traffic_percent;
    uint32_t webhook_batch_ms;
    uint32_t webhook_batch_events;
    uint32_t webhook_delay_ms;
    uint32_t webhook_timeout_ms;
    uint32_t webhook_retry_ms;
    uint32_t webhook_max_queued;
    uint32_t out_soft_bytes;
    uint32_t out_soft_ms;
    uint32_t out_hard_bytes;
    uint32_t handshake_timeout_ms;
    uint32_t identify_timeout_ms;
    uint32_t auth_timeout_ms;
    uint32_t pong_timeout_ms;
    uint32_t close_timeout_ms;
    uint32_t reserved_;
    const char *metrics_names;
    uint32_t max_unestablished;
    uint32_t max_unestablished_per_ip;
    uint64_t webhook_max_bytes;
    uint32_t max_questions_per_connection;
    uint32_t max_questions_per_ip;
    uint32_t max_questions_per_app;
    uint32_t max_unknown_apps_per_ip;
    uint32_t unknown_app_ms;
    uint32_t reserved2_;
    uintptr_t inbox;
    uint32_t inbox_messages;
    uint32_t deflate_min_bytes;
    uint64_t max_history_bytes;
    const char *inspector_token;
} pusherc_server_options;
void pusherc_server_options_init(pusherc_server_options *out, size_t struct_size);
typedef struct pusherc_tls_options {
    size_t struct_size;
    const char *cert_file;
    const char *key_file;
    const char *key_password;
    const struct pusherc_tls_options *next;
} pusherc_tls_options;
void pusherc_tls_options_init(pusherc_tls_options *out, size_t struct_size);
typedef enum pusherc_listen_purpose {
    PUSHERC_LISTEN_CLIENTS = 0,
    PUSHERC_LISTEN_METRICS
} pusherc_listen_purpose;
typedef struct pusherc_listen_options {
    size_t struct_size;
    const char *host;
    const pusherc_tls_options *tls;
    uint32_t backlog;
    pusherc_listen_purpose purpose;
    uint16_t port;
    uint16_t unix_mode;
    uint8_t reserved_[4];
} pusherc_listen_options;
void pusherc_listen_options_init(pusherc_listen_options *out, size_t struct_size);
int pusherc_server_new(uintptr_t *out, const pusherc_server_options *options, pusherc_errinfo *info);
int pusherc_server_listen(uintptr_t server, const pusherc_listen_options *options, pusherc_errinfo *info);
uint16_t pusherc_server_port(uintptr_t server, size_t listener);
int pusherc_server_reload_tls(uintptr_t server, size_t listener, const pusherc_tls_options *tls, pusherc_errinfo *info);
int pusherc_server_start(uintptr_t server, pusherc_errinfo *info);
int pusherc_server_poll(uintptr_t server, uint32_t timeout_ms);
int pusherc_server_fd(uintptr_t server);
uint32_t pusherc_server_wait_ms(uintptr_t server);
int pusherc_server_adopt(uintptr_t server, intptr_t os_socket, pusherc_slice head);
typedef void (*pusherc_stopped_fn)(uintptr_t server, uintptr_t user_data);
int pusherc_server_stop(uintptr_t server, uint32_t grace_ms, pusherc_stopped_fn stopped, uintptr_t user_data);
int pusherc_server_wait(uintptr_t server, uint32_t timeout_ms);
void pusherc_server_free(uintptr_t server);
int pusherc_server_mute(uintptr_t server, uint32_t messages);
typedef struct pusherc_connection {
    size_t struct_size;
    pusherc_socket_id socket_id;
    pusherc_slice user_id;
    pusherc_slice signed_in_as;
    pusherc_slice client_ip;
} pusherc_connection;
typedef void (*pusherc_connections_fn)(const pusherc_connection *items, size_t count, uintptr_t user_data);
int pusherc_list_connections(uintptr_t server, const char *app_id, pusherc_slice user_id, pusherc_connections_fn done, uintptr_t user_data);
int pusherc_server_disconnect(uintptr_t server, const char *app_id, pusherc_socket_id socket_id, uint16_t close_code, const char *reason);
int pusherc_server_disconnect_user(uintptr_t server, const char *app_id, pusherc_slice user_id, uint16_t close_code, const char *reason);
typedef struct pusherc_laravel_redis_options {
    size_t struct_size;
    const char *url;
    const char *app_id;
    const char * prefix;
    const char * app_name;
    uint32_t timeout_ms;
    uint32_t reserved_;
    const char *ca_file;
} pusherc_laravel_redis_options;
void pusherc_laravel_redis_options_init(pusherc_laravel_redis_options *out, size_t struct_size);
int pusherc_server_use_laravel_redis(uintptr_t server, const pusherc_laravel_redis_options *options, pusherc_errinfo *info);
typedef struct pusherc_stats {
    size_t struct_size;
    uint64_t connections;
    uint64_t connections_total;
    uint64_t sockets;
    uint64_t subscriptions;
    uint64_t channels;
    uint64_t grants;
    uint64_t messages_in_total;
    uint64_t messages_out_total;
    uint64_t bytes_in_total;
    uint64_t bytes_out_total;
    uint64_t write_calls_total;
    uint64_t http_requests_total;
    uint64_t publishes_total;
    uint64_t publishes_unmatched_total;
    uint64_t slow_closed_total;
    uint64_t slow_dropped_total;
    uint64_t out_queued_bytes;
    uint64_t mailbox_refused_total;
    uint64_t mailbox_depth;
    uint64_t mailbox_depth_max;
    uint64_t webhook_requests_total;
    uint64_t webhook_failures_total;
    uint64_t webhook_retries_total;
    uint64_t webhook_delivered_total;
    uint64_t webhook_dropped_total;
    uint64_t webhook_given_up_total;
    uint64_t webhook_queued;
    uint64_t sockets_unestablished;
    uint64_t sockets_reclaimed_total;
    uint64_t sockets_refused_total;
    uint64_t questions;
    uint64_t questions_refused_total;
    uint64_t inbox_depth;
    uint64_t inbox_refused_total;
    uint64_t inbox_dropped_total;
    uint64_t compressed_total;
    uint64_t compressed_from_bytes_total;
    uint64_t compressed_to_bytes_total;
    uint64_t history_bytes;
    uint64_t history_resumes_total;
    uint64_t history_replayed_total;
    uint64_t history_lost_total;
} pusherc_stats;
void pusherc_stats_init(pusherc_stats *out, size_t struct_size);
int pusherc_server_stats(uintptr_t server, pusherc_stats *out);
typedef int (*pusherc_write_fn)(pusherc_slice chunk, uintptr_t user_data);
int pusherc_server_metrics(uintptr_t server, pusherc_write_fn write, uintptr_t user_data);
struct sqlite3;
int pusherc_outbox_prepare(struct sqlite3 *db, pusherc_errinfo *info);
int pusherc_outbox_put(struct sqlite3 *db, const pusherc_event *events, size_t count, pusherc_errinfo *info);
typedef struct pusherc_outbox_options {
    size_t struct_size;
    const char *path;
    uintptr_t broadcaster;
    pusherc_broadcast_failed_fn on_refused;
    uintptr_t user_data;
    uint32_t poll_ms;
    uint32_t max_under_way;
    uint8_t reserved_[8];
} pusherc_outbox_options;
void pusherc_outbox_options_init(pusherc_outbox_options *out, size_t struct_size);
int pusherc_outbox_new(uintptr_t *out, const pusherc_outbox_options *options, pusherc_errinfo *info);
void pusherc_outbox_wake(uintptr_t outbox);
void pusherc_outbox_free(uintptr_t outbox);
typedef struct pusherc_outbox_stats {
    size_t struct_size;
    uint64_t waiting;
    uint64_t refused;
    uint64_t under_way;
    uint64_t sent;
    uint64_t oldest_ms;
} pusherc_outbox_stats;
void pusherc_outbox_stats_init(pusherc_outbox_stats *out, size_t struct_size);
int pusherc_outbox_read_stats(uintptr_t outbox, pusherc_outbox_stats *out);
enum {
    PUSHERC_MAX_CHANNEL_NAME_BYTES = 200,
    PUSHERC_MAX_WATCHLIST_USERS = 100
};
enum {
    PUSHERC_HMAC_HEX_SIZE = 65,
    PUSHERC_MASTER_KEY_SIZE = 32,
    PUSHERC_SHARED_SECRET_SIZE = 32,
    PUSHERC_MAX_SIGNED_PARAMS = 256
};
typedef struct pusherc_credentials {
    size_t struct_size;
    pusherc_slice app_id;
    pusherc_slice key;
    pusherc_slice secret;
    pusherc_slice master_key;
} pusherc_credentials;
void pusherc_credentials_init(pusherc_credentials *out, size_t struct_size);
typedef struct pusherc_http_param {
    pusherc_slice name;
    pusherc_slice value;
} pusherc_http_param;
int pusherc_hmac_sha256_hex(pusherc_slice secret, pusherc_slice data, char out[PUSHERC_HMAC_HEX_SIZE]);
int pusherc_sign_channel(const pusherc_credentials *credentials, pusherc_socket_id socket_id, pusherc_slice channel, pusherc_slice channel_data, char *out, size_t cap, size_t *len);
int pusherc_sign_user(const pusherc_credentials *credentials, pusherc_socket_id socket_id, pusherc_slice user_data, char *out, size_t cap, size_t *len);
int pusherc_auth_response_json(const pusherc_credentials *credentials, pusherc_socket_id socket_id, pusherc_slice channel, pusherc_slice channel_data, char *out, size_t cap, size_t *len);
int pusherc_user_auth_response_json(const pusherc_credentials *credentials, pusherc_socket_id socket_id, pusherc_slice user_data, char *out, size_t cap, size_t *len);
int pusherc_master_key_decode(pusherc_slice base64, uint8_t out[PUSHERC_MASTER_KEY_SIZE]);
int pusherc_shared_secret(const pusherc_credentials *credentials, pusherc_slice channel, uint8_t out[PUSHERC_SHARED_SECRET_SIZE]);
int pusherc_encrypt_event(const pusherc_credentials *credentials, pusherc_slice channel, pusherc_slice data, char *out, size_t cap, size_t *len);
int pusherc_decrypt_event(const pusherc_credentials *credentials, pusherc_slice channel, pusherc_slice encrypted, char *out, size_t cap, size_t *len);
int pusherc_sign_request(const pusherc_credentials *credentials, const char *method, const char *path, const pusherc_http_param *params, size_t param_count, pusherc_slice body, uint64_t unix_time_s, char *out, size_t cap, size_t *len);
int pusherc_verify_request(const pusherc_credentials *credentials, const char *method, const char *path, const pusherc_http_param *params, size_t param_count, pusherc_slice body, uint64_t unix_time_s, uint32_t max_skew_s);
int pusherc_explain_auth(const pusherc_credentials *credentials, pusherc_slice auth, pusherc_socket_id socket_id, pusherc_slice channel, pusherc_slice data, char *out, size_t cap, size_t *len);
int pusherc_explain_request(const pusherc_credentials *credentials, const char *method, const char *path, pusherc_slice query, pusherc_slice body, uint64_t unix_time_s, char *out, size_t cap, size_t *len);
int pusherc_sign_webhook(const pusherc_credentials *credentials, pusherc_slice body, char out[PUSHERC_HMAC_HEX_SIZE]);
int pusherc_verify_webhook(const pusherc_credentials *credentials, pusherc_slice body, pusherc_slice signature_hex);
unsigned pusherc_version(void);
const char *pusherc_version_string(void);
const char *pusherc_features(void);
