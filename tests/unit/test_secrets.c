/*
 * A password in a store's URI appears nowhere: not in errors, logs, health, findings or
 * the cache file.
 */
#define _DEFAULT_SOURCE /* mkdtemp, fork */
#include "stores.h"

#include <sys/wait.h>

#include "flagver/store.h"
#include "util/text.h"

#define SECRET "Zx9secret"
#define VAULT "vault://ann:" SECRET "@host/db?sslpassword=" SECRET "&x=y"
#define VAULT_SHOWN "vault://ann:***@host/db?sslpassword=***&x=y"

/* ---- a driver whose URI has passwords in it ---- */

static flagver_driver vault;
static int vault_fails; /* a code for open and changes */

static int open_vault(const flagver_driver_config *config, flagver_store **ret_store,
                      flagver_error *err)
{
    flagver_driver_config file = *config;

    if (vault_fails) {
        if (err)
            *err = (flagver_error){ .code = vault_fails, .message = "the vault is shut" };
        return vault_fails;
    }
    file.path = file_named("vault");
    return fv_sqlite_driver.open(&file, ret_store, err);
}

static int changes_of_vault(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                            flagver_error *err)
{
    if (!vault_fails)
        return fv_sqlite_driver.changes(store, tenant, ret_size, err);
    if (err)
        *err = (flagver_error){ .code = vault_fails, .message = "the vault is shut" };
    return vault_fails;
}

/* ---- all that is said ---- */

static struct fv_text said = FV_TEXT_INIT;

static void hear(const char *words)
{
    fv_text_add(&said, words);
    fv_text_add_char(&said, '\n');
}

static void hear_log(void *data, int level, const char *message)
{
    (void)data;
    (void)level;
    hear(message);
}

static void hear_finding(void *data, int finding, const char *line)
{
    (void)data;
    (void)finding;
    hear(line);
}

static void hear_check(void *data, bool fine, const char *line)
{
    (void)data;
    (void)fine;
    hear(line);
}

/* Whatever comes back. */
#define tell(call)                       \
    do {                                 \
        memset(&error, 0, sizeof error); \
        (void)(call);                    \
        hear(error.message);             \
    } while (0)

static void assert_no_secret(const char *expected)
{
    ck_assert_msg(!strstr(said.data, SECRET), "%s", said.data);
    ck_assert_msg(strstr(said.data, expected), "\"%s\" is not in: %s", expected, said.data);
}

static void set_up(void)
{
    vault = fv_sqlite_driver;
    vault.name = "vault";
    vault.open = open_vault;
    vault.changes = changes_of_vault;
    vault_fails = 0;
    assert_ok(flagver_driver_register(&vault, &error));
    fv_text_reset(&said);
}

static void tear_down(void)
{
    fv_text_clear(&said);
}

static flagver_options telling_options(void)
{
    flagver_options options = quiet_options();

    options.log = hear_log;
    options.wait_ms = 1;
    return options;
}

static flagver_client *open_vault_with(const flagver_options *options)
{
    flagver_client *client = NULL;

    assert_ok(flagver_open(VAULT, options, &client, &error));
    return client;
}

static void hear_health(flagver_client *client)
{
    char *json = NULL;

    assert_ok(flagver_client_health(client, &json, &error));
    hear(json);
    flagver_string_free(json);
}

/* ---- where it does not appear ---- */

START_TEST(a_uri_that_is_refused_is_shown_without)
{
    const char *const wrong[] = { "none://ann:" SECRET "@host/db",
                                  "none://host/db?password=" SECRET,
                                  "postgres://ann:" SECRET "@host",
                                  "none:host=x password=" SECRET };
    const char *uri = wrong[_i];
    flagver_client *client;
    uint32_t version;

    tell(flagver_open(uri, NULL, &client, &error));
    tell(flagver_schema_version(uri, &version, NULL, &error));
    tell(flagver_schema_up(uri, &error));
    tell(flagver_schema_down(uri, 0, NULL, true, &error));
    tell(flagver_schema_verify(uri, hear_check, NULL, &error));
    tell(flagver_store_export(uri, NULL, file_named("export"), &error));
    tell(flagver_store_import(uri, file_named("export"), &error));
    tell(flagver_store_doctor(uri, hear_finding, NULL, &error));
    assert_no_secret("***");
}
END_TEST

START_TEST(a_store_that_cannot_be_opened_is_shown_without)
{
    const int codes[] = { FLAGVER_EUNAVAILABLE, FLAGVER_ENOTFOUND, FLAGVER_ESCHEMA,
                          FLAGVER_ECORRUPT };
    flagver_options options = telling_options();
    flagver_client *client = NULL;
    uint32_t version;

    vault_fails = codes[_i];
    tell(flagver_open(VAULT, &options, &client, &error));
    tell(flagver_schema_version(VAULT, &version, NULL, &error));
    tell(flagver_schema_up(VAULT, &error));
    tell(flagver_schema_verify(VAULT, hear_check, NULL, &error));
    tell(flagver_store_doctor(VAULT, hear_finding, NULL, &error));
    assert_no_secret("");
}
END_TEST

START_TEST(health_and_the_doctor_show_it_without)
{
    flagver_options options = telling_options();
    flagver_client *client = open_vault_with(&options);

    put_flag(client, "f", SIMPLE);
    hear_health(client);
    tell(flagver_client_load(client, "{}", 2, &error));
    assert_no_secret("\"uri\":\"" VAULT_SHOWN "\"");
    vault_fails = FLAGVER_EUNAVAILABLE;
    tell(flagver_client_refresh(client, &error));
    hear_health(client);
    vault_fails = FLAGVER_ENOTFOUND;
    tell(flagver_client_reopen(client, &error));
    assert_no_secret(VAULT_SHOWN " is not there any more");
    vault_fails = 0;
    flagver_close(client);
    tell(flagver_store_doctor(VAULT, hear_finding, NULL, &error));
    assert_no_secret(VAULT_SHOWN " can be opened");
    tell(flagver_schema_verify(VAULT, hear_check, NULL, &error));
    assert_no_secret("");
}
END_TEST

START_TEST(somebody_who_writes_is_told_of_without)
{
    flagver_options options = telling_options();
    flagver_client *client = open_vault_with(&options);
    flagver_txn *one = begin(client), *two = begin(client);

    put_flag_in(one, "f", SIMPLE);
    tell(try_put(two, FLAGVER_PHASE_FLAG, "g", SIMPLE, NULL, NULL));
    assert_no_secret("is writing to " VAULT_SHOWN);
    flagver_txn_free(two);
    flagver_txn_free(one);
    flagver_close(client);
}
END_TEST

static int in_child(flagver_client *client)
{
    flagver_txn *txn;

    tell(flagver_txn_begin(client, &alice, NULL, &txn, &error));
    tell(flagver_client_refresh(client, &error));
    return strstr(said.data, SECRET) || !strstr(said.data, VAULT_SHOWN);
}

START_TEST(a_store_of_the_parents_is_shown_without)
{
    flagver_options options = telling_options();
    flagver_client *client = open_vault_with(&options);
    int status = 0;
    pid_t child = fork();

    ck_assert_int_ge(child, 0);
    if (child == 0)
        _exit(in_child(client));
    ck_assert_int_eq(waitpid(child, &status, 0), child);
    ck_assert(WIFEXITED(status));
    ck_assert_int_eq(WEXITSTATUS(status), 0);
    flagver_close(client);
}
END_TEST

static bool file_has(const char *path, const char *words)
{
    FILE *file = fopen(path, "rb");
    size_t at = 0;
    int c;

    ck_assert_ptr_nonnull(file);
    while (at < strlen(words) && (c = getc(file)) != EOF)
        at = c == words[at] ? at + 1 : c == words[0];
    fclose(file);
    return at == strlen(words);
}

START_TEST(the_cache_file_has_it_without)
{
    flagver_options options = telling_options();
    char cache[128];
    flagver_client *client;

    snprintf(cache, sizeof cache, "%s", file_named("cache"));
    options.cache_file = cache;
    client = open_vault_with(NULL);
    put_flag(client, "f", VALUE(7));
    flagver_close(client);
    flagver_close(open_vault_with(&options));
    ck_assert(file_has(cache, "vault://ann"));
    ck_assert(!file_has(cache, SECRET));

    vault_fails = FLAGVER_EUNAVAILABLE;
    client = open_vault_with(&options);
    ck_assert_int_eq(flagver_flag_int(client, "f", NULL, -1), 7);
    hear_health(client);
    vault_fails = FLAGVER_ENOTFOUND;
    tell(flagver_client_reopen(client, &error));
    assert_no_secret(VAULT_SHOWN " is not there, but its cache file");
    flagver_close(client);
}
END_TEST

static Suite *secrets_suite(void)
{
    Suite *suite = suite_create("secrets");
    TCase *tcase = add_store_tcase(suite, "secrets"), *forks = add_store_tcase(suite, "fork");

    tcase_add_checked_fixture(tcase, set_up, tear_down);
    tcase_add_loop_test(tcase, a_uri_that_is_refused_is_shown_without, 0, 4);
    tcase_add_loop_test(tcase, a_store_that_cannot_be_opened_is_shown_without, 0, 4);
    tcase_add_test(tcase, health_and_the_doctor_show_it_without);
    tcase_add_test(tcase, somebody_who_writes_is_told_of_without);
    tcase_add_test(tcase, the_cache_file_has_it_without);

    tcase_add_checked_fixture(forks, set_up, tear_down);
    tcase_set_tags(forks, "fork"); /* valgrind leaves it out */
    tcase_add_test(forks, a_store_of_the_parents_is_shown_without);
    return suite;
}

int main(void)
{
    return run_store_suite(secrets_suite());
}
