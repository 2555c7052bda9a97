/* URIs without their passwords. */
#include "support.h"

#include "flagver/store.h"
#include "util/uri.h"

static const struct {
    const char *uri, *shown;
} uris[] = {
    /* nothing to hide */
    { "", "" },
    { "memory:", "memory:" },
    { "sqlite:flagver.db", "sqlite:flagver.db" },
    { "sqlite:/srv/a:b@c/x.db", "sqlite:/srv/a:b@c/x.db" },
    { "sqlite:/srv/passwords.db", "sqlite:/srv/passwords.db" },
    { "postgresql://host/db", "postgresql://host/db" },
    { "postgresql://ann@host:5432/db", "postgresql://ann@host:5432/db" },
    { "postgresql://ann:@host/db", "postgresql://ann:@host/db" },
    { "postgresql://h1:5432,[::1]:5433/db?user=ann",
      "postgresql://h1:5432,[::1]:5433/db?user=ann" },
    { "postgresql://host:5432/db?user=ann@server", "postgresql://host:5432/db?user=ann@server" },
    { "postgresql:///db?host=/tmp&user=a&passfile=/x",
      "postgresql:///db?host=/tmp&user=a&passfile=/x" },
    { "postgresql://?service=app", "postgresql://?service=app" },

    /* the user's password */
    { "postgresql://ann:secret@host/db", "postgresql://ann:***@host/db" },
    { "postgresql://ann:secret@", "postgresql://ann:***@" },
    { "postgresql://:secret@host", "postgresql://:***@host" },
    { "postgresql://ann:s@h1:5432,h2:5433/db?x=y", "postgresql://ann:***@h1:5432,h2:5433/db?x=y" },
    { "other+x://ann:secret@host", "other+x://ann:***@host" },
    { "postgresql://ann:%40se%2Fcret@host", "postgresql://ann:***@host" },

    /* what should have been percent-encoded */
    { "postgresql://ann:sec:ret@host/db", "postgresql://ann:***@host/db" },
    { "postgresql://ann:sec@ret@host/db", "postgresql://ann:***@host/db" },
    { "postgresql://ann:sec/ret@host/db", "postgresql://ann:***@host/db" },
    { "postgresql://ann:sec?ret@host/db?x=y", "postgresql://ann:***@host/db?x=y" },
    { "postgresql://ann:sec ret@host/db", "postgresql://ann:***@host/db" },
    { "postgresql://a/nn:secret@host/db", "postgresql://a/nn:***@host/db" },

    /* parameters */
    { "postgresql://h/db?password=secret", "postgresql://h/db?password=***" },
    { "postgresql://h/db?password=", "postgresql://h/db?password=***" },
    { "postgresql://h?a=b&password=secret&c=d", "postgresql://h?a=b&password=***&c=d" },
    { "postgresql://h?password=sec&ret", "postgresql://h?password=***" },
    { "postgresql://h?password=sec&ret&c=d", "postgresql://h?password=***&c=d" },
    { "postgresql://h?sslpassword=secret&SSLPassWord=x",
      "postgresql://h?sslpassword=***&SSLPassWord=***" },
    { "postgresql://h?pass%77ord=secret", "postgresql://h?pass%77ord=***" },
    { "postgresql://h?oauth_client_secret=a&scram_client_key=b&scram_server_key=c&e=d",
      "postgresql://h?oauth_client_secret=***&scram_client_key=***&scram_server_key=***&e=d" },
    { "postgresql://h?pass%57ord=secret", "postgresql://h?pass%57ord=***" },
    { "postgresql://h?my_password_2=se?cr=et", "postgresql://h?my_password_2=***" },
    { "postgresql://ann:secret@h?x=y&password=secret", "postgresql://ann:***@h?x=y&password=***" },
    { "postgresql://h?require_auth=password", "postgresql://h?require_auth=password" },
    { "postgresql://h?a=b%", "postgresql://h?a=b%" },

    /* no URI */
    { "postgresql:host=db password=secret user=ann", "postgresql:host=db password=***" },
    { "host=db PASSWORD = 'sec ret'", "host=db PASSWORD =***" },
    { "postgresql:host=db sslpassword=secret", "postgresql:host=db sslpassword=***" },
    { "password", "password" },
    { "://", "://" },
    { "://a:b@", "://a:***@" },
    { "***", "***" },
};

START_TEST(passwords_are_hidden_and_nothing_else)
{
    char *shown = fv_uri_shown(uris[_i].uri, NULL);

    ck_assert_str_eq(shown, uris[_i].shown);
    fv_release(NULL, shown);
}
END_TEST

START_TEST(what_is_shown_already_stays_so)
{
    char *shown = fv_uri_shown(uris[_i].shown, NULL);

    ck_assert_str_eq(shown, uris[_i].shown);
    fv_release(NULL, shown);
}
END_TEST

START_TEST(hosts_can_ask_for_it)
{
    char *shown = NULL;

    assert_ok(flagver_uri_show(uris[_i].uri, &shown, &error));
    ck_assert_str_eq(shown, uris[_i].shown);
    flagver_string_free(shown);
}
END_TEST

START_TEST(null_arguments_are_refused)
{
    char *shown;

    assert_fails(FLAGVER_EINVAL, flagver_uri_show(NULL, &shown, &error));
    assert_fails(FLAGVER_EINVAL, flagver_uri_show("memory:", NULL, &error));
}
END_TEST

START_TEST(a_name_of_any_length_is_no_way_around)
{
    char uri[256] = "x://h?", *shown;

    memset(uri + strlen(uri), 'n', 100);
    strcat(uri, "password=secret");
    shown = fv_uri_shown(uri, NULL);
    ck_assert_ptr_null(strstr(shown, "secret"));
    fv_release(NULL, shown);
}
END_TEST

/* The end, where the host is, may be cut off: the password is hidden before. */
START_TEST(a_long_password_is_hidden_before_it_is_cut_off)
{
    struct fv_uri_brief brief;
    char uri[2000] = "postgresql://ann:";

    memset(uri + strlen(uri), 's', 1000);
    strcat(uri, "@host/db");
    ck_assert_str_eq(fv_uri_brief(uri, &brief), "postgresql://ann:***@host/db");
    memset(uri, 0, sizeof uri);
    memset(uri, 'x', sizeof uri - 1);
    ck_assert_uint_eq(strlen(fv_uri_brief(uri, &brief)), sizeof brief.text - 1);
}
END_TEST

static Suite *uri_suite(void)
{
    Suite *suite = suite_create("uri");
    TCase *tcase = tcase_create("uri");
    const int count = (int)(sizeof uris / sizeof *uris);

    tcase_add_loop_test(tcase, passwords_are_hidden_and_nothing_else, 0, count);
    tcase_add_loop_test(tcase, what_is_shown_already_stays_so, 0, count);
    tcase_add_loop_test(tcase, hosts_can_ask_for_it, 0, count);
    tcase_add_test(tcase, null_arguments_are_refused);
    tcase_add_test(tcase, a_name_of_any_length_is_no_way_around);
    tcase_add_test(tcase, a_long_password_is_hidden_before_it_is_cut_off);
    suite_add_tcase(suite, tcase);
    return suite;
}

int main(void)
{
    return run_suite(uri_suite());
}
