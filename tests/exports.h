/*
 * What tests of exports share: a folder for stores and files, and a sheet on which an
 * export is written line by line, sound or not, and sealed with the right checksum.
 */
#ifndef FLAGVER_TESTS_EXPORTS_H
#define FLAGVER_TESTS_EXPORTS_H

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

#include "codec/transfer.h"
#include "crypto/crypto.h"
#include "model/leaf.h"
#include "seed.h"
#include "store/store.h"
#include "support.h"

#define COUNT(table) ((int)(sizeof(table) / sizeof(table)[0]))

/* ---- a folder of the test's own ---- */

static char folder[64] MAYBE_UNUSED;

static inline void make_folder(void)
{
    strcpy(folder, "/dev/shm/flagver-XXXXXX");
    if (!mkdtemp(folder)) {
        strcpy(folder, "/tmp/flagver-XXXXXX");
        ck_assert_ptr_nonnull(mkdtemp(folder));
    }
}

/* A name in the folder behind `scheme`; good until the fourth call from here. */
static inline const char *in_folder(const char *scheme, const char *name)
{
    static char names[4][1024];
    static int turn;
    char *out = names[turn++ % 4];

    ck_assert_int_lt(snprintf(out, sizeof names[0], "%s%s/%s", scheme, folder, name),
                     (int)sizeof names[0]);
    return out;
}

#define FILE_NAMED(name) in_folder("", name)
#define STORE_NAMED(name) in_folder("sqlite:", name)

static inline bool is_there(const char *name)
{
    return access(FILE_NAMED(name), F_OK) == 0;
}

/* Files in the folder whose names contain this. */
static inline int count_files(const char *part)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;
    int count = 0;

    ck_assert_ptr_nonnull(directory);
    while ((entry = readdir(directory)))
        count += entry->d_name[0] != '.' && strstr(entry->d_name, part) != NULL;
    closedir(directory);
    return count;
}

static inline void remove_folder(void)
{
    DIR *directory = opendir(folder);
    struct dirent *entry;

    while (directory && (entry = readdir(directory)))
        if (entry->d_name[0] != '.')
            remove(FILE_NAMED(entry->d_name));
    if (directory)
        closedir(directory);
    rmdir(folder);
}

static inline void write_bytes(const char *name, const char *bytes, size_t length)
{
    FILE *file = fopen(FILE_NAMED(name), "w");

    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, length, file), length);
    ck_assert_int_eq(fclose(file), 0);
}

static inline struct fv_text read_bytes(const char *name)
{
    struct fv_text text = FV_TEXT_INIT;
    FILE *file = fopen(FILE_NAMED(name), "r");
    char piece[4096];
    size_t got;

    ck_assert_msg(file != NULL, "%s is not there", name);
    while ((got = fread(piece, 1, sizeof piece, file)) > 0)
        fv_text_add_bytes(&text, piece, got);
    fclose(file);
    return text;
}

static inline void assert_same_files(const char *name, const char *other)
{
    struct fv_text one = read_bytes(name), two = read_bytes(other);

    ck_assert_msg(one.length == two.length && memcmp(one.data, two.data, one.length) == 0,
                  "%s and %s differ:\n%.3000s\n---\n%.3000s", name, other, one.data, two.data);
    fv_text_clear(&one);
    fv_text_clear(&two);
}

/* ---- a sheet ---- */

struct sheet {
    struct fv_crypto *crypto;
    struct fv_digest *digest;
    struct fv_text text;
    uint64_t records;
    uint32_t last_id;
    const char *tenant;
    uint64_t leaves;
};

static inline void sha256(struct sheet *sheet, const char *prefix, flagver_bytes bytes,
                          uint8_t out[32])
{
    fv_digest_start(sheet->digest);
    fv_digest_add(sheet->digest, prefix, prefix ? 1 : 0);
    fv_digest_add(sheet->digest, bytes.data, bytes.length);
    ck_assert(fv_digest_end(sheet->digest, out));
}

static inline void add_line(struct sheet *sheet, const struct fv_transfer *line)
{
    assert_ok(fv_transfer_write(&sheet->text, line, &error));
    fv_text_add_char(&sheet->text, '\n');
    sheet->records += line->kind != FV_TRANSFER_HEADER;
}

static inline struct sheet new_sheet(void)
{
    const struct fv_transfer header = { .kind = FV_TRANSFER_HEADER,
                                        .as.header.form = FV_TRANSFER_FORM };
    struct sheet sheet = { .crypto = fv_crypto_new(), .text = FV_TEXT_INIT };

    ck_assert_ptr_nonnull(sheet.crypto);
    sheet.digest = fv_digest_new(sheet.crypto);
    add_line(&sheet, &header);
    return sheet;
}

static inline void clear_sheet(struct sheet *sheet)
{
    fv_text_clear(&sheet->text);
    fv_digest_free(sheet->digest);
    fv_crypto_free(sheet->crypto);
}

/* Adds the last line. */
static inline void seal(struct sheet *sheet)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_END, .as.end.records = sheet->records };

    sha256(sheet, NULL, fv_bytes_of(sheet->text.data, sheet->text.length), line.as.end.sha256);
    add_line(sheet, &line);
}

static inline void save_sheet(const struct sheet *sheet, const char *name)
{
    ck_assert(!sheet->text.failed);
    write_bytes(name, sheet->text.data, sheet->text.length);
}

static inline flagver_id next_id(struct sheet *sheet)
{
    uint32_t number = ++sheet->last_id;
    flagver_id id = { { 0x01, 0x90, 0, 0, 0, 0, 0x70, 0, 0x80 } };

    id.bytes[12] = (uint8_t)(number >> 24);
    id.bytes[13] = (uint8_t)(number >> 16);
    id.bytes[14] = (uint8_t)(number >> 8);
    id.bytes[15] = (uint8_t)number;
    return id;
}

static inline void add_tenant(struct sheet *sheet, const char *name)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_TENANT,
                                      .as.tenant.name = fv_bytes(name) };

    sheet->tenant = name;
    sheet->leaves = 0;
    add_line(sheet, &line);
}

/* ---- series and versions ---- */

#define SOME_TIME INT64_C(1767225600000000) /* µs; 2026 */

static inline int64_t created(uint32_t no)
{
    return SOME_TIME + (int64_t)no * 1000;
}

static inline int64_t decided(uint32_t no)
{
    return created(no) + 500;
}

static inline flagver_id add_series(struct sheet *sheet, const char *phase, const char *subject,
                                    uint32_t last_no, uint32_t current_no)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_SERIES };
    flagver_series_row *row = &line.as.series;

    row->id = next_id(sheet);
    row->phase = fv_bytes(phase);
    row->subject = fv_bytes(subject);
    row->last_no = last_no;
    row->current_no = current_no;
    row->rev = last_no + 2;
    row->changed_at = decided(last_no);
    add_line(sheet, &line);
    return row->id;
}

/* A version as a life through legal states leaves it; `by`: what superseded it. */
static inline flagver_version_row version_row(struct sheet *sheet, uint32_t no, int32_t state,
                                              uint32_t by, flagver_bytes payload)
{
    static const int64_t revs[] = { 0, 1, 2, 2, 3, 3, 2, 1 };
    flagver_version_row row = { .no = no,
                                .id = next_id(sheet),
                                .payload_id = next_id(sheet),
                                .state = state,
                                .superseded_by = by,
                                .rev = revs[state],
                                .created_at = created(no),
                                .created_by = fv_bytes("alice"),
                                .payload = payload };
    bool is_decided = state == FLAGVER_STATE_APPROVED || state == FLAGVER_STATE_SUPERSEDED ||
                      state == FLAGVER_STATE_REJECTED;

    if (state == FLAGVER_STATE_SUBMITTED || is_decided)
        row.submitted_at = decided(no) - 1;
    if (is_decided) {
        row.decided_at = decided(no);
        row.decided_by = fv_bytes("bob");
    }
    if (by)
        row.superseded_at = decided(by);
    sha256(sheet, NULL, payload, row.content_hash);
    return row;
}

static inline void add_row(struct sheet *sheet, const flagver_version_row *row)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_VERSION, .as.version = *row };

    add_line(sheet, &line);
}

static inline void add_version(struct sheet *sheet, uint32_t no, int32_t state, uint32_t by,
                               const char *payload)
{
    flagver_version_row row = version_row(sheet, no, state, by, fv_bytes(payload));

    add_row(sheet, &row);
}

static inline void add_leaf(struct sheet *sheet, const char *phase, const char *subject,
                            uint32_t no, int64_t time)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_LEAF, .as.leaf.no = sheet->leaves };
    const struct fv_audit_leaf leaf = { .tenant = fv_bytes(sheet->tenant),
                                        .leaf_no = sheet->leaves++,
                                        .time = time,
                                        .actor = fv_bytes("alice"),
                                        .action = FV_ACTION_CREATE,
                                        .phase = fv_bytes(phase),
                                        .subject = fv_bytes(subject),
                                        .no = no,
                                        .to = FLAGVER_STATE_DRAFT,
                                        .rev = 1 };
    struct fv_text encoded = FV_TEXT_INIT;

    fv_leaf_encode(&leaf, &encoded);
    line.as.leaf.leaf = fv_bytes_of(encoded.data, encoded.length);
    sha256(sheet, "", line.as.leaf.leaf, line.as.leaf.hash);
    add_line(sheet, &line);
    fv_text_clear(&encoded);
}

/* ---- what belongs to versions, and keys ---- */

/* A data key as the library keeps them: sealed, so that it may be any bytes. */
static inline void add_key(struct sheet *sheet, uint32_t no)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_KEY,
                                .as.key.rev = 1,
                                .as.key.time = created(no) };
    uint8_t value[2 + 4 + 61] = "\1\4main";
    char key[16];

    snprintf(key, sizeof key, "%010" PRIu32, no);
    value[sizeof value - 1] = (uint8_t)no;
    line.as.key.key = fv_bytes(key);
    line.as.key.value = (flagver_bytes){ value, sizeof value };
    add_line(sheet, &line);
}

static inline void add_contributor(struct sheet *sheet, const char *actor)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_CONTRIBUTOR,
                                      .as.contributor.actor = fv_bytes(actor) };

    add_line(sheet, &line);
}

/* Decided at once: `origin_no` 0: it is not. */
static inline flagver_item_row item_row(struct sheet *sheet, const char *key, uint32_t origin_no,
                                        flagver_bytes payload)
{
    flagver_item_row row = { .key = fv_bytes(key),
                             .payload_id = next_id(sheet),
                             .payload = payload,
                             .origin_no = origin_no };

    if (origin_no) {
        row.status = FLAGVER_ITEM_APPROVED;
        row.decided_at = decided(origin_no) - 100;
        row.decided_by = fv_bytes("bob");
    }
    sha256(sheet, NULL, payload, row.hash);
    return row;
}

static inline void add_item(struct sheet *sheet, const flagver_item_row *row)
{
    const struct fv_transfer line = { .kind = FV_TRANSFER_ITEM, .as.item = *row };

    add_line(sheet, &line);
}

/* The hash of a version's content with its items, in order of their keys. */
static inline void hash_content(struct sheet *sheet, flagver_version_row *version,
                                const flagver_item_row *items, size_t count)
{
    uint8_t length[4] = { 0, 0 };
    size_t i;

    fv_digest_start(sheet->digest);
    fv_digest_add(sheet->digest, version->payload.data, version->payload.length);
    for (i = 0; i < count; i++) {
        length[2] = (uint8_t)(items[i].key.length >> 8);
        length[3] = (uint8_t)items[i].key.length;
        fv_digest_add(sheet->digest, length, sizeof length);
        fv_digest_add(sheet->digest, items[i].key.data, items[i].key.length);
        fv_digest_add(sheet->digest, items[i].hash, sizeof items[i].hash);
    }
    ck_assert(fv_digest_end(sheet->digest, version->content_hash));
}

/* The version, then all its items. */
static inline void add_with_items(struct sheet *sheet, flagver_version_row *version,
                                  const flagver_item_row *items, size_t count)
{
    size_t i;

    if (version->payload.data && !version->payload_key)
        hash_content(sheet, version, items, count);
    add_row(sheet, version);
    for (i = 0; i < count; i++)
        add_item(sheet, &items[i]);
}

/* `content`: of what; it may be another than the version has by now. */
static inline void add_vote(struct sheet *sheet, const char *actor, const uint8_t content[32],
                            int64_t time, const char *note)
{
    struct fv_transfer line = { .kind = FV_TRANSFER_VOTE };

    line.as.vote.actor = fv_bytes(actor);
    line.as.vote.time = time;
    line.as.vote.note = fv_bytes(note);
    memcpy(line.as.vote.content_hash, content, 32);
    add_line(sheet, &line);
}

static inline void shred(flagver_bytes *payload, uint32_t *key, flagver_bytes *salt)
{
    *payload = *salt = (flagver_bytes){ NULL, 0 };
    *key = 0;
}

/* ---- whole exports ---- */

/*
 * Two tenants, every state, a tombstone, bytes, an empty series, logs; and nothing of what
 * came with approval, so that it is an export of an older store.
 */
static inline struct sheet base_sheet(void)
{
    struct sheet sheet = new_sheet();
    flagver_version_row row;

    add_tenant(&sheet, "default");
    add_series(&sheet, "flagver.flag", "a", 4, 3);
    add_version(&sheet, 1, FLAGVER_STATE_SUPERSEDED, 2, "{\"type\":\"boolean\"}");
    add_version(&sheet, 2, FLAGVER_STATE_SUPERSEDED, 3, "{\"a\":2}");
    row = version_row(&sheet, 3, FLAGVER_STATE_APPROVED, 0, fv_bytes("{\"a\":3}"));
    row.parent_no = row.base_no = 2;
    row.reverts_no = 1;
    row.rev = 7;
    row.note = fv_bytes("because \"x\"\nand y");
    add_row(&sheet, &row);
    add_version(&sheet, 4, FLAGVER_STATE_DRAFT, 0, "{\"a\":4}");
    add_series(&sheet, "flagver.flag", "b", 5, 5);
    add_version(&sheet, 1, FLAGVER_STATE_REJECTED, 0, "1");
    add_version(&sheet, 2, FLAGVER_STATE_WITHDRAWN, 0, "2");
    add_version(&sheet, 3, FLAGVER_STATE_SUBMITTED, 0, "3");
    row = version_row(&sheet, 4, FLAGVER_STATE_DRAFT, 0, fv_bytes_of("\1\0\xff", 3));
    add_row(&sheet, &row);
    row = version_row(&sheet, 5, FLAGVER_STATE_APPROVED, 0, fv_bytes(""));
    row.bits = FLAGVER_VERSION_TOMBSTONE;
    add_row(&sheet, &row);
    add_series(&sheet, "notes", "n", 2, 2);
    add_version(&sheet, 1, FLAGVER_STATE_RECORDED, 0, "\"first\"");
    add_version(&sheet, 2, FLAGVER_STATE_RECORDED, 0, "\"second\"");
    add_leaf(&sheet, "flagver.flag", "a", 1, created(1));
    add_leaf(&sheet, "flagver.flag", "a", 2, created(2));
    add_leaf(&sheet, "flagver.flag", "b", 1, created(1));
    add_tenant(&sheet, "other");
    add_series(&sheet, "notes", "nothing", 0, 0);
    add_leaf(&sheet, "notes", "gone", 1, created(1));
    seal(&sheet);
    return sheet;
}

/*
 * What came with approval: votes in every state that can have some, contributors, items that
 * are decided and carried forward, keys, what is encrypted and what was shredded.
 */
static inline struct sheet approval_sheet(void)
{
    struct sheet sheet = new_sheet();
    flagver_version_row row;
    flagver_item_row items[3];

    add_tenant(&sheet, "default");
    add_key(&sheet, 1);
    add_key(&sheet, 3);
    add_series(&sheet, "plan", "a/1", 7, 4);

    items[0] = item_row(&sheet, "s1", 1, fv_bytes("{\"size\":1}"));
    items[1] = item_row(&sheet, "s2", 1, fv_bytes("2"));
    items[1].status = FLAGVER_ITEM_REJECTED;
    items[1].origin_no = 0;
    items[1].note = fv_bytes("too small");
    row = version_row(&sheet, 1, FLAGVER_STATE_SUPERSEDED, 3, fv_bytes("{\"a\":1}"));
    row.rev = 4;
    hash_content(&sheet, &row, items, 2);
    add_row(&sheet, &row);
    add_contributor(&sheet, "carol");
    add_contributor(&sheet, "dave");
    add_item(&sheet, &items[0]);
    add_item(&sheet, &items[1]);
    add_vote(&sheet, "erin", row.content_hash, created(1) + 1, NULL);
    add_vote(&sheet, "bob", row.content_hash, created(1) + 2, "fine \"with\" me");

    row = version_row(&sheet, 2, FLAGVER_STATE_DRAFT, 0, fv_bytes("{\"a\":2}"));
    row.rev = 3;
    add_row(&sheet, &row);
    add_contributor(&sheet, "carol");
    add_vote(&sheet, "bob", items[0].hash, created(2), NULL);
    add_vote(&sheet, "bob", row.content_hash, created(2) + 1, NULL);

    row = version_row(&sheet, 3, FLAGVER_STATE_SUPERSEDED, 4, fv_bytes("{\"a\":3}"));
    row.bits = FLAGVER_VERSION_EMERGENCY;
    shred(&row.payload, &row.payload_key, &row.payload_salt);
    add_row(&sheet, &row);

    items[1] = item_row(&sheet, "s3", 0, fv_bytes_of("\0sealed", 7));
    items[1].payload_key = 3;
    items[1].payload_salt = fv_bytes_of("\0salt", 5);
    items[2] = item_row(&sheet, "s4", 4, fv_bytes("gone"));
    shred(&items[2].payload, &items[2].payload_key, &items[2].payload_salt);
    row = version_row(&sheet, 4, FLAGVER_STATE_APPROVED, 0, fv_bytes("{\"a\":4}"));
    row.bits = FLAGVER_VERSION_EMERGENCY;
    items[0].payload_id = next_id(&sheet);
    add_with_items(&sheet, &row, items, 3);
    add_vote(&sheet, "erin", row.content_hash, decided(4) + 1, "it had to be");

    row = version_row(&sheet, 5, FLAGVER_STATE_WITHDRAWN, 0, fv_bytes_of("\1\0\xff", 3));
    row.rev = 3;
    row.payload_key = 1;
    row.payload_salt = fv_bytes_of("\0salt", 5);
    items[0].payload_id = next_id(&sheet);
    add_with_items(&sheet, &row, items, 1);
    add_vote(&sheet, "bob", row.content_hash, created(5), NULL);

    items[0].payload_id = next_id(&sheet);
    items[0].status = FLAGVER_ITEM_PENDING;
    items[0].origin_no = 0;
    items[0].decided_at = 0;
    items[0].decided_by = fv_bytes(NULL);
    row = version_row(&sheet, 6, FLAGVER_STATE_SUBMITTED, 0, fv_bytes("{\"a\":6}"));
    add_with_items(&sheet, &row, items, 1);
    add_vote(&sheet, "bob", row.content_hash, created(6), NULL);

    row = version_row(&sheet, 7, FLAGVER_STATE_REJECTED, 0, fv_bytes("{\"a\":7}"));
    add_row(&sheet, &row);
    add_vote(&sheet, "bob", row.content_hash, created(7), NULL);

    add_series(&sheet, "protocol", "p", 1, 1);
    row = version_row(&sheet, 1, FLAGVER_STATE_RECORDED, 0, fv_bytes("\"first\""));
    shred(&row.payload, &row.payload_key, &row.payload_salt);
    add_row(&sheet, &row);
    add_leaf(&sheet, "plan", "a/1", 1, created(1));
    seal(&sheet);
    return sheet;
}

#endif
