/*
 * Leaves of the audit log: their bytes, which are promised for good.
 */
#include "model/leaf.h"

#include <stdio.h>

#include "support.h"

static flagver_bytes text(const char *string)
{
    return (flagver_bytes){ string, strlen(string) };
}

static struct fv_audit_leaf some_leaf(void)
{
    struct fv_audit_leaf leaf = { .tenant = text("t1"),
                                  .leaf_no = 0x0102030405060708,
                                  .time = INT64_C(0x0006123456789abc),
                                  .actor = text("alice"),
                                  .action = FV_ACTION_SUBMIT,
                                  .phase = text("flagver.flag"),
                                  .subject = text("caf\xc3\xa9"),
                                  .no = 0x11121314,
                                  .from = FLAGVER_STATE_DRAFT,
                                  .to = FLAGVER_STATE_APPROVED,
                                  .bits = 0x00010001,
                                  .rev = 0x2122232425262728,
                                  .parent_no = 0x31,
                                  .base_no = 0x3233,
                                  .reverts_no = 0x343536,
                                  .supersedes = 0xfffffffe,
                                  .policy = text("p"),
                                  .policy_no = 0x41,
                                  .rule = text("r2"),
                                  .idempotency_key = text("key") };

    memset(leaf.content_hash, 0xc0, sizeof leaf.content_hash);
    memset(leaf.decisions_hash, 0xd0, sizeof leaf.decisions_hash);
    memset(leaf.note_hash, 0xe0, sizeof leaf.note_hash);
    return leaf;
}

#define HASH(byte) byte byte byte byte byte byte byte byte
static const char golden[] = "01" /* form */
                             "01" /* of the canonical JSON */
                             "0002"
                             "7431"             /* tenant */
                             "0102030405060708" /* leaf number */
                             "0006123456789abc" /* time */
                             "0005"
                             "616c696365" /* actor */
                             "04"         /* action */
                             "000c"
                             "666c61677665722e666c6167"
                             "0005"
                             "636166c3a9" /* subject */
                             "11121314"   /* version */
                             "01"
                             "03"               /* states */
                             "00010001"         /* bits */
                             "2122232425262728" /* rev */
                             "00000031"
                             "00003233"
                             "00343536"
                             "fffffffe" HASH("c0c0c0c0") HASH("d0d0d0d0")
                                 HASH("e0e0e0e0") "0001"
                                                  "70"
                                                  "00000041" /* policy */
                                                  "0002"
                                                  "7232" /* rule */
                                                  "0003"
                                                  "6b6579"; /* idempotency key */

static void assert_same_text(flagver_bytes a, flagver_bytes b)
{
    ck_assert_uint_eq(a.length, b.length);
    ck_assert_mem_eq(a.data, b.data, a.length);
}

static void assert_same(const struct fv_audit_leaf *a, const struct fv_audit_leaf *b)
{
    assert_same_text(a->tenant, b->tenant);
    ck_assert_uint_eq(a->leaf_no, b->leaf_no);
    ck_assert_int_eq(a->time, b->time);
    assert_same_text(a->actor, b->actor);
    ck_assert_int_eq(a->action, b->action);
    assert_same_text(a->phase, b->phase);
    assert_same_text(a->subject, b->subject);
    ck_assert_uint_eq(a->no, b->no);
    ck_assert_int_eq(a->from, b->from);
    ck_assert_int_eq(a->to, b->to);
    ck_assert_uint_eq(a->bits, b->bits);
    ck_assert_int_eq(a->rev, b->rev);
    ck_assert_uint_eq(a->parent_no, b->parent_no);
    ck_assert_uint_eq(a->base_no, b->base_no);
    ck_assert_uint_eq(a->reverts_no, b->reverts_no);
    ck_assert_uint_eq(a->supersedes, b->supersedes);
    ck_assert_mem_eq(a->content_hash, b->content_hash, 32);
    ck_assert_mem_eq(a->decisions_hash, b->decisions_hash, 32);
    ck_assert_mem_eq(a->note_hash, b->note_hash, 32);
    assert_same_text(a->policy, b->policy);
    ck_assert_uint_eq(a->policy_no, b->policy_no);
    assert_same_text(a->rule, b->rule);
    assert_same_text(a->idempotency_key, b->idempotency_key);
}

START_TEST(a_leaf_is_these_bytes)
{
    const struct fv_audit_leaf leaf = some_leaf();
    struct fv_text out = FV_TEXT_INIT, hex = FV_TEXT_INIT;
    size_t i;

    fv_leaf_encode(&leaf, &out);
    for (i = 0; i < out.length; i++)
        fv_text_format(&hex, "%02x", (unsigned char)out.data[i]);
    ck_assert(!out.failed);
    ck_assert_str_eq(hex.data, golden);
    fv_text_clear(&out);
    fv_text_clear(&hex);
}
END_TEST

START_TEST(a_leaf_reads_back)
{
    const struct fv_audit_leaf leaf = some_leaf();
    struct fv_text out = FV_TEXT_INIT;
    struct fv_audit_leaf back;

    fv_leaf_encode(&leaf, &out);
    ck_assert(fv_leaf_decode(out.data, out.length, &back));
    assert_same(&back, &leaf);
    fv_text_clear(&out);
}
END_TEST

START_TEST(a_leaf_of_nothing_reads_back)
{
    const struct fv_audit_leaf nothing = { .leaf_no = 0 };
    struct fv_text out = FV_TEXT_INIT;
    struct fv_audit_leaf back = some_leaf();

    fv_leaf_encode(&nothing, &out);
    ck_assert(fv_leaf_decode(out.data, out.length, &back));
    ck_assert_uint_eq(back.tenant.length, 0);
    ck_assert_uint_eq(back.idempotency_key.length, 0);
    ck_assert_int_eq(back.time, 0);
    fv_text_clear(&out);
}
END_TEST

START_TEST(an_encoding_is_appended)
{
    const struct fv_audit_leaf leaf = some_leaf();
    struct fv_text out = FV_TEXT_INIT;
    struct fv_audit_leaf back;

    fv_text_add(&out, "before");
    fv_leaf_encode(&leaf, &out);
    ck_assert(strncmp(out.data, "before", 6) == 0);
    ck_assert(fv_leaf_decode(out.data + 6, out.length - 6, &back));
    fv_text_clear(&out);
}
END_TEST

/* In memory of its own size, so that reading too far is found out. */
START_TEST(every_truncation_is_refused)
{
    const struct fv_audit_leaf leaf = some_leaf();
    struct fv_audit_leaf back = { .no = 77 };
    struct fv_text out = FV_TEXT_INIT;
    size_t length;
    char *part;

    fv_leaf_encode(&leaf, &out);
    for (length = 0; length < out.length; length++) {
        part = malloc(length ? length : 1);
        ck_assert_ptr_nonnull(part);
        memcpy(part, out.data, length);
        if (fv_leaf_decode(part, length, &back))
            ck_abort_msg("%zu of %zu bytes were taken for a leaf", length, out.length);
        free(part);
    }
    ck_assert_uint_eq(back.no, 77);
    fv_text_clear(&out);
}
END_TEST

START_TEST(whose_leaf_it_is_can_be_seen_without_the_rest)
{
    struct fv_audit_leaf leaf = { .tenant = { "acme", 4 }, .leaf_no = 0x0102030405060708 };
    struct fv_text out = FV_TEXT_INIT;
    flagver_bytes tenant;
    uint64_t no;
    size_t length;

    fv_leaf_encode(&leaf, &out);
    for (length = 0; length < out.length; length++)
        ck_assert_int_eq(fv_leaf_peek(out.data, length, &tenant, &no), length >= 2 + 2 + 4 + 8);
    ck_assert_uint_eq(no, leaf.leaf_no);
    ck_assert_uint_eq(tenant.length, 4);
    ck_assert_mem_eq(tenant.data, "acme", 4);
    out.data[0] ^= 2;
    ck_assert(!fv_leaf_peek(out.data, out.length, &tenant, &no));
    fv_text_clear(&out);
}
END_TEST

START_TEST(a_byte_too_many_is_refused)
{
    const struct fv_audit_leaf leaf = some_leaf();
    struct fv_text out = FV_TEXT_INIT;
    struct fv_audit_leaf back;

    fv_leaf_encode(&leaf, &out);
    fv_text_add_char(&out, 'x');
    ck_assert(!fv_leaf_decode(out.data, out.length, &back));
    fv_text_clear(&out);
}
END_TEST

START_TEST(another_form_is_refused)
{
    const struct fv_audit_leaf leaf = some_leaf();
    struct fv_text out = FV_TEXT_INIT;
    struct fv_audit_leaf back;
    int i;

    fv_leaf_encode(&leaf, &out);
    for (i = 0; i < 2; i++) {
        out.data[i] = 2;
        ck_assert(!fv_leaf_decode(out.data, out.length, &back));
        out.data[i] = 1;
    }
    ck_assert(fv_leaf_decode(out.data, out.length, &back));
    fv_text_clear(&out);
}
END_TEST

START_TEST(the_longest_text_fits_and_no_longer_one)
{
    struct fv_audit_leaf leaf = some_leaf(), back;
    struct fv_text out = FV_TEXT_INIT;
    char *long_text = malloc(UINT16_MAX + 1);

    ck_assert_ptr_nonnull(long_text);
    memset(long_text, 'x', UINT16_MAX + 1);
    leaf.rule = (flagver_bytes){ long_text, UINT16_MAX };
    fv_leaf_encode(&leaf, &out);
    ck_assert(fv_leaf_decode(out.data, out.length, &back));
    ck_assert_uint_eq(back.rule.length, UINT16_MAX);
    fv_text_reset(&out);
    leaf.rule.length++;
    fv_leaf_encode(&leaf, &out);
    ck_assert(out.failed);
    fv_text_clear(&out);
    free(long_text);
}
END_TEST

START_TEST(every_action_has_its_number_and_name)
{
    static const char *const names[] = { "create", "edit",    "rebase", "submit",   "return",
                                         "decide", "approve", "reject", "withdraw", "record",
                                         "review", "shred",   "revert" };
    int i;

    for (i = 0; i < 13; i++)
        ck_assert_str_eq(fv_action_name(i + 1), names[i]);
    ck_assert_int_eq(FV_ACTION_RECORD, 10);
    ck_assert_int_eq(FV_ACTION_SUBMIT, 4);
    ck_assert_ptr_null(fv_action_name(0));
    ck_assert_ptr_null(fv_action_name(14));
    ck_assert_ptr_null(fv_action_name(-1));
}
END_TEST

static Suite *leaf_suite(void)
{
    Suite *suite = suite_create("leaf");
    TCase *all = tcase_create("all");

    tcase_add_test(all, a_leaf_is_these_bytes);
    tcase_add_test(all, a_leaf_reads_back);
    tcase_add_test(all, a_leaf_of_nothing_reads_back);
    tcase_add_test(all, an_encoding_is_appended);
    tcase_add_test(all, every_truncation_is_refused);
    tcase_add_test(all, whose_leaf_it_is_can_be_seen_without_the_rest);
    tcase_add_test(all, a_byte_too_many_is_refused);
    tcase_add_test(all, another_form_is_refused);
    tcase_add_test(all, the_longest_text_fits_and_no_longer_one);
    tcase_add_test(all, every_action_has_its_number_and_name);
    suite_add_tcase(suite, all);
    return suite;
}

int main(void)
{
    return run_suite(leaf_suite());
}
