/*
 * A program with a storage driver of its own: flags in a JSON file.
 *
 *     ./json_driver flags.json
 *
 * Without a file it uses one of its own, which it removes in the end. The driver is
 * drivers/jsonfile.c; here you see what an application does with one.
 */
#include "drivers/jsonfile.c"

#include <flagver.h>

static int complain(const char *what, const flagver_error *err)
{
    fprintf(stderr, "json_driver: %s: %s\n", what, err->message);
    return 1;
}

/* Half of all users, and the testers. */
static int put_flag(void *data, flagver_txn *txn, flagver_error *err)
{
    static const char definition[] =
        "{\"type\": \"boolean\", \"beta\": [\"alice\"], \"percentage\": 50}";
    uint32_t *ret_no = data;

    return flagver_flag_put(txn, "new_search", definition, sizeof definition - 1, NULL, ret_no,
                            err);
}

static int everybody(void *data, flagver_txn *txn, flagver_error *err)
{
    uint32_t *ret_no = data;

    return flagver_flag_release(txn, "new_search", NULL, ret_no, err);
}

static void ask(flagver_client *flags, const char *user)
{
    flagver_context *context = flagver_context_new(user);
    bool on = flagver_flag_bool(flags, "new_search", context, false);

    printf("  %-6s %s\n", user, on ? "new search" : "old search");
    flagver_context_free(context);
}

/* Change the flag in a transaction, take the change over, and ask. */
static int change(flagver_client *flags, const char *what,
                  int (*operations)(void *data, flagver_txn *txn, flagver_error *err))
{
    static const char *const users[] = { "alice", "bob", "carol", "dave" };
    const flagver_actor actor = { .size = sizeof actor, .id = "example" };
    flagver_error err;
    uint32_t no = 0;
    size_t i;

    if (flagver_txn_run(flags, &actor, NULL, operations, &no, &err) < 0)
        return complain(what, &err);
    if (flagver_client_refresh(flags, &err) < 0)
        return complain("refresh", &err);
    printf("%s is version %u:\n", what, (unsigned)no);
    for (i = 0; i < sizeof users / sizeof *users; i++)
        ask(flags, users[i]);
    return 0;
}

static int show(const char *path)
{
    flagver_client *flags;
    flagver_error err;
    char uri[1024];
    int r;

    if (flagver_driver_register(&jsonfile_driver, &err) < 0)
        return complain("registering the driver", &err);
    snprintf(uri, sizeof uri, "jsonfile:%s", path);
    if (flagver_open(uri, NULL, &flags, &err) < 0)
        return complain(uri, &err);

    r = change(flags, "half of the users", put_flag);
    if (r == 0)
        r = change(flags, "everybody", everybody);
    flagver_close(flags);
    return r;
}

int main(int argc, char **argv)
{
    char own[] = "json_driver-XXXXXX", path[64];
    int r;

    if (argc > 1)
        return show(argv[1]);
    if (!mkdtemp(own)) {
        perror("json_driver");
        return 1;
    }
    snprintf(path, sizeof path, "%s/flags.json", own);
    r = show(path);
    unlink(path);
    rmdir(own);
    return r;
}
