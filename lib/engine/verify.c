#include "engine/verify.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "engine/audit.h"
#include "engine/comparison.h"
#include "engine/lines.h"
#include "engine/rows.h"
#include "engine/transfer.h"
#include "engine/tree.h"
#include "util/fail.h"
#include "util/utf8.h"

#define ARENA_CHUNK 65536

/* A tenant under verification. */
struct ward {
    char *name;
    struct fv_findings findings;
    struct fv_tree tree;
    struct fv_replay replay;
    uint64_t leaves;
    struct ward *next;
};

struct verifier {
    const flagver_verify_options *options;
    struct fv_crypto *crypto;
    struct fv_digest *digest;
    struct fv_checkpoint checkpoint; /* when options has one */
    struct fv_findings findings;     /* about no tenant */
    struct ward *first, **last;
    flagver_verify_result result;
};

/* ---- beginning and end ---- */

static int begin(struct verifier *verifier, const flagver_verify_options *options,
                 void (*found)(void *data, const char *line), void *data, flagver_error *err)
{
    int r = 0;

    memset(verifier, 0, sizeof *verifier);
    verifier->options = options;
    verifier->findings = (struct fv_findings){ .found = found, .data = data };
    verifier->last = &verifier->first;
    if (options->checkpoint)
        r = fv_audit_read_checkpoint(options->checkpoint, options->checkpoint_length,
                                     options->verifier, &verifier->checkpoint, err);
    if (r < 0)
        return r;
    verifier->crypto = fv_crypto_new();
    verifier->digest = verifier->crypto ? fv_digest_new(verifier->crypto) : NULL;
    return verifier->digest ? 0 : fv_fail_memory(err);
}

static void clear(struct verifier *verifier)
{
    struct ward *ward, *next;

    for (ward = verifier->first; ward; ward = next) {
        next = ward->next;
        fv_tree_clear(&ward->tree);
        fv_replay_clear(&ward->replay);
        free(ward->name);
        free(ward);
    }
    fv_digest_free(verifier->digest);
    fv_crypto_free(verifier->crypto);
}

/* `named`: findings say which tenant they are about. */
static int add_ward(struct verifier *verifier, flagver_bytes name, bool named,
                    struct ward **ret_ward, flagver_error *err)
{
    struct ward *ward = calloc(1, sizeof *ward);

    if (ward)
        ward->name = malloc(name.length + 1);
    if (!ward || !ward->name) {
        free(ward);
        return fv_fail_memory(err);
    }
    memcpy(ward->name, name.data, name.length);
    ward->name[name.length] = 0;
    ward->findings = verifier->findings;
    ward->findings.count = 0;
    ward->findings.tenant = named ? ward->name : NULL;
    fv_tree_init(&ward->tree, ward->name, verifier->digest, &ward->findings);
    fv_replay_init(&ward->replay, &ward->findings);
    *verifier->last = ward;
    verifier->last = &ward->next;
    *ret_ward = ward;
    return verifier->options->checkpoint ? fv_tree_mark(&ward->tree, verifier->checkpoint.size, err)
                                         : 0;
}

/* Does the checkpoint's origin end with this tenant? */
static bool is_of(const struct fv_checkpoint *checkpoint, const char *tenant)
{
    size_t length = strlen(tenant);
    const char *end = (const char *)checkpoint->origin.data + checkpoint->origin.length;

    return checkpoint->origin.length > length && end[-(ptrdiff_t)length - 1] == '/' &&
           memcmp(end - length, tenant, length) == 0;
}

/* The root is given where there is one log; of several it would say nothing. */
static int sum_up(struct verifier *verifier, flagver_verify_result *ret_result, flagver_error *err)
{
    flagver_verify_result *result = &verifier->result;
    const struct ward *ward;
    int r = 0;

    result->findings = verifier->findings.count;
    for (ward = verifier->first; ward; ward = ward->next) {
        result->findings += ward->findings.count;
        result->leaves += ward->leaves;
    }
    if (verifier->first && !verifier->first->next)
        r = fv_tree_root(&verifier->first->tree, result->root, err);
    if (r < 0)
        return r;
    if (ret_result)
        *ret_result = *result;
    return result->findings < INT32_MAX ? (int)result->findings : INT32_MAX;
}

/* ---- leaves ---- */

static int take_leaf(struct verifier *verifier, struct ward *ward, const flagver_leaf_row *row,
                     flagver_error *err)
{
    bool replaying = !verifier->options->tree_only;
    struct fv_audit_leaf leaf;
    int r = fv_tree_leaf(&ward->tree, row, replaying ? &leaf : NULL, err);

    ward->leaves++;
    if (r <= 0)
        return r;
    return replaying ? fv_replay_leaf(&ward->replay, &leaf, err) : 0;
}

/* ---- a store ---- */

static int verify_leaves(struct verifier *verifier, struct ward *ward, struct fv_read *read,
                         flagver_error *err)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_LEAVES };
    flagver_row row;
    int r = fv_read_scan(read, &query, err);

    while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0)
        r = take_leaf(verifier, ward, &row.as.leaf, err);
    return r;
}

static int verify_nodes(struct ward *ward, struct fv_read *read, flagver_error *err)
{
    flagver_query query = { .kind = FLAGVER_QUERY_NODES };
    flagver_row row;
    unsigned level;
    int r = 0;

    for (level = 1; r >= 0 && level <= FV_TREE_LEVELS; level++) {
        query.no = level * FV_TILE_LEVELS;
        r = fv_read_scan(read, &query, err);
        while (r >= 0 && (r = fv_read_next(read, &row, err)) > 0)
            fv_tree_node(&ward->tree, &row.as.node);
    }
    return r;
}

static int verify_head(struct ward *ward, struct fv_read *read, flagver_error *err)
{
    static const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    flagver_row row;
    int r = fv_read_scan(read, &query, err);

    if (r == 0)
        r = fv_read_next(read, &row, err);
    if (r > 0)
        fv_tree_head(&ward->tree, &row.as.log);
    return r < 0 ? r : 0;
}

static int verify_tree(struct verifier *verifier, struct ward *ward, struct fv_read *read,
                       flagver_error *err)
{
    int r = verify_leaves(verifier, ward, read, err);

    if (r == 0 && verifier->options->checkpoint)
        fv_tree_check_mark(&ward->tree, verifier->checkpoint.root);
    if (r == 0)
        r = verify_nodes(ward, read, err);
    if (r == 0)
        r = verify_head(ward, read, err);
    if (r == 0)
        fv_tree_end(&ward->tree);
    return r;
}

/* Rows as they come from a store. */
struct rows {
    struct fv_read *read;
    struct fv_comparison comparison;
    uint8_t *opened; /* a payload */
    size_t size;
    uint8_t salt[FV_SALT_SIZE]; /* its own */
};

/* Who has not got the key cannot look; who has, and cannot open, is told. */
static int without_key(const struct rows *rows, const struct fv_key_place *place, uint32_t no,
                       const flagver_error *problem, flagver_error *err)
{
    int r = fv_key_is_wrong(place, no, err);

    if (r > 0)
        fv_found(rows->comparison.findings, "%s: %s", rows->comparison.name.data, problem->message);
    return r < 0 ? r : 0;
}

/*
 * The payload without its seal; as it is when there is no key for it. One that was changed is
 * found here, and is then not looked at any more.
 */
static int open_payload(struct rows *rows, const struct fv_sealed *sealed, flagver_bytes *body,
                        flagver_bytes *salt, uint32_t *key, flagver_error *err)
{
    const struct fv_key_place place = { rows->read->store, rows->read->txn, rows->read->tenant };
    flagver_error problem = { .code = 0 };
    uint8_t *opened;
    size_t size = 0;
    int r = fv_sealed_size(sealed, &size, &problem);

    if (r == 0) {
        opened = realloc(rows->opened, size + 1);
        if (!opened)
            return fv_fail_memory(err);
        rows->opened = opened;
        rows->size = size;
        r = fv_sealed_open(&place, &rows->read->data_keys, sealed, opened, rows->salt, &problem);
    }
    if (r == 0) {
        *body = (flagver_bytes){ rows->opened, size };
        *salt = (flagver_bytes){ rows->salt, sizeof rows->salt };
        *key = 0;
    } else if (r == FLAGVER_ECORRUPT) {
        fv_found(rows->comparison.findings, "%s: %s", rows->comparison.name.data, problem.message);
    } else if (r == FLAGVER_EKEY) {
        return without_key(rows, &place, sealed->key, &problem, err);
    } else {
        return err ? (*err = problem).code : r;
    }
    return 0;
}

static int take_version(struct rows *rows, const flagver_version_row *row, flagver_error *err)
{
    flagver_version_row opened = *row;
    struct fv_sealed sealed;
    int r = 0;

    if (fv_version_is_sealed(row, &sealed))
        r = open_payload(rows, &sealed, &opened.payload, &opened.payload_salt, &opened.payload_key,
                         err);
    return r < 0 ? r : fv_compare_version(&rows->comparison, &opened, err);
}

static int take_item(struct rows *rows, const flagver_item_row *row, flagver_error *err)
{
    flagver_item_row opened = *row;
    struct fv_sealed sealed;
    int r = 0;

    if (fv_item_is_sealed(row, &sealed))
        r = open_payload(rows, &sealed, &opened.payload, &opened.payload_salt, &opened.payload_key,
                         err);
    return r < 0 ? r : fv_compare_item(&rows->comparison, &opened, err);
}

static int take_row(void *data, const struct fv_transfer *line, flagver_error *err)
{
    struct rows *rows = data;

    switch (line->kind) {
    case FV_TRANSFER_SERIES:
        return fv_compare_series(&rows->comparison, &line->as.series, err);
    case FV_TRANSFER_VERSION:
        return take_version(rows, &line->as.version, err);
    case FV_TRANSFER_CONTRIBUTOR:
        return fv_compare_contributor(&rows->comparison, &line->as.contributor, err);
    case FV_TRANSFER_ITEM:
        return take_item(rows, &line->as.item, err);
    default:
        return fv_compare_vote(&rows->comparison, &line->as.vote, err);
    }
}

static int find_stray(void *data, const char *words, flagver_error *err)
{
    (void)err;
    fv_found(((struct rows *)data)->comparison.findings, "%s", words);
    return 0;
}

static void count_rows(struct verifier *verifier, const struct fv_comparison *comparison)
{
    verifier->result.versions += comparison->versions;
    verifier->result.payloads += comparison->payloads;
    verifier->result.sealed += comparison->sealed;
    verifier->result.shredded += comparison->shredded;
}

static int verify_rows(struct verifier *verifier, struct ward *ward, struct fv_read *read,
                       flagver_error *err)
{
    struct rows rows = { .read = read };
    const struct fv_rows_visitor visitor = { take_row, find_stray, &rows };
    int r = fv_comparison_init(&rows.comparison, verifier->crypto, &ward->replay, &ward->findings,
                               err);

    if (r < 0)
        return r;
    r = fv_rows_walk(read, &visitor, err);
    if (r == 0)
        r = fv_compare_end(&rows.comparison, err);
    if (r == 0)
        count_rows(verifier, &rows.comparison);
    fv_comparison_clear(&rows.comparison);
    fv_wipe(rows.opened, rows.opened ? rows.size : 0);
    free(rows.opened);
    return r;
}

static int has_log(struct fv_store *store, const char *tenant, bool *ret_has, flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_LOG };
    struct fv_read read;
    flagver_row row;
    int r = fv_read_begin(&read, store, tenant, err);

    if (r < 0)
        return r;
    r = fv_read_scan(&read, &query, err);
    if (r == 0)
        r = fv_read_next(&read, &row, err);
    fv_read_end(&read);
    *ret_has = r > 0;
    return r < 0 ? r : 0;
}

/*
 * Another tenant's checkpoint would only give a false alarm. An origin that names no tenant of
 * the store was given by hand, and says nothing. (Whoever asks need not see which tenants there
 * are: so the names that it may end with are tried.)
 */
static int check_origin(const struct verifier *verifier, const struct fv_tenancy *tenancy,
                        flagver_error *err)
{
    const struct fv_checkpoint *checkpoint = &verifier->checkpoint;
    const char *origin = checkpoint->origin.data, *end, *at;
    char tenant[FV_TENANT_LIMIT + 1];
    bool is_there = false;
    size_t length;
    int r = 0;

    if (!verifier->options->checkpoint || is_of(checkpoint, tenancy->tenant))
        return 0;
    end = origin + checkpoint->origin.length;
    for (at = origin; r == 0 && !is_there && at < end; at++) {
        length = (size_t)(end - at) - 1;
        if (*at != '/' || !length || length > FV_TENANT_LIMIT || !fv_utf8_valid(at + 1, length))
            continue;
        memcpy(tenant, at + 1, length);
        tenant[length] = '\0';
        r = has_log(tenancy->store, tenant, &is_there, err);
    }
    if (r < 0 || !is_there)
        return r;
    return fv_fail(err, FLAGVER_EINVAL,
                   "the checkpoint is of tenant \"%s\", not \"%s\": its origin is \"%.*s\"", tenant,
                   tenancy->tenant, (int)checkpoint->origin.length, origin);
}

static int verify_tenant(struct verifier *verifier, const struct fv_tenancy *tenancy,
                         flagver_error *err)
{
    struct fv_read read;
    struct ward *ward;
    int r = check_origin(verifier, tenancy, err);

    if (r == 0)
        r = add_ward(verifier, fv_bytes(tenancy->tenant), false, &ward, err);
    if (r == 0)
        r = fv_read_begin(&read, tenancy->store, tenancy->tenant, err);
    if (r < 0)
        return r;
    r = verify_tree(verifier, ward, &read, err);
    if (r == 0 && !verifier->options->tree_only)
        r = verify_rows(verifier, ward, &read, err);
    fv_read_end(&read);
    return r;
}

int fv_verify_store(const struct fv_tenancy *tenancy, const flagver_verify_options *options,
                    void (*found)(void *data, const char *line), void *data,
                    flagver_verify_result *ret_result, flagver_error *err)
{
    struct verifier verifier;
    int r = begin(&verifier, options, found, data, err);

    if (r == 0)
        r = verify_tenant(&verifier, tenancy, err);
    if (r == 0)
        r = sum_up(&verifier, ret_result, err);
    clear(&verifier);
    return r;
}

/* ---- a file ---- */

/*
 * An export is read twice: its leaves stand behind the rows that they speak of. What the file
 * says about itself, its checksum and the number of its lines, is held against it the first time.
 */
struct file {
    struct verifier *verifier;
    struct fv_lines lines;
    struct fv_arena arena;
    struct ward *ward; /* of the lines at hand; NULL: there was none yet */
    struct fv_comparison comparison;
    struct fv_digest *whole;
    bool comparing, ended;
};

static int refuse(const struct file *file, const char *words, flagver_error *err)
{
    const struct fv_transfer_place place = { file->lines.path, file->lines.number };

    return fv_transfer_refuse(err, &place, "%s", words);
}

static int check_end(struct file *file, const struct fv_transfer_end *end, flagver_error *err)
{
    uint8_t hash[FV_DIGEST_SIZE];

    file->ended = true;
    if (!fv_digest_end(file->whole, hash))
        return fv_fail_memory(err);
    if (end->records + 2 != file->lines.number)
        fv_found(&file->verifier->findings,
                 "%s has %" PRIu64 " lines of records, and says that it has %" PRIu64,
                 file->lines.path, file->lines.number - 2, end->records);
    if (memcmp(hash, end->sha256, sizeof hash) != 0)
        fv_found(&file->verifier->findings, "%s does not have the checksum that it says",
                 file->lines.path);
    return 0;
}

/* The first time through. */
static int take_log(struct file *file, const struct fv_transfer *line, flagver_error *err)
{
    if (file->ended)
        return refuse(file, "there is a line behind the end", err);
    switch (line->kind) {
    case FV_TRANSFER_TENANT:
        return add_ward(file->verifier, line->as.tenant.name, true, &file->ward, err);
    case FV_TRANSFER_LEAF:
        return file->ward ? take_leaf(file->verifier, file->ward, &line->as.leaf, err)
                          : refuse(file, "a leaf is of no tenant", err);
    case FV_TRANSFER_END:
        return check_end(file, &line->as.end, err);
    default:
        return 0;
    }
}

static int end_tenant(struct file *file, flagver_error *err)
{
    int r;

    if (!file->comparing)
        return 0;
    r = fv_compare_end(&file->comparison, err);
    if (r == 0)
        count_rows(file->verifier, &file->comparison);
    fv_comparison_clear(&file->comparison);
    file->comparing = false;
    return r;
}

static int begin_tenant(struct file *file, flagver_error *err)
{
    int r = end_tenant(file, err);

    if (r < 0)
        return r;
    file->ward = file->ward ? file->ward->next : file->verifier->first;
    r = fv_comparison_init(&file->comparison, file->verifier->crypto, &file->ward->replay,
                           &file->ward->findings, err);
    file->comparing = r == 0;
    return r;
}

/* The second time. */
static int take_record(struct file *file, const struct fv_transfer *line, flagver_error *err)
{
    struct fv_comparison *comparison = &file->comparison;
    bool has_place = line->kind == FV_TRANSFER_SERIES ? file->comparing
                                                      : file->comparing && comparison->name.length;

    switch (line->kind) {
    case FV_TRANSFER_TENANT:
        return begin_tenant(file, err);
    case FV_TRANSFER_END:
        return end_tenant(file, err);
    case FV_TRANSFER_SERIES:
        return has_place ? fv_compare_series(comparison, &line->as.series, err)
                         : refuse(file, "a series is of no tenant", err);
    case FV_TRANSFER_VERSION:
        return has_place ? fv_compare_version(comparison, &line->as.version, err)
                         : refuse(file, "a version is of no series", err);
    default:
        break;
    }
    if (line->kind != FV_TRANSFER_CONTRIBUTOR && line->kind != FV_TRANSFER_ITEM &&
        line->kind != FV_TRANSFER_VOTE)
        return 0;
    if (!has_place || !comparison->no)
        return refuse(file, "this is of no version", err);
    return line->kind == FV_TRANSFER_CONTRIBUTOR
               ? fv_compare_contributor(comparison, &line->as.contributor, err)
           : line->kind == FV_TRANSFER_ITEM ? fv_compare_item(comparison, &line->as.item, err)
                                            : fv_compare_vote(comparison, &line->as.vote, err);
}

static int go_through(struct file *file,
                      int (*take)(struct file *file, const struct fv_transfer *line,
                                  flagver_error *err),
                      flagver_error *err)
{
    struct fv_transfer_place place = { .name = file->lines.path };
    struct fv_transfer line;
    const char *text;
    size_t length;
    int r;

    while ((r = fv_lines_next(&file->lines, &text, &length, err)) > 0) {
        place.number = file->lines.number;
        fv_arena_reset(&file->arena);
        r = fv_transfer_read(text, length, &place, &file->arena, &line, err);
        if (r == 0 && (line.kind == FV_TRANSFER_HEADER) != (place.number == 1))
            r = refuse(file, "this is no export of a store", err);
        if (r == 0)
            r = take(file, &line, err);
        if (r < 0)
            return r;
        fv_digest_add(file->whole, text, length);
        fv_digest_add(file->whole, "\n", 1);
    }
    return r;
}

/* A checkpoint is of the tenant that its origin ends with, or of the only one. */
static int check_marks(struct verifier *verifier, flagver_error *err)
{
    struct ward *ward, *only = verifier->first, *found = NULL;

    if (!verifier->options->checkpoint)
        return 0;
    for (ward = verifier->first; ward; ward = ward->next)
        if (is_of(&verifier->checkpoint, ward->name) &&
            (!found || strlen(ward->name) > strlen(found->name)))
            found = ward;
    if (!found && only && !only->next)
        found = only;
    if (!found)
        return fv_fail(err, FLAGVER_EINVAL,
                       "the checkpoint's origin names no tenant of the file: \"%.*s\"",
                       (int)verifier->checkpoint.origin.length,
                       (const char *)verifier->checkpoint.origin.data);
    fv_tree_check_mark(&found->tree, verifier->checkpoint.root);
    return 0;
}

static int verify_lines(struct file *file, flagver_error *err)
{
    int r;

    fv_digest_start(file->whole);
    r = go_through(file, take_log, err);
    if (r == 0 && !file->ended)
        r = refuse(file, "the file is not complete", err);
    if (r == 0)
        r = check_marks(file->verifier, err);
    if (r < 0 || file->verifier->options->tree_only)
        return r;
    r = fv_lines_rewind(&file->lines, err);
    file->ward = NULL;
    if (r == 0)
        r = go_through(file, take_record, err);
    if (file->comparing)
        fv_comparison_clear(&file->comparison);
    return r;
}

static int verify_file(struct verifier *verifier, const char *path, flagver_error *err)
{
    struct file file = { .verifier = verifier };
    int r = fv_lines_open(&file.lines, path, FV_TRANSFER_LINE_LIMIT, err);

    if (r < 0)
        return r;
    fv_arena_init(&file.arena, NULL, ARENA_CHUNK);
    file.whole = fv_digest_new(verifier->crypto);
    r = file.whole ? verify_lines(&file, err) : fv_fail_memory(err);
    fv_digest_free(file.whole);
    fv_arena_clear(&file.arena);
    fv_lines_close(&file.lines);
    return r;
}

int fv_verify_file(const char *path, const flagver_verify_options *options,
                   void (*found)(void *data, const char *line), void *data,
                   flagver_verify_result *ret_result, flagver_error *err)
{
    struct verifier verifier;
    int r = begin(&verifier, options, found, data, err);

    if (r == 0)
        r = verify_file(&verifier, path, err);
    if (r == 0)
        r = sum_up(&verifier, ret_result, err);
    clear(&verifier);
    return r;
}
