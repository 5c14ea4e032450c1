#include "setup.h"

#include <stdio.h>
#include <string.h>

#include <sodium.h>

#include "common/program.h"
#include "common/say.h"
#include "site.h"

#define PASSWORD_RAW_BYTES 9 /* 12 characters */

const char setup_usage[] =
    "\n"
    "Add to the database of --data FILE, and end:\n"
    "  --add-organization SLUG [--name NAME]      its pages are /status/SLUG and /dashboard/SLUG\n"
    "  --add-user EMAIL [--name NAME] --organization SLUG [--role member|admin|owner]\n"
    "                                             prints the password of a new user\n";

static const struct setup *setup_of(struct program *program)
{
    const struct site *site = program->own;
    return &site->setup;
}

bool setup_wanted(struct program *program)
{
    const struct setup *setup = setup_of(program);
    return setup->add_organization || setup->add_user;
}

static int fail(const char *text)
{
    say("%s", text);
    return -1;
}

static int add_organization(struct store *store, const struct setup *setup)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789-";
    const char *slug = setup->add_organization;
    if (!*slug || strlen(slug) > 60 || slug[strspn(slug, allowed)])
        return fail("--add-organization wants what its addresses say: a-z, 0-9 and '-'");
    if (store_has(store, "SELECT 1 FROM organizations WHERE slug = ?", VALUES(TEXT(slug))))
        return fail("there is an organization of that name already");
    if (store_run(store, "INSERT INTO organizations (slug, name, tagline) VALUES (?, ?, '')",
                  VALUES(TEXT(slug), TEXT(setup->name ? setup->name : slug))) != 0)
        return -1;
    printf("added /status/%s\n", slug);
    return 0;
}

/* A user who has an account keeps the password, and becomes a member of one more organization. */
static int add_account(struct store *store, const struct setup *setup)
{
    unsigned char raw[PASSWORD_RAW_BYTES];
    char password[sodium_base64_ENCODED_LEN(PASSWORD_RAW_BYTES, sodium_base64_VARIANT_URLSAFE)];
    char hash[crypto_pwhash_STRBYTES];
    if (store_has(store, "SELECT 1 FROM users WHERE email = lower(?)",
                  VALUES(TEXT(setup->add_user))))
        return 0;
    randombytes_buf(raw, sizeof raw);
    sodium_bin2base64(password, sizeof password, raw, sizeof raw, sodium_base64_VARIANT_URLSAFE);
    if (crypto_pwhash_str(hash, password, strlen(password), crypto_pwhash_OPSLIMIT_INTERACTIVE,
                          crypto_pwhash_MEMLIMIT_INTERACTIVE) != 0)
        return fail("no memory for the password");
    if (store_run(store, "INSERT INTO users (email, name, password) VALUES (lower(?), ?, ?)",
                  VALUES(TEXT(setup->add_user), TEXT(setup->name ? setup->name : setup->add_user),
                         TEXT(hash))) != 0)
        return -1;
    printf("password of %s: %s\n", setup->add_user, password);
    return 0;
}

static int add_user(struct store *store, const struct setup *setup)
{
    const char *role = setup->role ? setup->role : "member";
    const char *slug = setup->organization ? setup->organization : setup->add_organization;
    if (!strchr(setup->add_user, '@'))
        return fail("--add-user wants an e-mail address");
    if (strcmp(role, "member") != 0 && strcmp(role, "admin") != 0 && strcmp(role, "owner") != 0)
        return fail("--role wants member, admin or owner");
    if (!slug ||
        !store_has(store, "SELECT 1 FROM organizations WHERE slug = ?", VALUES(TEXT(slug))))
        return fail("--organization wants the name of one that is there");
    if (add_account(store, setup) != 0 ||
        store_run(store,
                  "INSERT OR REPLACE INTO memberships SELECT u.id, o.id, ? FROM users u,"
                  " organizations o WHERE u.email = lower(?) AND o.slug = ?",
                  VALUES(TEXT(role), TEXT(setup->add_user), TEXT(slug))) != 0)
        return -1;
    printf("%s is %s of %s\n", setup->add_user, role, slug);
    return 0;
}

int setup_run(struct program *program)
{
    const struct setup *setup = setup_of(program);
    if (!program->kept)
        return fail("what is added goes into the file of --data FILE");
    int status = setup->add_organization ? add_organization(program->store, setup) : 0;
    return status == 0 && setup->add_user ? add_user(program->store, setup) : status;
}
