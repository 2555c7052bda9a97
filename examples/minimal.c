/*
 * Ask two flags about one user.
 *
 *     cc minimal.c -o minimal $(pkg-config --cflags --libs flagver)
 *     ./minimal file:examples/definitions.json
 *
 * Without a file there are no flags, and the program gets its own defaults back.
 */
#include <flagver.h>

#include <stdio.h>

int main(int argc, char **argv)
{
    flagver_detail detail = { .size = sizeof detail };
    flagver_client *flags;
    flagver_context *user;
    flagver_error err;
    const char *checkout;
    bool setup;

    if (flagver_open(argc > 1 ? argv[1] : "definitions:", NULL, &flags, &err) < 0) {
        fprintf(stderr, "minimal: %s\n", err.message);
        return 1;
    }

    user = flagver_context_new("bob");
    if (user) {
        flagver_context_set_string(user, "country", "DE");
        flagver_context_set_string(user, "companyId", "acme");
        flagver_context_set_string(user, "app_version", "2.4.0");
    }

    setup = flagver_flag_bool_detail(flags, "report_setup", user, false, &detail);
    printf("report_setup: %s (%s, bucket %d)\n", setup ? "the new reports" : "the old reports",
           flagver_reason_name(detail.reason), (int)detail.bucket);

    checkout = flagver_flag_string(flags, "checkout", user, "classic");
    printf("checkout: %s\n", checkout);

    flagver_context_free(user);
    flagver_close(flags);
    return 0;
}
