#define _GNU_SOURCE /* memmem */

#include "engine/references.h"

#include <string.h>

#include "codec/payload.h"
#include "codec/records.h"
#include "util/fail.h"

/* The definition that is written, and all that is reached from it so far. */
struct closure {
    flagver_txn *txn;
    struct fv_map names; /* "f" or "s" and the key: number of the record */
    struct fv_record *records;
    size_t capacity;
    bool failed; /* memory is short */
};

/* Notes that a record is needed; its text is found later. */
static void need(void *data, bool to_flag, const char *name, const char *variant)
{
    struct closure *closure = data;
    const flagver_allocator *memory = fv_txn_source(closure->txn)->memory;
    size_t before = closure->names.count, length = strlen(name);
    char *key = fv_arena_allocate(fv_txn_arena(closure->txn), length + 2);
    uint32_t number = FV_MAP_NONE;

    (void)variant;
    if (key && fv_grow(memory, (void **)&closure->records, &closure->capacity, before,
                       sizeof *closure->records)) {
        key[0] = to_flag ? 'f' : 's';
        memcpy(key + 1, name, length + 1);
        number = fv_map_add(&closure->names, key, length + 1);
    }
    if (number == FV_MAP_NONE)
        closure->failed = true;
    else if (number == before)
        closure->records[number] =
            (struct fv_record){ .is_segment = !to_flag, .key = key + 1, .key_length = length };
}

/* What is in force under a name in this transaction; no text when nothing is. */
static int find_text(struct closure *closure, size_t number, flagver_error *err)
{
    struct fv_record *record = &closure->records[number];
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .phase = fv_bytes(record->is_segment ? FLAGVER_PHASE_SEGMENT
                                                                 : FLAGVER_PHASE_FLAG),
                            .subject = fv_bytes_of(record->key, record->key_length),
                            .payload = true };
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = fv_txn_scan(closure->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = fv_txn_next(closure->txn, cursor, &row, err);
    if (r > 0 && !(row.as.version.bits & FLAGVER_VERSION_TOMBSTONE)) {
        record->length = row.as.version.payload.length;
        record->text = fv_arena_string(fv_txn_arena(closure->txn), row.as.version.payload.data,
                                       record->length);
        closure->failed = closure->failed || !record->text;
    }
    fv_txn_end_scan(closure->txn, cursor);
    return r < 0 ? r : 0;
}

/* Finds what is needed, and what that needs, and so on. */
static int follow(struct closure *closure, flagver_error *err)
{
    size_t i;
    int r = 0;

    for (i = 1; r == 0 && !closure->failed && i < closure->names.count; i++) {
        r = find_text(closure, i, err);
        /* One that is malformed is found out below. */
        if (r == 0 && closure->records[i].text &&
            fv_definition_check(closure->records[i].is_segment, closure->records[i].key,
                                closure->records[i].key_length, closure->records[i].text,
                                closure->records[i].length, NULL, need, closure,
                                NULL) == FLAGVER_ENOMEM)
            closure->failed = true;
    }
    return r < 0 ? r : closure->failed ? fv_fail_memory(err) : 0;
}

/* Is the definition that is written among those that cannot be used? */
static int judge(const struct fv_definitions *definitions, const struct fv_record *record,
                 flagver_error *err)
{
    const struct fv_spoiled *spoiled;
    size_t i;

    for (i = 0; i < definitions->spoiled_count; i++) {
        spoiled = &definitions->spoiled[i];
        if (spoiled->is_segment == record->is_segment && strcmp(spoiled->key, record->key) == 0)
            return fv_fail(err, FLAGVER_EPARSE, "%s", spoiled->why);
    }
    return 0;
}

/* Compiles the lot. */
static int compile_all(struct closure *closure, flagver_error *err)
{
    const flagver_allocator *memory = fv_txn_source(closure->txn)->memory;
    struct fv_map flag_names, segment_names, attribute_names;
    struct fv_definitions_source source = { .memory = memory,
                                            .flag_names = &flag_names,
                                            .segment_names = &segment_names,
                                            .attribute_names = &attribute_names };
    struct fv_definitions *definitions;
    int r;

    fv_map_init(&flag_names, memory);
    fv_map_init(&segment_names, memory);
    fv_map_init(&attribute_names, memory);
    r = fv_definitions_from_records(&source, closure->records, closure->names.count, &definitions,
                                    err);
    if (r == 0) {
        r = judge(definitions, &closure->records[0], err);
        fv_definitions_release(definitions);
    }
    fv_map_clear(&flag_names);
    fv_map_clear(&segment_names);
    fv_map_clear(&attribute_names);
    return r;
}

int fv_references_check(flagver_txn *txn, bool is_segment, const char *key, const char *json,
                        size_t length, struct fv_text *out, flagver_error *err)
{
    struct closure closure = { .txn = txn };
    const flagver_allocator *memory = fv_txn_source(txn)->memory;
    int r;

    fv_map_init(&closure.names, memory);
    need(&closure, !is_segment, key, NULL); /* itself */
    if (closure.failed)
        r = fv_fail_memory(err);
    else
        r = fv_definition_check(is_segment, key, strlen(key), json, length, out, need, &closure,
                                err);
    if (r == 0 && closure.names.count > 1) {
        closure.records[0].text = out->data;
        closure.records[0].length = out->length;
        r = follow(&closure, err);
        if (r == 0)
            r = compile_all(&closure, err);
    }
    fv_map_clear(&closure.names);
    fv_release(memory, closure.records);
    return r;
}

/* ---- removal ---- */

struct search {
    bool is_segment;
    const char *key;
    bool found;
};

static void compare(void *data, bool to_flag, const char *name, const char *variant)
{
    struct search *search = data;

    (void)variant;
    if (to_flag != search->is_segment && strcmp(name, search->key) == 0)
        search->found = true;
}

/* Only a text that has the name in it can refer to it; JSON may have escaped it. */
static bool may_refer(flagver_bytes payload, const char *key)
{
    return memmem(payload.data, payload.length, key, strlen(key)) ||
           memchr(payload.data, '\\', payload.length);
}

static int search_phase(flagver_txn *txn, const char *phase, struct search *search,
                        flagver_error *err)
{
    bool is_segment = strcmp(phase, FLAGVER_PHASE_SEGMENT) == 0;
    flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                            .pick = FLAGVER_PICK_CURRENT,
                            .phase = fv_bytes(phase),
                            .payload = true };
    flagver_cursor *cursor;
    flagver_version_row *version;
    flagver_row row;
    int r;

    r = fv_txn_scan(txn, &query, &cursor, err);
    if (r < 0)
        return r;
    while ((r = fv_txn_next(txn, cursor, &row, err)) > 0) {
        version = &row.as.version;
        if (version->bits & FLAGVER_VERSION_TOMBSTONE || !may_refer(version->payload, search->key))
            continue;
        fv_definition_check(is_segment, version->subject.data, version->subject.length,
                            version->payload.data, version->payload.length, NULL, compare, search,
                            NULL);
        if (!search->found)
            continue;
        r = fv_fail(err, FLAGVER_ESTATE, "%s \"%.256s\" is named by %s \"%.*s\"",
                    search->is_segment ? "segment" : "flag", search->key,
                    is_segment ? "segment" : "flag",
                    (int)(version->subject.length < 256 ? version->subject.length : 256),
                    (const char *)version->subject.data);
        break;
    }
    fv_txn_end_scan(txn, cursor);
    return r;
}

int fv_references_check_removal(flagver_txn *txn, bool is_segment, const char *key,
                                flagver_error *err)
{
    struct search search = { is_segment, key, false };
    int r = search_phase(txn, FLAGVER_PHASE_FLAG, &search, err);

    return r < 0 ? r : search_phase(txn, FLAGVER_PHASE_SEGMENT, &search, err);
}
