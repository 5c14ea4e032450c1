#include "setup.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "store.h"

#define PASSWORD_RAW_BYTES 9 /* 12 characters */

bool setup_wanted(const struct options *options)
{
    return options->add_organization || options->add_user;
}

static int fail(const char *text)
{
    fprintf(stderr, "status-page: %s\n", text);
    return -1;
}

static int add_organization(struct store *store, const struct options *options)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const char *slug = options->add_organization;
    if (!*slug || strlen(slug) > 60 || slug[strspn(slug, allowed)])
        return fail("--add-organization wants what its addresses say: a-z, 0-9 and '-'");
    if (store_has(store, "SELECT 1 FROM organizations WHERE slug = ?", VALUES(TEXT(slug))))
        return fail("there is an organization of that name already");
    if (store_run(store, "INSERT INTO organizations (slug, name, tagline) VALUES (?, ?, '')",
                  VALUES(TEXT(slug), TEXT(options->name ? options->name : slug))) != 0)
        return -1;
    printf("added /status/%s\n", slug);
    return 0;
}

/* A user who has an account keeps the password, and becomes a member of one more organization. */
static int add_account(struct store *store, const struct options *options)
{
    unsigned char raw[PASSWORD_RAW_BYTES];
    char password[sodium_base64_ENCODED_LEN(PASSWORD_RAW_BYTES, sodium_base64_VARIANT_URLSAFE)];
    char hash[crypto_pwhash_STRBYTES];
    if (store_has(store, "SELECT 1 FROM users WHERE email = lower(?)",
                  VALUES(TEXT(options->add_user))))
        return 0;
    randombytes_buf(raw, sizeof raw);
    sodium_bin2base64(password, sizeof password, raw, sizeof raw, sodium_base64_VARIANT_URLSAFE);
    if (crypto_pwhash_str(hash, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return fail("no memory for the password");
    if (store_run(store, "INSERT INTO users (email, name, password) VALUES (lower(?), ?, ?)",
                  VALUES(TEXT(options->add_user),
                         TEXT(options->name ? options->name : options->add_user), TEXT(hash))) != 0)
        return -1;
    printf("password of %s: %s\n", options->add_user, password);
    return 0;
}

static int add_user(struct store *store, const struct options *options)
{
    const char *role = options->role ? options->role : "member";
    const char *slug = options->organization ? options->organization : options->add_organization;
    if (!strchr(options->add_user, '@'))
        return fail("--add-user wants an e-mail address");
    if (strcmp(role, "member") != 0 && strcmp(role, "admin") != 0 && strcmp(role, "owner") != 0)
        return fail("--role wants member, admin or owner");
    if (!slug ||
        !store_has(store, "SELECT 1 FROM organizations WHERE slug = ?", VALUES(TEXT(slug))))
        return fail("--organization wants the name of one that is there");
    if (add_account(store, options) != 0 ||
        store_run(store,
                  "INSERT OR REPLACE INTO memberships SELECT u.id, o.id, ? FROM users u,"
                  " organizations o WHERE u.email = lower(?) AND o.slug = ?",
                  VALUES(TEXT(role), TEXT(options->add_user), TEXT(slug))) != 0)
        return -1;
    printf("%s is %s of %s\n", options->add_user, role, slug);
    return 0;
}

int setup_run(struct store *store, const struct options *options)
{
    if (strcmp(options->data, ":memory:") == 0)
        return fail("what is added goes into the file of --data FILE");
    int status = options->add_organization ? add_organization(store, options) : 0;
    return status == 0 && options->add_user ? add_user(store, options) : status;
}
