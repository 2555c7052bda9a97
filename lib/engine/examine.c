#include "engine/examine.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crypto/crypto.h"
#include "engine/idmap.h"
#include "flagver/version.h"
#include "model/version.h"
#include "store/sealing.h"
#include "store/store.h"
#include "util/fail.h"
#include "util/map.h"

#define LINE_CHUNK 4096

/* What an id stands for; one of each kind may have the same bytes. */
enum id_kind { ID_SERIES = 's', ID_VERSION = 'v', ID_PAYLOAD = 'p', ID_MAPPED = 'm' };

/* The version that is being read, with what belongs to it. */
struct version {
    uint64_t line; /* where it stands; 0: there is none */
    uint32_t no;
    int32_t state;
    uint32_t bits;
    int64_t rev;
    bool readable; /* its payload is there and not encrypted: the hash can be checked */
    uint8_t content_hash[FV_DIGEST_SIZE];
    uint32_t items; /* so far; of these and the others the last one: */
    char contributor[FLAGVER_ACTOR_LIMIT + 1];
    char item[FLAGVER_ITEM_KEY_LIMIT + 1];
    char voter[FLAGVER_ACTOR_LIMIT + 1];
    int64_t voted_at;
};

/* The series that is being read, as far as it has come. */
struct series {
    char phase[FLAGVER_PHASE_LIMIT + 1], subject[FLAGVER_SUBJECT_LIMIT + 1];
    uint32_t last_no, current_no;
    uint32_t seen;                /* versions so far */
    uint32_t recorded;            /* of them, in state RECORDED */
    uint32_t in_force, successor; /* the newest that was ever in force, and what took its place */
    int64_t until;                /* when that was */
};

struct fv_examiner {
    struct fv_crypto *crypto;
    struct fv_digest *whole, *part;
    struct fv_digest *content; /* of the version */
    struct fv_arena arena;     /* what the line holds */
    struct fv_map ids;
    struct fv_map keys;  /* numbers of the tenant's data keys */
    struct fv_map votes; /* on the version: whose, for what */
    struct fv_transfer line;
    enum fv_transfer_kind last; /* kind of the line before */
    bool begun;
    uint64_t records;

    char tenant[FV_TENANT_LIMIT + 1];
    uint32_t last_key;
    struct fv_idmap_text last_mapping;
    bool in_series;
    struct series series;
    struct version version;
    uint64_t leaf_count;

    const struct fv_transfer_place *place; /* during a call */
    flagver_error *err;
};

/* ---- new and free ---- */

void fv_examiner_free(struct fv_examiner *examiner)
{
    if (!examiner)
        return;
    fv_digest_free(examiner->whole);
    fv_digest_free(examiner->part);
    fv_digest_free(examiner->content);
    fv_crypto_free(examiner->crypto);
    fv_map_clear(&examiner->ids);
    fv_map_clear(&examiner->keys);
    fv_map_clear(&examiner->votes);
    fv_arena_clear(&examiner->arena);
    fv_release(NULL, examiner);
}

int fv_examiner_new(struct fv_examiner **ret_examiner, flagver_error *err)
{
    struct fv_examiner *examiner = fv_allocate_zeroed(NULL, 1, sizeof *examiner);

    if (!examiner)
        return fv_fail_memory(err);
    fv_arena_init(&examiner->arena, NULL, LINE_CHUNK);
    fv_map_init(&examiner->ids, NULL);
    fv_map_init(&examiner->keys, NULL);
    fv_map_init(&examiner->votes, NULL);
    examiner->crypto = fv_crypto_new();
    if (examiner->crypto) {
        examiner->whole = fv_digest_new(examiner->crypto);
        examiner->part = fv_digest_new(examiner->crypto);
        examiner->content = fv_digest_new(examiner->crypto);
    }
    if (!examiner->whole || !examiner->part || !examiner->content) {
        fv_examiner_free(examiner);
        return fv_fail_memory(err);
    }
    fv_digest_start(examiner->whole);
    *ret_examiner = examiner;
    return 0;
}

/* ---- small checks ---- */

static int refuse(const struct fv_examiner *examiner, const char *format, ...) FV_TEXT_FORMAT(2, 3);

static int refuse(const struct fv_examiner *examiner, const char *format, ...)
{
    char why[512];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(why, sizeof why, format, arguments);
    va_end(arguments);
    return fv_transfer_refuse(examiner->err, examiner->place, "%s", why);
}

/* Something about the version that came out behind it. */
static int refuse_version(const struct fv_examiner *examiner, const char *why)
{
    const struct fv_transfer_place place = { examiner->place->name, examiner->version.line };

    return fv_transfer_refuse(examiner->err, &place, "%s", why);
}

/* A name: also copied, into room for `limit` bytes and a NUL, unless `copy` is NULL. */
static int check_name(const struct fv_examiner *examiner, const char *what, flagver_bytes name,
                      size_t limit, char *copy)
{
    flagver_error found = { .code = 0 };

    if (fv_check_text(what, name.data, limit, &found) < 0)
        return refuse(examiner, "%s", found.message);
    if (copy)
        memcpy(copy, name.data, name.length + 1);
    return 0;
}

static int check_id(struct fv_examiner *examiner, enum id_kind kind, const char *what,
                    const flagver_id *id)
{
    size_t before = examiner->ids.count;
    char name[1 + sizeof id->bytes];

    name[0] = (char)kind;
    memcpy(name + 1, id->bytes, sizeof id->bytes);
    if (fv_map_add(&examiner->ids, name, sizeof name) == FV_MAP_NONE)
        return fv_fail_memory(examiner->err);
    return examiner->ids.count == before ? refuse(examiner, "the %s stands for two things", what)
                                         : 0;
}

/* SHA-256 of `prefix`, when there is one, and the bytes. */
static int check_hash(struct fv_examiner *examiner, const char *prefix, flagver_bytes bytes,
                      const uint8_t expected[32], const char *what)
{
    uint8_t hash[FV_DIGEST_SIZE];

    fv_digest_start(examiner->part);
    if (prefix)
        fv_digest_add(examiner->part, prefix, 1);
    fv_digest_add(examiner->part, bytes.data, bytes.length);
    if (!fv_digest_end(examiner->part, hash))
        return fv_fail_memory(examiner->err);
    return memcmp(hash, expected, sizeof hash) == 0
               ? 0
               : refuse(examiner, "the %s is not that of the contents", what);
}

/* ---- payloads ---- */

/* A payload as a version or an item has it. */
struct payload {
    uint32_t key;
    flagver_bytes salt, body;
};

/* Can its hash be computed? */
static bool is_readable(const struct payload *payload)
{
    return payload->key == 0 && payload->body.data;
}

static int check_payload(const struct fv_examiner *examiner, const struct payload *payload)
{
    uint32_t key = payload->key;

    if (!payload->body.data && (key || payload->salt.data))
        return refuse(examiner,
                      "of a payload that was shredded nothing is left, no key and no salt");
    if (key && fv_map_find(&examiner->keys, (const char *)&key, sizeof key) == FV_MAP_NONE)
        return refuse(
            examiner,
            "the payload is encrypted with key %" PRIu32 ", which the tenant does not have", key);
    if (!key && payload->salt.data)
        return refuse(examiner, "there is a salt but no key");
    if (!key && payload->body.length > FLAGVER_PAYLOAD_LIMIT)
        return refuse(examiner, "the payload is %zu bytes; at most %u allowed",
                      payload->body.length, FLAGVER_PAYLOAD_LIMIT);
    return 0;
}

static int check_note(const struct fv_examiner *examiner, flagver_bytes note)
{
    return note.length <= FLAGVER_NOTE_LIMIT
               ? 0
               : refuse(examiner, "the note is %zu bytes; at most %d allowed", note.length,
                        FLAGVER_NOTE_LIMIT);
}

/* ---- versions ---- */

/*
 * What a state takes: changes until it is reached, and when the version was SUBMITTED on the
 * way (0: never); who decided and when; a successor.
 */
static const struct {
    int64_t least_rev, submitted_rev;
    bool decided, superseded, was_in_force;
} states[] = {
    [FLAGVER_STATE_DRAFT] = { 1, 3, false, false, false },
    [FLAGVER_STATE_SUBMITTED] = { 2, 2, false, false, false },
    [FLAGVER_STATE_APPROVED] = { 2, 3, true, false, true },
    [FLAGVER_STATE_SUPERSEDED] = { 3, 4, true, true, true },
    [FLAGVER_STATE_REJECTED] = { 3, 3, true, false, false },
    [FLAGVER_STATE_WITHDRAWN] = { 2, 3, false, false, false },
    [FLAGVER_STATE_RECORDED] = { 1, 0, false, false, false },
};

static int check_state(const struct fv_examiner *examiner, const flagver_version_row *version)
{
    int32_t state = version->state;

    if (version->rev < states[state].least_rev)
        return refuse(examiner,
                      "rev is %" PRId64 "; what is %s was written %" PRId64 " times or more",
                      version->rev, fv_state_name(state), states[state].least_rev);
    if (states[state].decided && !version->decided_at)
        return refuse(examiner, "what is %s has decided_at", fv_state_name(state));
    if ((version->decided_at != 0) != (version->decided_by.data != NULL))
        return refuse(examiner, "decided_at and decided_by go together");
    if (states[state].superseded != (version->superseded_by != 0) ||
        states[state].superseded != (version->superseded_at != 0))
        return refuse(examiner, "what is superseded, and nothing else, has superseded_by and "
                                "superseded_at");
    if (version->bits & FLAGVER_VERSION_EMERGENCY && !states[state].was_in_force)
        return refuse(examiner, "what is %s was not brought into force by an emergency rule",
                      fv_state_name(state));
    return 0;
}

static int check_numbers(const struct fv_examiner *examiner, const flagver_version_row *version)
{
    const struct series *series = &examiner->series;

    if (version->no != series->seen + 1)
        return refuse(examiner, "version %" PRIu32 " stands where %" PRIu32 " belongs", version->no,
                      series->seen + 1);
    if (version->no > series->last_no)
        return refuse(examiner, "version %" PRIu32 " is beyond last_no %" PRIu32 " of its series",
                      version->no, series->last_no);
    if (version->parent_no >= version->no || version->base_no >= version->no ||
        version->reverts_no >= version->no)
        return refuse(examiner, "parent_no, base_no and reverts_no must be less than no, %" PRIu32,
                      version->no);
    if (version->superseded_by &&
        (version->superseded_by <= version->no || version->superseded_by > series->last_no))
        return refuse(examiner, "superseded_by is %" PRIu32 "; %" PRIu32 " to %" PRIu32 " allowed",
                      version->superseded_by, version->no + 1, series->last_no);
    return 0;
}

/* The versions that were ever in force follow one another, each named by the one before. */
static int check_succession(struct fv_examiner *examiner, const flagver_version_row *version)
{
    struct series *series = &examiner->series;

    if (version->state == FLAGVER_STATE_RECORDED)
        series->recorded++;
    if (series->recorded && series->recorded != version->no)
        return refuse(examiner, "recorded versions and others do not go together");
    if (!states[version->state].was_in_force)
        return 0;

    if (series->in_force && series->successor != version->no)
        return refuse(examiner,
                      series->successor ? "version %" PRIu32 " was superseded by %" PRIu32
                                          ", not by this one"
                                        : "version %" PRIu32 " is approved and so is this one",
                      series->in_force, series->successor);
    if (series->in_force && version->decided_at < series->until)
        return refuse(examiner, "it was decided before version %" PRIu32 " was superseded",
                      series->in_force);
    if (version->superseded_by && version->superseded_at <= version->decided_at)
        return refuse(examiner, "superseded_at is not later than decided_at");
    series->in_force = version->no;
    series->successor = version->superseded_by;
    series->until = version->superseded_at;
    return 0;
}

/* The hash is computed as far as it goes, and compared when there are no more items. */
static void begin_version(struct fv_examiner *examiner, const flagver_version_row *row,
                          bool readable)
{
    struct version *version = &examiner->version;

    *version = (struct version){ .line = examiner->place->number,
                                 .no = row->no,
                                 .state = row->state,
                                 .bits = row->bits,
                                 .rev = row->rev,
                                 .readable = readable };
    memcpy(version->content_hash, row->content_hash, sizeof version->content_hash);
    fv_map_clear(&examiner->votes);
    fv_digest_start(examiner->content);
    if (readable)
        fv_digest_add(examiner->content, row->payload.data, row->payload.length);
}

static int end_version(struct fv_examiner *examiner)
{
    const struct version *version = &examiner->version;
    uint8_t hash[FV_DIGEST_SIZE];

    if (version->line == 0)
        return 0;
    if (!fv_digest_end(examiner->content, hash))
        return fv_fail_memory(examiner->err);
    if (version->readable && memcmp(hash, version->content_hash, sizeof hash) != 0)
        return refuse_version(examiner, "the content_hash is not that of the contents");
    examiner->version.line = 0;
    return 0;
}

static int check_contents(struct fv_examiner *examiner, const flagver_version_row *version)
{
    const struct payload payload = { version->payload_key, version->payload_salt,
                                     version->payload };
    int r = check_note(examiner, version->note);

    if (r == 0)
        r = check_payload(examiner, &payload);
    if (r == 0 && version->bits & FLAGVER_VERSION_TOMBSTONE && is_readable(&payload) &&
        version->payload.length)
        r = refuse(examiner, "a tombstone has no payload");
    if (r == 0)
        begin_version(examiner, version, is_readable(&payload));
    return r;
}

static int check_version(struct fv_examiner *examiner, const flagver_version_row *version)
{
    int r;

    if (!examiner->in_series)
        return refuse(examiner, "a version stands outside of any series");
    r = end_version(examiner);
    if (r == 0)
        r = check_numbers(examiner, version);
    if (r == 0)
        r = check_state(examiner, version);
    if (r == 0)
        r = check_succession(examiner, version);
    if (r == 0)
        r = check_name(examiner, "created_by", version->created_by, FLAGVER_ACTOR_LIMIT, NULL);
    if (r == 0 && version->decided_by.data)
        r = check_name(examiner, "decided_by", version->decided_by, FLAGVER_ACTOR_LIMIT, NULL);
    if (r == 0)
        r = check_contents(examiner, version);
    if (r == 0)
        r = check_id(examiner, ID_VERSION, "version's id", &version->id);
    if (r == 0)
        r = check_id(examiner, ID_PAYLOAD, "payload's id", &version->payload_id);
    examiner->series.seen++;
    return r;
}

/* ---- what belongs to a version ---- */

static int check_place(const struct fv_examiner *examiner, const char *what)
{
    const struct fv_transfer *line = &examiner->line;

    if (examiner->version.line == 0)
        return refuse(examiner, "%s stands outside of any version", what);
    if (line->kind < examiner->last)
        return refuse(examiner, "contributors, items and votes are not in this order");
    return 0;
}

/* Those come while it is a draft. */
static int check_draft(const struct fv_examiner *examiner, const char *what)
{
    if (examiner->version.state == FLAGVER_STATE_RECORDED)
        return refuse(examiner, "what is recorded has no %s", what);
    return 0;
}

static int check_contributor(struct fv_examiner *examiner, const flagver_contributor_row *row)
{
    struct version *version = &examiner->version;
    char actor[FLAGVER_ACTOR_LIMIT + 1];
    int r = check_place(examiner, "a contributor");

    if (r == 0)
        r = check_draft(examiner, "contributors");
    if (r == 0)
        r = check_name(examiner, "actor", row->actor, FLAGVER_ACTOR_LIMIT, actor);
    if (r < 0)
        return r;
    if (strcmp(version->contributor, actor) >= 0)
        return refuse(examiner, "the contributors are not in order");
    memcpy(version->contributor, actor, sizeof actor);
    return 0;
}

static int check_decision(const struct fv_examiner *examiner, const flagver_item_row *item)
{
    bool decided = item->status != FLAGVER_ITEM_PENDING;

    if (decided != (item->decided_at != 0) || decided != (item->decided_by.data != NULL))
        return refuse(examiner, "what is not pending, and nothing else, has decided_at and "
                                "decided_by");
    if (item->origin_no > examiner->version.no)
        return refuse(examiner, "origin_no is %" PRIu32 "; 0 to %" PRIu32 " allowed",
                      item->origin_no, examiner->version.no);
    return decided ? check_name(examiner, "decided_by", item->decided_by, FLAGVER_ACTOR_LIMIT, NULL)
                   : 0;
}

static void add_item(struct fv_examiner *examiner, const flagver_item_row *item)
{
    const uint32_t length = (uint32_t)item->key.length;
    const uint8_t head[4] = { (uint8_t)(length >> 24), (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8), (uint8_t)length };

    fv_digest_add(examiner->content, head, sizeof head);
    fv_digest_add(examiner->content, item->key.data, length);
    fv_digest_add(examiner->content, item->hash, sizeof item->hash);
}

static int check_item_order(struct fv_examiner *examiner, const flagver_item_row *item)
{
    struct version *version = &examiner->version;
    char key[FLAGVER_ITEM_KEY_LIMIT + 1];
    int r = check_name(examiner, "key", item->key, FLAGVER_ITEM_KEY_LIMIT, key);

    if (r < 0)
        return r;
    if (strcmp(version->item, key) >= 0)
        return refuse(examiner, "the items are not in order of their keys");
    if (version->items++ == FLAGVER_ITEM_COUNT_LIMIT)
        return refuse(examiner, "version %" PRIu32 " has more than %u items", version->no,
                      FLAGVER_ITEM_COUNT_LIMIT);
    memcpy(version->item, key, sizeof key);
    return 0;
}

static int check_item(struct fv_examiner *examiner, const flagver_item_row *item)
{
    const struct payload payload = { item->payload_key, item->payload_salt, item->payload };
    int r = check_place(examiner, "an item");

    if (r == 0)
        r = check_draft(examiner, "items");
    if (r == 0)
        r = check_item_order(examiner, item);
    if (r == 0)
        r = check_decision(examiner, item);
    if (r == 0)
        r = check_note(examiner, item->note);
    if (r == 0)
        r = check_payload(examiner, &payload);
    if (r == 0 && is_readable(&payload))
        r = check_hash(examiner, NULL, item->payload, item->hash, "hash");
    if (r == 0)
        r = check_id(examiner, ID_PAYLOAD, "payload's id", &item->payload_id);
    if (r == 0)
        add_item(examiner, item);
    return r;
}

/* Was it ever put to the vote, or is it to be reviewed? */
static bool takes_votes(const struct version *version)
{
    int64_t least = states[version->state].submitted_rev;

    return version->bits & FLAGVER_VERSION_EMERGENCY || (least && version->rev >= least);
}

static int check_vote_order(struct fv_examiner *examiner, const flagver_vote_row *vote)
{
    struct version *version = &examiner->version;
    char voter[FLAGVER_ACTOR_LIMIT + 1];
    int r = check_name(examiner, "actor", vote->actor, FLAGVER_ACTOR_LIMIT, voter);

    if (r < 0)
        return r;
    if (vote->time == 0)
        return refuse(examiner, "a vote has a time");
    if (vote->time < version->voted_at ||
        (vote->time == version->voted_at && strcmp(version->voter, voter) >= 0))
        return refuse(examiner, "the votes are not in order of time and actor");
    memcpy(version->voter, voter, sizeof voter);
    version->voted_at = vote->time;
    return 0;
}

static int check_vote_once(struct fv_examiner *examiner, const flagver_vote_row *vote)
{
    char name[FV_DIGEST_SIZE + FLAGVER_ACTOR_LIMIT];
    size_t before = examiner->votes.count;

    memcpy(name, vote->content_hash, FV_DIGEST_SIZE);
    memcpy(name + FV_DIGEST_SIZE, vote->actor.data, vote->actor.length);
    if (fv_map_add(&examiner->votes, name, FV_DIGEST_SIZE + vote->actor.length) == FV_MAP_NONE)
        return fv_fail_memory(examiner->err);
    return examiner->votes.count > before
               ? 0
               : refuse(examiner, "\"%.100s\" has approved this content before",
                        (const char *)vote->actor.data);
}

static int check_vote(struct fv_examiner *examiner, const flagver_vote_row *vote)
{
    const struct version *version = &examiner->version;
    int r = check_place(examiner, "a vote");

    if (r == 0 && !takes_votes(version))
        r = refuse(examiner,
                   "nobody can have voted on what is %s and was written %" PRId64 " times",
                   fv_state_name(version->state), version->rev);
    if (r == 0)
        r = check_vote_order(examiner, vote);
    if (r == 0)
        r = check_vote_once(examiner, vote);
    return r == 0 ? check_note(examiner, vote->note) : r;
}

/* ---- series ---- */

static int end_series(struct fv_examiner *examiner)
{
    const struct series *series = &examiner->series;
    uint32_t current = series->recorded ? series->last_no : series->in_force;
    int r = end_version(examiner);

    if (r < 0 || !examiner->in_series)
        return r;
    examiner->in_series = false;
    if (series->seen != series->last_no)
        return refuse(examiner, "series \"%.100s\" ends with version %" PRIu32 " of %" PRIu32,
                      series->subject, series->seen, series->last_no);
    if (series->successor)
        return refuse(examiner,
                      "version %" PRIu32 " of \"%.100s\" was superseded by %" PRIu32
                      ", which was never in force",
                      series->in_force, series->subject, series->successor);
    if (series->current_no != current)
        return refuse(examiner,
                      "current_no of series \"%.100s\" is %" PRIu32
                      "; what its versions say is %" PRIu32,
                      series->subject, series->current_no, current);
    return 0;
}

static int check_order(const struct fv_examiner *examiner, const struct series *before,
                       const struct series *series)
{
    int order = strcmp(before->phase, series->phase);

    if (order == 0)
        order = strcmp(before->subject, series->subject);
    return order < 0 ? 0 : refuse(examiner, "the series is not in order of phase and subject");
}

static int check_series(struct fv_examiner *examiner, const flagver_series_row *row)
{
    struct series series = { .last_no = row->last_no, .current_no = row->current_no };
    int r = end_series(examiner);

    if (r < 0)
        return r;
    if (examiner->last == FV_TRANSFER_HEADER || examiner->last == FV_TRANSFER_LEAF)
        return refuse(examiner, "a series stands where none belongs");
    r = check_name(examiner, "phase", row->phase, FLAGVER_PHASE_LIMIT, series.phase);
    if (r == 0)
        r = check_name(examiner, "subject", row->subject, FLAGVER_SUBJECT_LIMIT, series.subject);
    if (r == 0)
        r = check_order(examiner, &examiner->series, &series);
    if (r == 0)
        r = check_id(examiner, ID_SERIES, "series' id", &row->id);
    if (r == 0 && row->rev < (row->last_no ? row->last_no : 1))
        r = refuse(examiner, "rev is %" PRId64 "; it is at least last_no, %" PRIu32, row->rev,
                   row->last_no);
    examiner->series = series;
    examiner->in_series = true;
    return r;
}

/* ---- keys, leaves, tenants, the whole ---- */

static int check_key(struct fv_examiner *examiner, const flagver_keyed_row *row)
{
    char id[FV_KEY_ID_SIZE];
    uint32_t no;

    if (examiner->last != FV_TRANSFER_TENANT && examiner->last != FV_TRANSFER_KEY)
        return refuse(examiner, "a key stands where none belongs");
    if (!fv_key_row_read(row, &no, id) || row->rev < 1)
        return refuse(examiner, "the key is malformed");
    if (no <= examiner->last_key)
        return refuse(examiner, "the keys are not in order");
    examiner->last_key = no;
    return fv_map_add(&examiner->keys, (const char *)&no, sizeof no) == FV_MAP_NONE
               ? fv_fail_memory(examiner->err)
               : 0;
}

/* So that two of them are found: what the id and its entity hash to. */
static int check_mapped(struct fv_examiner *examiner, const struct fv_transfer_mapping *mapping)
{
    uint8_t hash[FV_DIGEST_SIZE];
    flagver_id id;

    fv_digest_start(examiner->part);
    fv_digest_add(examiner->part, examiner->tenant, strlen(examiner->tenant) + 1);
    fv_digest_add(examiner->part, mapping->entity.data, mapping->entity.length + 1);
    fv_digest_add(examiner->part, mapping->new_id.data, mapping->new_id.length);
    if (!fv_digest_end(examiner->part, hash))
        return fv_fail_memory(examiner->err);
    memcpy(id.bytes, hash, sizeof id.bytes);
    return check_id(examiner, ID_MAPPED, "new id", &id);
}

static int check_mapping(struct fv_examiner *examiner, const struct fv_transfer_mapping *mapping)
{
    struct fv_idmap_text *last = &examiner->last_mapping, text;
    int r, order;

    if (examiner->last != FV_TRANSFER_TENANT && examiner->last != FV_TRANSFER_KEY &&
        examiner->last != FV_TRANSFER_MAPPING)
        return refuse(examiner, "a mapping stands where none belongs");
    r = check_name(examiner, "entity", mapping->entity, FLAGVER_IDMAP_ENTITY_LIMIT, text.entity);
    if (r == 0)
        r = check_name(examiner, "old", mapping->old_id, FLAGVER_IDMAP_ID_LIMIT, text.id);
    if (r == 0)
        r = check_name(examiner, "new", mapping->new_id, FLAGVER_IDMAP_ID_LIMIT, text.other);
    if (r < 0)
        return r;
    order = strcmp(last->entity, text.entity);
    if (order > 0 || (order == 0 && strcmp(last->id, text.id) >= 0))
        return refuse(examiner, "the mapping is not in order of entity and old id");
    *last = text;
    return check_mapped(examiner, mapping);
}

static bool is_text(flagver_bytes bytes, const char *text)
{
    return bytes.length == strlen(text) && memcmp(bytes.data, text, bytes.length) == 0;
}

static int check_leaf(struct fv_examiner *examiner, const flagver_leaf_row *row)
{
    struct fv_audit_leaf leaf;
    int r = end_series(examiner);

    if (r < 0)
        return r;
    if (examiner->last == FV_TRANSFER_HEADER)
        return refuse(examiner, "a leaf stands outside of any tenant");
    if (row->no != examiner->leaf_count)
        return refuse(examiner, "leaf %" PRIu64 " stands where %" PRIu64 " belongs", row->no,
                      examiner->leaf_count);
    if (!fv_leaf_decode(row->leaf.data, row->leaf.length, &leaf))
        return refuse(examiner, "leaf %" PRIu64 " is malformed", row->no);
    if (leaf.leaf_no != row->no || !is_text(leaf.tenant, examiner->tenant))
        return refuse(examiner, "leaf %" PRIu64 " was made for another number or tenant", row->no);
    examiner->leaf_count++;
    return check_hash(examiner, "", row->leaf, row->hash, "hash");
}

static int end_tenant(struct fv_examiner *examiner)
{
    int r = end_series(examiner);

    if (r == 0 && (examiner->last == FV_TRANSFER_TENANT || examiner->last == FV_TRANSFER_KEY))
        r = refuse(examiner, "tenant \"%s\" has neither series nor leaves", examiner->tenant);
    return r;
}

static int check_tenant(struct fv_examiner *examiner, flagver_bytes name)
{
    char tenant[FV_TENANT_LIMIT + 1];
    int r = end_tenant(examiner);

    if (r == 0)
        r = check_name(examiner, "tenant", name, FV_TENANT_LIMIT, tenant);
    if (r < 0)
        return r;
    if (strcmp(examiner->tenant, tenant) >= 0)
        return refuse(examiner, "the tenant is not in order of the names");
    memcpy(examiner->tenant, tenant, sizeof tenant);
    examiner->series = (struct series){ .last_no = 0 };
    examiner->leaf_count = 0;
    examiner->last_key = 0;
    examiner->last_mapping = (struct fv_idmap_text){ .entity = "" };
    fv_map_clear(&examiner->keys);
    return 0;
}

static int check_end(struct fv_examiner *examiner, const struct fv_transfer_end *end)
{
    uint8_t hash[FV_DIGEST_SIZE];
    int r = end_tenant(examiner);

    if (r < 0)
        return r;
    if (!fv_digest_end(examiner->whole, hash))
        return fv_fail_memory(examiner->err);
    if (end->records != examiner->records)
        return refuse(examiner, "there are %" PRIu64 " records; %" PRIu64 " are announced",
                      examiner->records, end->records);
    if (memcmp(hash, end->sha256, sizeof hash) != 0)
        return refuse(examiner,
                      "the checksum is not that of the lines before: the file was changed");
    return 0;
}

static int check_header(struct fv_examiner *examiner, const struct fv_transfer_header *header)
{
    if (header->form != FV_TRANSFER_FORM)
        return refuse(examiner, "the export is of form %" PRIu32 "; this library reads form %d",
                      header->form, FV_TRANSFER_FORM);
    return 0;
}

static int check_line(struct fv_examiner *examiner, const struct fv_transfer *line)
{
    if (examiner->begun != (line->kind != FV_TRANSFER_HEADER))
        return refuse(examiner, examiner->begun ? "a second header" : "the header is missing");
    if (examiner->begun && examiner->last == FV_TRANSFER_END)
        return refuse(examiner, "something follows the last line of the export");
    switch (line->kind) {
    case FV_TRANSFER_HEADER:
        return check_header(examiner, &line->as.header);
    case FV_TRANSFER_TENANT:
        return check_tenant(examiner, line->as.tenant.name);
    case FV_TRANSFER_KEY:
        return check_key(examiner, &line->as.key);
    case FV_TRANSFER_MAPPING:
        return check_mapping(examiner, &line->as.mapping);
    case FV_TRANSFER_SERIES:
        return check_series(examiner, &line->as.series);
    case FV_TRANSFER_VERSION:
        return check_version(examiner, &line->as.version);
    case FV_TRANSFER_CONTRIBUTOR:
        return check_contributor(examiner, &line->as.contributor);
    case FV_TRANSFER_ITEM:
        return check_item(examiner, &line->as.item);
    case FV_TRANSFER_VOTE:
        return check_vote(examiner, &line->as.vote);
    case FV_TRANSFER_LEAF:
        return check_leaf(examiner, &line->as.leaf);
    case FV_TRANSFER_END:
        return check_end(examiner, &line->as.end);
    }
    return 0;
}

int fv_examiner_line(struct fv_examiner *examiner, const struct fv_transfer_place *place,
                     const char *text, size_t length, const struct fv_transfer **ret_line,
                     flagver_error *err)
{
    struct fv_transfer *line = &examiner->line;
    int r;

    examiner->place = place;
    examiner->err = err;
    fv_arena_reset(&examiner->arena);
    r = fv_transfer_read(text, length, place, &examiner->arena, line, err);
    if (r == 0)
        r = check_line(examiner, line);
    if (r < 0)
        return r;

    examiner->records += examiner->begun && line->kind != FV_TRANSFER_END;
    examiner->begun = true;
    examiner->last = line->kind;
    if (line->kind != FV_TRANSFER_END) {
        fv_digest_add(examiner->whole, text, length);
        fv_digest_add(examiner->whole, "\n", 1);
    }
    *ret_line = line;
    return 0;
}

int fv_examiner_end(const struct fv_examiner *examiner, const struct fv_transfer_place *place,
                    flagver_error *err)
{
    if (!examiner->begun)
        return fv_transfer_refuse(err, place, "the file is empty");
    if (examiner->last != FV_TRANSFER_END)
        return fv_transfer_refuse(err, place, "the rest of the export is missing");
    return 0;
}
