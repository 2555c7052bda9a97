/*
 * The audit log: its checkpoints and proofs, and that whatever is changed behind the library's
 * back is found and named.
 */
#define _POSIX_C_SOURCE 200809L /* mkdtemp */
#include <sqlite3.h>

#include "records.h"

#include "flagver/key.h"
#include "flagver/store.h"

#define P "scoping"

/* ---- a store in which everything has happened ---- */

#define TESTERS "{'role_in':['Tester','Test Lead','Test Manager']}"

static int one_key(void *data, const char *id, char ret_id[65], uint8_t ret_key[32])
{
    (void)data;
    if (id && strcmp(id, "k") != 0)
        return 1;
    strcpy(ret_id, "k");
    memset(ret_key, 7, 32);
    return 0;
}

static flagver_client *open_keyed(int kind)
{
    flagver_options options = quiet_options();

    options.key = one_key;
    return open_with(kind, &options);
}

static void tell_of_flags(flagver_client *client)
{
    flagver_txn *txn = begin(client);

    put_flag_in(txn, "a", SIMPLE);
    put_flag_in(txn, "b", SHARE(10));
    put_segment_in(txn, "s", "{'include':['x']}");
    commit(txn);
    put_flag(client, "a", SHARE(20));
    delete_flag(client, "b");
    done(client, dan, REVERT, FLAGVER_PHASE_FLAG, "a", 1, .options.note = "back");
}

static void tell_of_approval(flagver_client *client)
{
    set_policy(client, &dan, P,
               "{'approval':{'rule':" TESTERS ",'min':2,'allow_self':true},'shred':'anyone'}");
    done(client, dan, CREATE, P, "r/1", .json = "{'x':1}", .options.note = "first");
    done(client, dan, ITEMS_PUT, P, "r/1", 1, "{'n':1}", "i1");
    done(client, ann, ITEMS_PUT, P, "r/1", 1, "{'n':2}", "i2");
    done(client, ben, EDIT, P, "r/1", 1, "{'x':2}");
    done(client, dan, SUBMIT, P, "r/1", 1);
    done(client, dan, RETURN, P, "r/1", 1, .options.note = "wait");
    done(client, dan, SUBMIT, P, "r/1", 1);
    done(client, cat, DECIDE, P, "r/1", 1, .key = "i1", .status = FLAGVER_ITEM_APPROVED,
         .options.note = "good");
    done(client, cat, DECIDE, P, "r/1", 1, .key = "i2", .status = FLAGVER_ITEM_REJECTED);
    done(client, cat, APPROVE, P, "r/1", 1, .options.note = "yes");
    done(client, ann, APPROVE, P, "r/1", 1);
    done(client, dan, CREATE, P, "r/1", .json = "{'x':3}", .options.baseline_no = 1);
    done(client, ann, APPROVE, P, "r/1", 2, .options.flags = FLAGVER_WRITE_SUBMIT,
         .options.note = "both");
    done(client, ben, APPROVE, P, "r/1", 2);
    done(client, dan, CREATE, P, "r/1", .json = "{'x':4}");
    done(client, dan, SUBMIT, P, "r/1", 3);
    done(client, ann, REJECT, P, "r/1", 3, .options.note = "no");
    done(client, dan, CREATE, P, "r/1", .json = "{'x':5}");
    done(client, dan, WITHDRAW, P, "r/1", 4);
    done(client, dan, CREATE, P, "r/2", .json = "1");
    done(client, dan, CREATE, P, "r/2", .json = "2");
    done(client, ann, APPROVE, P, "r/2", 1, .options.flags = FLAGVER_WRITE_SUBMIT);
    done(client, cat, APPROVE, P, "r/2", 1);
    done(client, dan, REBASE, P, "r/2", 2, .options.note = "newer");
    done(client, dan, REMOVE, P, "r/2");
}

static void tell_of_the_rest(flagver_client *client)
{
    const flagver_actor actor = actor_of(&dan);
    flagver_txn *txn;

    set_policy(client, &dan, "notes", "{'versioning':'audit_only'}");
    done(client, dan, RECORD, "notes", "n", .json = "1", .options.note = "one");
    done(client, ann, RECORD, "notes", "n", .json = "2");
    set_policy(client, &dan, "secrets",
               "{'encrypt':true,'shred':'anyone',"
               "'approval':{'rule':'anyone','min':0}}");
    done(client, dan, PUT, "secrets", "x", .json = "{'ssn':1}");
    done(client, dan, PUT, "secrets", "x", .json = "{'ssn':2}");
    done(client, dan, CREATE, "secrets", "y", .json = "{'ssn':3}");
    done(client, dan, ITEMS_PUT, "secrets", "y", 1, "'part'", "p");
    txn = begin_as(client, &actor, NULL);
    assert_ok(flagver_version_shred(txn, "secrets", "x", 1, NULL, &error));
    commit(txn);
    set_policy(client, &dan, FLAGVER_PHASE_FLAG,
               "{'approval':{'rule':" TESTERS "},'emergency':'anyone'}");
    txn = begin_as(client, &actor, NULL);
    assert_ok(flagver_flag_disable(txn, "a",
                                   &(flagver_write_options){ .size = sizeof(flagver_write_options),
                                                             .note = "it burns",
                                                             .flags = FLAGVER_WRITE_EMERGENCY },
                                   NULL, &error));
    commit(txn);
    done(client, ann, REVIEW, FLAGVER_PHASE_FLAG, "a", 4, .options.note = "right so");
}

static void tell(flagver_client *client)
{
    tell_of_flags(client);
    tell_of_approval(client);
    tell_of_the_rest(client);
}

/* ---- verifying ---- */

static char lines[64][512];
static int line_count;

static void keep_line(void *data, const char *line)
{
    (void)data;
    if (line_count < 64)
        snprintf(lines[line_count], sizeof lines[0], "%s", line);
    line_count++;
}

static bool was_found(const char *words)
{
    int i;

    for (i = 0; i < line_count && i < 64; i++)
        if (strstr(lines[i], words))
            return true;
    return false;
}

static int verify_with(flagver_client *client, const flagver_verify_options *options,
                       flagver_verify_result *ret_result)
{
    memset(&error, 0, sizeof error);
    line_count = 0;
    return flagver_audit_verify(client, options, keep_line, NULL, ret_result, &error);
}

static int verify(flagver_client *client)
{
    return verify_with(client, NULL, NULL);
}

static void assert_clean(int result)
{
    ck_assert_msg(result == 0, "%d findings: %s %s", result, line_count ? lines[0] : "",
                  error.message);
}

static void assert_found(int result, const char *words)
{
    ck_assert_msg(result > 0, "nothing was found: %d %s", result, error.message);
    ck_assert_int_eq(result, line_count);
    ck_assert_msg(was_found(words), "\"%s\" was not found, but: %s", words, lines[0]);
}

/* ---- no false alarm ---- */

START_TEST(nothing_is_found_where_nothing_is_wrong)
{
    flagver_client *client = open_keyed(_i);
    flagver_verify_result result;

    assert_clean(verify(client)); /* an empty log, too */
    tell(client);
    assert_clean(verify_with(client, NULL, &result));
    ck_assert_uint_eq(result.leaves, leaves_of(client));
    ck_assert_uint_eq(result.versions, 23);
    ck_assert_uint_eq(result.payloads, 22 + 4); /* one is shredded; items */
    ck_assert_uint_eq(result.sealed, 0);
    ck_assert_uint_eq(result.shredded, 1);
    ck_assert_uint_eq(result.findings, 0);
    flagver_close(client);
}
END_TEST

START_TEST(tenants_are_verified_by_themselves)
{
    flagver_client *client = open_store(_i), *other;
    uint8_t root[32], other_root[32];
    uint64_t size;

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    put_flag(client, "a", SIMPLE);
    put_flag(other, "a", SIMPLE);
    put_flag(other, "a", SHARE(1));
    assert_clean(verify(client));
    assert_clean(verify(other));
    assert_ok(flagver_audit_head(client, &size, root, &error));
    ck_assert_uint_eq(size, 2);
    assert_ok(flagver_audit_head(other, &size, other_root, &error));
    ck_assert_uint_eq(size, 4);
    ck_assert_mem_ne(root, other_root, 32);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

/* ---- checkpoints ---- */

START_TEST(a_checkpoint_says_size_and_root_and_who_says_so)
{
    flagver_client *client = open_store(_i);
    char *signer = NULL, *verifier = NULL, *checkpoint = NULL;
    uint8_t root[32], read_root[32];
    uint64_t size, read_size;

    put_flag(client, "a", SIMPLE);
    assert_ok(flagver_audit_keygen("example.com/records", &signer, &verifier, &error));
    assert_ok(flagver_audit_checkpoint(client, NULL, signer, &checkpoint, &error));
    ck_assert_ptr_eq(strstr(checkpoint, "example.com/records/default\n2\n"), checkpoint);
    ck_assert_ptr_nonnull(strstr(checkpoint, "\n\n\xe2\x80\x94 example.com/records "));

    assert_ok(flagver_audit_head(client, &size, root, &error));
    assert_ok(flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint), verifier, &read_size,
                                            read_root, &error));
    ck_assert_uint_eq(read_size, size);
    ck_assert_mem_eq(read_root, root, 32);

    checkpoint[strlen("example.com/records/default\n")] = '3';
    assert_fails(FLAGVER_EKEY,
                 flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint), verifier, &read_size,
                                               read_root, &error));
    flagver_string_free(checkpoint);
    flagver_string_free(signer);
    flagver_string_free(verifier);
    flagver_close(client);
}
END_TEST

START_TEST(a_checkpoint_of_another_signer_is_refused)
{
    flagver_client *client = open_store(0);
    char *signer[2], *verifier[2], *checkpoint = NULL;
    int i;

    for (i = 0; i < 2; i++)
        assert_ok(flagver_audit_keygen("same", &signer[i], &verifier[i], &error));
    assert_ok(flagver_audit_checkpoint(client, "here", signer[0], &checkpoint, &error));
    ck_assert_ptr_eq(strstr(checkpoint, "here\n0\n47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=\n"),
                     checkpoint);
    assert_fails(FLAGVER_EKEY, flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint),
                                                             verifier[1], NULL, NULL, &error));
    assert_words("not signed by this key of \"same\"");
    assert_ok(flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint), verifier[0], NULL, NULL,
                                            &error));
    for (i = 0; i < 2; i++) {
        flagver_string_free(signer[i]);
        flagver_string_free(verifier[i]);
    }
    flagver_string_free(checkpoint);
    flagver_close(client);
}
END_TEST

START_TEST(a_checkpoint_may_be_unsigned)
{
    flagver_client *client = open_store(0);
    char *checkpoint = NULL;
    uint64_t size = 7;

    assert_fails(FLAGVER_EINVAL, flagver_audit_checkpoint(client, NULL, NULL, &checkpoint, &error));
    assert_ok(flagver_audit_checkpoint(client, "here", NULL, &checkpoint, &error));
    assert_ok(
        flagver_audit_read_checkpoint(checkpoint, strlen(checkpoint), NULL, &size, NULL, &error));
    ck_assert_uint_eq(size, 0);
    flagver_string_free(checkpoint);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_no_key_signs_nothing)
{
    flagver_client *client = open_store(0);
    char *signer = NULL, *verifier = NULL, *checkpoint = NULL, *digit;

    assert_fails(FLAGVER_EINVAL, flagver_audit_keygen("two words", &signer, &verifier, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_checkpoint(client, NULL, "x", &checkpoint, &error));
    assert_ok(flagver_audit_keygen("n", &signer, &verifier, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_audit_checkpoint(client, NULL, verifier, &checkpoint, &error));
    assert_fails(FLAGVER_EINVAL,
                 flagver_audit_checkpoint(client, "two\nlines", signer, &checkpoint, &error));
    digit = signer + strlen("PRIVATE+KEY+n+");
    *digit = *digit == '0' ? '1' : '0';
    assert_fails(FLAGVER_EINVAL,
                 flagver_audit_checkpoint(client, NULL, signer, &checkpoint, &error));
    assert_words("damaged");
    flagver_string_free(signer);
    flagver_string_free(verifier);
    flagver_close(client);
}
END_TEST

/* ---- proofs ---- */

static void put_many(flagver_client *client, int count)
{
    flagver_txn *txn = begin(client);
    char key[32];

    for (; count > 0; count--) {
        snprintf(key, sizeof key, "flag%d", count);
        put_flag_in(txn, key, SIMPLE);
    }
    commit(txn);
}

START_TEST(what_is_in_the_log_can_be_proven)
{
    flagver_client *client = open_store(_i);
    uint8_t root[3][32];
    flagver_proof proof;
    uint64_t size, no;

    put_many(client, 3);
    assert_ok(flagver_audit_head(client, &size, root[0], &error));
    put_many(client, 140);
    assert_ok(flagver_audit_head(client, &size, root[1], &error));
    put_many(client, 160);
    assert_ok(flagver_audit_head(client, &size, root[2], &error));
    ck_assert_uint_eq(size, 606);

    for (no = 0; no < size; no += 23) {
        assert_ok(flagver_audit_prove_inclusion(client, no, 0, &proof, &error));
        ck_assert_uint_eq(proof.first, no);
        ck_assert_uint_eq(proof.second, size);
        assert_ok(flagver_audit_check_inclusion(&proof, root[2], &error));
        assert_fails(FLAGVER_ECORRUPT, flagver_audit_check_inclusion(&proof, root[1], &error));
        proof.leaf[3] ^= 1;
        assert_fails(FLAGVER_ECORRUPT, flagver_audit_check_inclusion(&proof, root[2], &error));
    }
    assert_ok(flagver_audit_prove_inclusion(client, 285, 286, &proof, &error));
    assert_ok(flagver_audit_check_inclusion(&proof, root[1], &error));

    assert_ok(flagver_audit_prove_consistency(client, 6, 0, &proof, &error));
    assert_ok(flagver_audit_check_consistency(&proof, root[0], root[2], &error));
    assert_fails(FLAGVER_ECORRUPT,
                 flagver_audit_check_consistency(&proof, root[1], root[2], &error));
    assert_ok(flagver_audit_prove_consistency(client, 6, 286, &proof, &error));
    assert_ok(flagver_audit_check_consistency(&proof, root[0], root[1], &error));
    assert_ok(flagver_audit_prove_consistency(client, 286, 606, &proof, &error));
    assert_ok(flagver_audit_check_consistency(&proof, root[1], root[2], &error));
    flagver_close(client);
}
END_TEST

START_TEST(what_is_not_in_the_log_cannot_be_proven)
{
    flagver_client *client = open_store(_i);
    flagver_proof proof = { .count = 5 };
    uint8_t root[32] = { 0 };

    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_inclusion(client, 0, 0, &proof, &error));
    put_flag(client, "a", SIMPLE);
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_inclusion(client, 2, 0, &proof, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_inclusion(client, 1, 1, &proof, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_inclusion(client, 1, 3, &proof, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_consistency(client, 3, 0, &proof, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_consistency(client, 1, 3, &proof, &error));
    ck_assert_uint_eq(proof.count, 5); /* untouched */
    proof.count = FLAGVER_PROOF_LIMIT + 1;
    assert_fails(FLAGVER_ECORRUPT, flagver_audit_check_inclusion(&proof, root, &error));
    assert_fails(FLAGVER_ECORRUPT, flagver_audit_check_consistency(&proof, root, root, &error));
    flagver_close(client);
}
END_TEST

START_TEST(nothing_is_asked_of_nobody)
{
    flagver_client *client = open_store(0);
    uint8_t hash[32];
    flagver_proof proof;
    uint64_t size;
    char *text;

    assert_fails(FLAGVER_EINVAL, flagver_audit_head(NULL, &size, hash, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_head(client, NULL, hash, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_head(client, &size, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_keygen("n", NULL, &text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_keygen("n", &text, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_keygen(NULL, &text, &text, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_checkpoint(client, "o", NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_read_checkpoint(NULL, 0, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_inclusion(client, 0, 0, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_prove_consistency(NULL, 0, 0, &proof, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_check_inclusion(NULL, hash, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_check_consistency(&proof, NULL, hash, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_verify(NULL, NULL, NULL, NULL, NULL, &error));
    assert_fails(FLAGVER_EINVAL, flagver_audit_verify_file(NULL, NULL, NULL, NULL, NULL, &error));
    flagver_close(client);
}
END_TEST

/* ---- tampering ---- */

/* SQLite without the rules of the schema. */
static sqlite3 *open_bare(void)
{
    char drops[8192] = "";
    sqlite3_stmt *statement;
    sqlite3 *db;

    ck_assert_int_eq(sqlite3_open(file_named("store"), &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db,
                                        "SELECT group_concat('DROP TRIGGER ' || name, ';') "
                                        "FROM sqlite_master WHERE type = 'trigger'",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    snprintf(drops, sizeof drops,
             "PRAGMA foreign_keys = OFF; PRAGMA ignore_check_constraints = ON; %s",
             (const char *)sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
    ck_assert_int_eq(sqlite3_exec(db, drops, NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void run_sql(sqlite3 *db, const char *sql)
{
    char *words = NULL;

    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s: %s", sql, words);
    ck_assert_msg(sqlite3_changes(db) > 0, "%s: changes nothing", sql);
}

static const struct {
    const char *sql;
    const char *words;
} crimes[] = {
    { "UPDATE flagver_leaf SET leaf = zeroblob(20) WHERE no = 5", "leaf 5 is malformed" },
    { "UPDATE flagver_leaf SET leaf = (SELECT leaf FROM flagver_leaf WHERE no = 4), "
      "hash = (SELECT hash FROM flagver_leaf WHERE no = 4) WHERE no = 5",
      "leaf 5 says of itself that it is leaf 4" },
    { "DELETE FROM flagver_leaf WHERE no = 7", "leaf 7 is missing" },
    { "DELETE FROM flagver_leaf WHERE no BETWEEN 7 AND 9", "leaves 7 to 9 are missing" },
    { "DELETE FROM flagver_leaf WHERE no = (SELECT max(no) FROM flagver_leaf)",
      "the head of the log says" },
    { "UPDATE flagver_log SET size = size + 1", "the head of the log says" },
    { "UPDATE flagver_log SET frontier = zeroblob(8)", "the head of the log is of 0 leaves" },
    { "UPDATE flagver_log SET frontier = zeroblob(9)", "the head of the log is malformed" },
    { "INSERT INTO flagver_node (tenant, level, no, hash) "
      "VALUES ('default', 8, 0, zeroblob(32))",
      "node 0 of level 8 is over leaves that are not there" },
    { "UPDATE flagver_payload SET body = CAST('{\"x\":6}' AS BLOB) WHERE body = CAST('{\"x\":2}' "
      "AS BLOB)",
      "scoping \"r/1\" version 1: its content_hash is not that of its content" },
    { "UPDATE flagver_payload SET body = CAST('{\"n\":6}' AS BLOB) WHERE rowid = (SELECT "
      "max(rowid) FROM "
      "flagver_payload WHERE body = CAST('{\"n\":1}' AS BLOB))",
      "version 2: item \"i1\": its hash is not that of its payload" },
    { "DELETE FROM flagver_payload WHERE body = CAST('{\"x\":2}' AS BLOB)", "its payload is gone" },
    { "UPDATE flagver_version SET state = 6 WHERE state = 5", "version 3: state is not what" },
    { "UPDATE flagver_version SET created_by = 'ann' WHERE created_by = 'alice'",
      "flagver.flag \"a\" version 1: created_by is not what the log says (leaf" },
    { "UPDATE flagver_version SET note = 'other' WHERE note = 'wait'", "note is not what" },
    { "UPDATE flagver_version SET note = NULL WHERE note = 'no'", "note is not what" },
    { "UPDATE flagver_version SET decided_by = 'cat' WHERE state = 5", "decided_by is not what" },
    { "DELETE FROM flagver_version WHERE state = 5", "scoping \"r/1\" version 3 is missing" },
    { "DELETE FROM flagver_series WHERE subject = 'r/2'", "scoping \"r/2\" is missing" },
    { "UPDATE flagver_series SET subject = 'r/3' WHERE subject = 'r/2'",
      "scoping \"r/3\" is in no leaf" },
    { "UPDATE flagver_series SET current_no = 1 WHERE subject = 'r/1'",
      "scoping \"r/1\": current_no is 1, and by the log 2" },
    { "UPDATE flagver_series SET last_no = 3 WHERE subject = 'r/1'",
      "scoping \"r/1\": last_no is 3, and by the log 4" },
    { "UPDATE flagver_series SET changed_at = changed_at + 1 WHERE subject = 'r/1'",
      "changed_at is not what" },
    { "UPDATE flagver_vote SET actor = 'eve' WHERE actor = 'cat'",
      "version 1: the vote of cat is missing or changed" },
    { "UPDATE flagver_vote SET actor = 'eve' WHERE actor = 'cat'",
      "version 1: the vote of eve is in no leaf" },
    { "UPDATE flagver_vote SET note = 'no' WHERE actor = 'cat'", "the vote of cat" },
    { "UPDATE flagver_vote SET time = time + 1 WHERE actor = 'cat'", "the vote of cat" },
    { "UPDATE flagver_vote SET no = 9 WHERE actor = 'cat'",
      "a vote of scoping \"r/1\" is of no version (9)" },
    { "DELETE FROM flagver_contributor WHERE actor = 'ben'",
      "version 1: ben is missing as a contributor" },
    { "UPDATE flagver_contributor SET actor = 'eve' WHERE actor = 'ben'",
      "version 1: by the log eve is no contributor" },
    { "UPDATE flagver_item SET status = 1 WHERE status = 2",
      "version 1: what was decided about items is not what" },
    { "UPDATE flagver_item SET note = 'bad' WHERE no = 1 AND key = 'i1'", "decided about items" },
    { "UPDATE flagver_item SET decided_by = 'ann' WHERE no = 1 AND key = 'i1'",
      "decided about items" },
    { "UPDATE flagver_item SET note = 'fine' WHERE status = 0",
      "item \"p\": it is pending, and says something of a decision" },
    { "UPDATE flagver_item SET key = 'i3' WHERE no = 1 AND key = 'i1'",
      "its content_hash is not that of its content" },
    { "DELETE FROM flagver_item WHERE no = 1 AND key = 'i1'",
      "its content_hash is not that of its content" },
    { "UPDATE flagver_payload SET body = (SELECT body FROM flagver_payload WHERE key = 1 "
      "ORDER BY rowid DESC LIMIT 1) WHERE rowid = (SELECT min(rowid) FROM flagver_payload "
      "WHERE key = 1)",
      "secrets \"x\": the sealed payload of" },
    { "UPDATE flagver_payload SET salt = zeroblob(45) WHERE rowid = (SELECT min(rowid) FROM "
      "flagver_payload WHERE key = 1)",
      "secrets \"x\": the sealed payload of \"x\" in version 2 was changed" },
};
#define CRIMES ((int)(sizeof crimes / sizeof *crimes))

START_TEST(what_was_changed_is_named)
{
    flagver_client *client = open_keyed(SQLITE_KIND);
    sqlite3 *db;

    tell(client);
    db = open_bare();
    run_sql(db, crimes[_i].sql);
    assert_found(verify(client), crimes[_i].words);
    sqlite3_close(db);
    flagver_close(client);
}
END_TEST

START_TEST(what_was_shredded_does_not_come_back)
{
    flagver_client *client = open_keyed(SQLITE_KIND);
    const flagver_actor actor = actor_of(&dan);
    flagver_txn *txn;
    sqlite3 *db;

    tell(client);
    txn = begin_as(client, &actor, NULL);
    assert_ok(flagver_version_shred(txn, P, "r/1", 1, NULL, &error));
    commit(txn);
    assert_clean(verify(client));
    db = open_bare();
    run_sql(db, "UPDATE flagver_payload SET shredded = NULL, body = CAST('{\"n\":1}' AS BLOB) "
                "WHERE id = (SELECT payload FROM flagver_item WHERE no = 1 AND key = 'i1')");
    assert_found(verify(client), "item \"i1\": its payload is there, and was shredded");
    sqlite3_close(db);
    flagver_close(client);
}
END_TEST

/*
 * Any other value in any column of any row: what cannot be known is said in
 * docs/audit.md, and all that is not found must be among it.
 */
static const char *const unknowable[] = {
    "flagver_series.rev", "flagver_version.id",
    "flagver_log.frontier_size", /* SQLite's own, for the rules of its schema */
};

static bool is_unknowable(const char *table, const char *column)
{
    char name[128];
    size_t i;

    snprintf(name, sizeof name, "%s.%s", table, column);
    for (i = 0; i < sizeof unknowable / sizeof *unknowable; i++)
        if (strcmp(unknowable[i], name) == 0)
            return true;
    return false;
}

static const struct {
    const char *name, *key;
} tables[] = {
    { "flagver_series", "tenant, phase, subject" },
    { "flagver_version", "series, no" },
    { "flagver_payload", "id" },
    { "flagver_item", "series, no, key" },
    { "flagver_vote", "series, no, actor, content_hash" },
    { "flagver_contributor", "series, no, actor" },
    { "flagver_leaf", "tenant, no" },
    { "flagver_log", "tenant" },
};
#define TABLES ((int)(sizeof tables / sizeof *tables))

/* False: there is no such row, or nothing in this column. */
static bool falsify(sqlite3 *db, int table, const char *column, int row)
{
    char sql[1024];

    snprintf(sql, sizeof sql,
             "UPDATE %s SET %s = CASE typeof(%s) WHEN 'integer' THEN %s + 1"
             " WHEN 'text' THEN %s || 'x'"
             " ELSE CAST(substr(%s, 1, length(%s) - 1) || CASE substr(%s, -1) WHEN x'41'"
             " THEN x'42' ELSE x'41' END AS BLOB) END"
             " WHERE %s IS NOT NULL AND (%s) = (SELECT %s FROM %s ORDER BY %s LIMIT 1 OFFSET %d)",
             tables[table].name, column, column, column, column, column, column, column, column,
             tables[table].key, tables[table].key, tables[table].name, tables[table].key, row);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        return false; /* another row is like that */
    return sqlite3_changes(db) > 0;
}

static void copy_into(sqlite3 *to, sqlite3 *from)
{
    sqlite3_backup *backup = sqlite3_backup_init(to, "main", from, "main");

    ck_assert_msg(backup != NULL, "%s", sqlite3_errmsg(to));
    ck_assert_int_eq(sqlite3_backup_step(backup, -1), SQLITE_DONE);
    ck_assert_int_eq(sqlite3_backup_finish(backup), SQLITE_OK);
}

#define ROW_STEP 3
#define ROW_LIMIT 60

/* One row after the other, and what was there comes back from `base`. */
static int falsify_column(flagver_client *client, sqlite3 *db, sqlite3 *base, int table,
                          const char *column)
{
    bool unknowable_here = is_unknowable(tables[table].name, column);
    int row, tried = 0;

    for (row = 0; row < ROW_LIMIT; row += ROW_STEP) {
        if (!falsify(db, table, column, row))
            continue;
        tried++;
        ck_assert_msg((verify(client) != 0) != unknowable_here, "%s.%s of row %d was changed %s",
                      tables[table].name, column, row, unknowable_here ? "and seen" : "unseen");
        copy_into(db, base);
    }
    return tried;
}

START_TEST(no_column_can_be_changed_unseen)
{
    flagver_client *client = open_keyed(SQLITE_KIND);
    sqlite3_stmt *columns;
    sqlite3 *db, *base;
    char sql[128];
    int tried = 0;

    tell(client);
    db = open_bare();
    ck_assert_int_eq(sqlite3_open(":memory:", &base), SQLITE_OK);
    copy_into(base, db);
    snprintf(sql, sizeof sql, "SELECT name FROM pragma_table_info('%s')", tables[_i].name);
    ck_assert_int_eq(sqlite3_prepare_v2(base, sql, -1, &columns, NULL), SQLITE_OK);
    while (sqlite3_step(columns) == SQLITE_ROW)
        tried += falsify_column(client, db, base, _i,
                                (const char *)sqlite3_column_text(columns, 0));
    sqlite3_finalize(columns);
    ck_assert_int_gt(tried, 0);
    assert_clean(verify(client));
    sqlite3_close(base);
    sqlite3_close(db);
    flagver_close(client);
}
END_TEST

/* ---- every byte ---- */

static size_t read_blob(sqlite3 *db, const char *table, const char *column, const char *where,
                        uint8_t *out, size_t size)
{
    sqlite3_stmt *statement;
    char sql[256];
    size_t length;

    snprintf(sql, sizeof sql, "SELECT %s FROM %s WHERE %s", column, table, where);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_ROW);
    length = (size_t)sqlite3_column_bytes(statement, 0);
    ck_assert_uint_le(length, size);
    memcpy(out, sqlite3_column_blob(statement, 0), length);
    sqlite3_finalize(statement);
    return length;
}

static void write_blob(sqlite3 *db, const char *table, const char *column, const char *where,
                       const uint8_t *bytes, size_t length)
{
    sqlite3_stmt *statement;
    char sql[256];

    snprintf(sql, sizeof sql, "UPDATE %s SET %s = ? WHERE %s", table, column, where);
    ck_assert_int_eq(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    sqlite3_bind_blob(statement, 1, bytes, (int)length, SQLITE_STATIC);
    ck_assert_int_eq(sqlite3_step(statement), SQLITE_DONE);
    ck_assert_int_eq(sqlite3_finalize(statement), SQLITE_OK);
}

static const struct {
    const char *table, *column, *where, *words;
} blobs[] = {
    { "flagver_leaf", "leaf", "no = 3", "leaf 3: its hash is not that of its bytes" },
    { "flagver_leaf", "hash", "no = 3", "leaf 3: its hash is not that of its bytes" },
    { "flagver_leaf", "leaf", "no = 299", "leaf 299: its hash is not that of its bytes" },
    { "flagver_node", "hash", "level = 4 AND no = 17",
      "node 17 of level 4 is not what its leaves, 272 to 287, give" },
    { "flagver_node", "hash", "level = 8 AND no = 0",
      "node 0 of level 8 is not what its leaves, 0 to 255, give" },
    { "flagver_log", "frontier", "size = 300", "the head of the log" },
    { "flagver_payload", "body", "rowid = 7", "its content_hash is not that of its content" },
};
#define BLOBS ((int)(sizeof blobs / sizeof *blobs))

START_TEST(every_byte_that_was_changed_is_named)
{
    const flagver_verify_options tree_only = { .size = sizeof tree_only, .tree_only = 1 };
    bool of_the_tree = strcmp(blobs[_i].table, "flagver_payload") != 0;
    flagver_client *client = open_store(SQLITE_KIND);
    uint8_t bytes[4096];
    size_t length, i;
    sqlite3 *db;

    put_many(client, 150);
    db = open_bare();
    length = read_blob(db, blobs[_i].table, blobs[_i].column, blobs[_i].where, bytes, sizeof bytes);
    for (i = 0; i < length; i++) {
        bytes[i] ^= 0x10;
        write_blob(db, blobs[_i].table, blobs[_i].column, blobs[_i].where, bytes, length);
        assert_found(verify_with(client, of_the_tree ? &tree_only : NULL, NULL), blobs[_i].words);
        bytes[i] ^= 0x10;
    }
    write_blob(db, blobs[_i].table, blobs[_i].column, blobs[_i].where, bytes, length);
    assert_clean(verify(client));
    sqlite3_close(db);
    flagver_close(client);
}
END_TEST

START_TEST(a_missing_node_is_named)
{
    flagver_client *client = open_store(SQLITE_KIND);
    sqlite3 *db;

    put_many(client, 300);
    db = open_bare();
    run_sql(db, "DELETE FROM flagver_node WHERE level = 4 AND no = 1");
    assert_found(verify(client), "node 1 of level 4, over leaves 16 to 31, is missing");
    ck_assert_int_eq(line_count, 1);
    sqlite3_close(db);
    flagver_close(client);
}
END_TEST

/* ---- a log from before there were trees ---- */

START_TEST(a_log_without_a_tree_gets_one)
{
    flagver_client *client = open_store(SQLITE_KIND);
    uint8_t root[32], again[32];
    flagver_proof proof;
    uint64_t size;
    sqlite3 *db;

    put_many(client, 300);
    assert_ok(flagver_audit_head(client, &size, root, &error));
    flagver_close(client);
    assert_ok(flagver_schema_down(store_uri(SQLITE_KIND), 1, NULL, true, &error));
    assert_ok(flagver_schema_up(store_uri(SQLITE_KIND), &error));

    client = open_store(SQLITE_KIND);
    assert_clean(verify(client));
    assert_ok(flagver_audit_head(client, &size, again, &error));
    ck_assert_mem_eq(root, again, 32);
    assert_ok(flagver_audit_prove_inclusion(client, 7, 0, &proof, &error));
    assert_ok(flagver_audit_check_inclusion(&proof, root, &error));

    put_flag(client, "another", SIMPLE); /* which catches up */
    assert_clean(verify(client));
    db = open_bare();
    run_sql(db, "DELETE FROM flagver_node WHERE level = 8 AND no = 0");
    assert_found(verify(client), "node 0 of level 8, over leaves 0 to 255, is missing");
    sqlite3_close(db);
    flagver_close(client);
}
END_TEST

/* ---- against a checkpoint ---- */

START_TEST(only_a_checkpoint_tells_one_consistent_log_from_another)
{
    flagver_verify_options options = { .size = sizeof options };
    flagver_client *client = open_store(_i), *other;
    char *signer, *verifier, *checkpoint, *elsewhere;

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    put_many(client, 20);
    put_many(other, 20);
    assert_ok(flagver_audit_keygen("k", &signer, &verifier, &error));
    assert_ok(flagver_audit_checkpoint(client, NULL, signer, &checkpoint, &error));
    assert_ok(flagver_audit_checkpoint(other, "k/default", signer, &elsewhere, &error));
    put_flag(client, "more", SIMPLE);

    options.verifier = verifier;
    options.checkpoint = checkpoint;
    options.checkpoint_length = strlen(checkpoint);
    assert_clean(verify_with(client, &options, NULL)); /* the log has only grown */
    options.checkpoint = elsewhere;
    options.checkpoint_length = strlen(elsewhere);
    assert_clean(verify(client));
    assert_found(verify_with(client, &options, NULL),
                 "leaves 0 to 39 are not those of the checkpoint");
    options.checkpoint_length--;
    ck_assert_int_eq(verify_with(client, &options, NULL), FLAGVER_EPARSE);
    flagver_string_free(elsewhere);
    flagver_string_free(checkpoint);
    flagver_string_free(signer);
    flagver_string_free(verifier);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(the_checkpoint_of_another_tenant_is_no_alarm)
{
    flagver_verify_options options = { .size = sizeof options };
    flagver_client *client = open_store(_i), *other;
    char *signer, *verifier, *checkpoint;

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    put_many(client, 2);
    put_many(other, 1);
    assert_ok(flagver_audit_keygen("k", &signer, &verifier, &error));
    assert_ok(flagver_audit_checkpoint(client, NULL, signer, &checkpoint, &error));
    options.checkpoint = checkpoint;
    options.checkpoint_length = strlen(checkpoint);
    ck_assert_int_eq(verify_with(other, &options, NULL), FLAGVER_EINVAL);
    ck_assert_int_eq(line_count, 0);
    assert_words("is of tenant \"default\", not \"other\": its origin is \"k/default\"");
    memcpy(checkpoint, "k/nowhere", 9); /* which says nothing */
    assert_found(verify_with(other, &options, NULL), "leaves from 2 on are gone");
    flagver_string_free(checkpoint);
    flagver_string_free(signer);
    flagver_string_free(verifier);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(a_log_that_was_cut_off_is_found_by_a_checkpoint)
{
    flagver_verify_options options = { .size = sizeof options };
    flagver_client *client = open_store(0);
    char *checkpoint;

    put_many(client, 2);
    assert_ok(flagver_audit_checkpoint(client, "here", NULL, &checkpoint, &error));
    checkpoint[strlen("here\n")] = '9';
    options.checkpoint = checkpoint;
    options.checkpoint_length = strlen(checkpoint);
    assert_found(verify_with(client, &options, NULL),
                 "the checkpoint is of 9 leaves, and there are 4: leaves from 4 on are gone");
    flagver_string_free(checkpoint);
    flagver_close(client);
}
END_TEST

START_TEST(wrong_options_are_refused)
{
    flagver_verify_options options = { .size = sizeof options, .verifier = "x" };
    flagver_client *client = open_store(0);

    ck_assert_int_eq(verify_with(client, &options, NULL), FLAGVER_EINVAL);
    options.checkpoint = "o\n0\n";
    options.checkpoint_length = 4;
    ck_assert_int_eq(verify_with(client, &options, NULL), FLAGVER_EINVAL);
    options.verifier = NULL;
    ck_assert_int_eq(verify_with(client, &options, NULL), FLAGVER_EPARSE);
    flagver_close(client);
}
END_TEST

/* ---- a copy in a file ---- */

static int verify_file(const char *name, const flagver_verify_options *options,
                       flagver_verify_result *ret_result)
{
    memset(&error, 0, sizeof error);
    line_count = 0;
    return flagver_audit_verify_file(file_named(name), options, keep_line, NULL, ret_result,
                                     &error);
}

static void export_to(const char *name)
{
    char uri[160];

    strcpy(uri, store_uri(SQLITE_KIND));
    assert_ok(flagver_store_export(uri, NULL, file_named(name), &error));
}

/* The file with the first `from` replaced by `to`, which is as long. */
static void forge(const char *name, const char *forged, const char *from, const char *to)
{
    static char text[1 << 20];
    FILE *file = fopen(file_named(name), "rb");
    size_t length;
    char *at;

    ck_assert_ptr_nonnull(file);
    length = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[length] = 0;
    at = strstr(text, from);
    ck_assert_msg(at != NULL, "there is no %s in the file", from);
    memcpy(at, to, strlen(to));
    file = fopen(file_named(forged), "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(text, 1, length, file), length);
    fclose(file);
}

START_TEST(an_export_is_verified_without_its_store)
{
    flagver_client *client = open_keyed(SQLITE_KIND);
    flagver_verify_options options = { .size = sizeof options };
    flagver_verify_result result, online;
    char *signer, *verifier, *checkpoint;

    tell(client);
    assert_ok(flagver_audit_keygen("k", &signer, &verifier, &error));
    assert_ok(flagver_audit_checkpoint(client, NULL, signer, &checkpoint, &error));
    put_flag(client, "later", SIMPLE);
    assert_clean(verify_with(client, NULL, &online));
    export_to("copy");
    flagver_close(client);

    assert_clean(verify_file("copy", NULL, &result));
    ck_assert_uint_eq(result.leaves, online.leaves);
    ck_assert_uint_eq(result.versions, online.versions);
    ck_assert_uint_eq(result.payloads, online.payloads - 3);
    ck_assert_uint_eq(result.sealed, 3); /* no keys here */
    ck_assert_uint_eq(result.shredded, 1);
    ck_assert_mem_eq(result.root, online.root, 32);

    options.checkpoint = checkpoint;
    options.checkpoint_length = strlen(checkpoint);
    options.verifier = verifier;
    assert_clean(verify_file("copy", &options, NULL));
    flagver_string_free(signer);
    flagver_string_free(verifier);
    flagver_string_free(checkpoint);
}
END_TEST

static const struct {
    const char *from, *to, *words;
} forgeries[] = {
    { "\"payload\":\"{\\\"x\\\":2}\"", "\"payload\":\"{\\\"x\\\":9}\"",
      "tenant \"default\": scoping \"r/1\" version 1: its content_hash is not" },
    { "\"decided_by\":\"cat\"", "\"decided_by\":\"eve\"", "what was decided about items" },
    { "\"vote\":{\"actor\":\"cat\"", "\"vote\":{\"actor\":\"eve\"",
      "the vote of eve is in no leaf" },
    { "\"contributor\":{\"actor\":\"ben\"", "\"contributor\":{\"actor\":\"eve\"",
      "by the log eve is no contributor" },
    { "\"payload\":\"1\"", "\"payload\":\"7\"", "does not have the checksum that it says" },
    { "\"state\":\"rejected\"", "\"state\":\"approved\"", "state is not what the log says" },
};

START_TEST(what_was_changed_in_an_export_is_named)
{
    flagver_client *client = open_keyed(SQLITE_KIND);

    tell(client);
    export_to("copy");
    flagver_close(client);
    forge("copy", "forged", forgeries[_i].from, forgeries[_i].to);
    assert_found(verify_file("forged", NULL, NULL), forgeries[_i].words);
    ck_assert(was_found("checksum"));
}
END_TEST

START_TEST(a_checkpoint_is_of_the_tenant_it_names)
{
    flagver_client *client = open_store(SQLITE_KIND), *other;
    flagver_verify_options options = { .size = sizeof options };
    char *checkpoint;

    assert_ok(flagver_client_tenant(client, "other", &other, &error));
    put_many(client, 2);
    put_many(other, 3);
    assert_ok(flagver_audit_checkpoint(other, "here/other", NULL, &checkpoint, &error));
    export_to("copy");
    options.checkpoint = checkpoint;
    options.checkpoint_length = strlen(checkpoint);
    assert_clean(verify_file("copy", &options, NULL));
    memcpy(checkpoint, "there/noth", 10);
    ck_assert_int_eq(verify_file("copy", &options, NULL), FLAGVER_EINVAL);
    assert_words("names no tenant of the file");
    flagver_string_free(checkpoint);
    assert_ok(flagver_audit_checkpoint(other, "here/default", NULL, &checkpoint, &error));
    options.checkpoint = checkpoint;
    options.checkpoint_length = strlen(checkpoint);
    assert_found(verify_file("copy", &options, NULL), "tenant \"default\": the checkpoint is of 6");
    flagver_string_free(checkpoint);
    flagver_close(other);
    flagver_close(client);
}
END_TEST

START_TEST(what_is_no_export_is_refused)
{
    flagver_client *client = open_store(SQLITE_KIND);
    FILE *file;

    put_flag(client, "a", SIMPLE);
    export_to("copy");
    flagver_close(client);
    ck_assert_int_eq(verify_file("nowhere", NULL, NULL), FLAGVER_EIO);
    forge("copy", "forged", "\"tenant\"", "\"tenent\"");
    ck_assert_int_eq(verify_file("forged", NULL, NULL), FLAGVER_EPARSE);
    file = fopen(file_named("short"), "wb");
    ck_assert_ptr_nonnull(file);
    fputs("{\"flagver\":\"export\",\"form\":1}\n{\"tenant\":\"default\"}\n", file);
    fclose(file);
    ck_assert_int_eq(verify_file("short", NULL, NULL), FLAGVER_EPARSE);
    assert_words("the file is not complete");
    file = fopen(file_named("other"), "wb");
    ck_assert_ptr_nonnull(file);
    fputs("{\"tenant\":\"default\"}\n", file);
    fclose(file);
    ck_assert_int_eq(verify_file("other", NULL, NULL), FLAGVER_EPARSE);
}
END_TEST

static Suite *audit_suite(void)
{
    Suite *suite = suite_create("audit");
    TCase *proofs = add_store_tcase(suite, "proofs");
    TCase *verification = add_store_tcase(suite, "verification");
    TCase *files = add_store_tcase(suite, "files");

    tcase_set_tags(verification, "slow"); /* valgrind leaves them out */
    tcase_set_tags(files, "slow");
    tcase_add_loop_test(proofs, a_checkpoint_says_size_and_root_and_who_says_so, 0, STORE_KINDS);
    tcase_add_test(proofs, a_checkpoint_of_another_signer_is_refused);
    tcase_add_test(proofs, a_checkpoint_may_be_unsigned);
    tcase_add_test(proofs, what_is_no_key_signs_nothing);
    tcase_add_loop_test(proofs, what_is_in_the_log_can_be_proven, 0, STORE_KINDS);
    tcase_add_loop_test(proofs, what_is_not_in_the_log_cannot_be_proven, 0, STORE_KINDS);
    tcase_add_test(proofs, nothing_is_asked_of_nobody);

    tcase_add_loop_test(verification, nothing_is_found_where_nothing_is_wrong, 0, STORE_KINDS);
    tcase_add_loop_test(verification, tenants_are_verified_by_themselves, 0, STORE_KINDS);
    tcase_add_loop_test(verification, what_was_changed_is_named, 0, CRIMES);
    tcase_add_test(verification, what_was_shredded_does_not_come_back);
    tcase_add_loop_test(verification, no_column_can_be_changed_unseen, 0, TABLES);
    tcase_add_loop_test(verification, every_byte_that_was_changed_is_named, 0, BLOBS);
    tcase_add_test(verification, a_missing_node_is_named);
    tcase_add_test(verification, a_log_without_a_tree_gets_one);
    tcase_add_loop_test(verification, only_a_checkpoint_tells_one_consistent_log_from_another, 0,
                        STORE_KINDS);
    tcase_add_loop_test(verification, the_checkpoint_of_another_tenant_is_no_alarm, 0, STORE_KINDS);
    tcase_add_test(verification, a_log_that_was_cut_off_is_found_by_a_checkpoint);
    tcase_add_test(verification, wrong_options_are_refused);

    tcase_add_test(files, an_export_is_verified_without_its_store);
    tcase_add_loop_test(files, what_was_changed_in_an_export_is_named, 0,
                        (int)(sizeof forgeries / sizeof *forgeries));
    tcase_add_test(files, a_checkpoint_is_of_the_tenant_it_names);
    tcase_add_test(files, what_is_no_export_is_refused);
    return suite;
}

int main(void)
{
    return run_store_suite(audit_suite());
}
