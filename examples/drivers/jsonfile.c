/*
 * A complete storage driver in one file, to read and to begin your own from. It
 * keeps everything in one JSON file, and is meant for that purpose and not for
 * much data: all of it is in memory, and every commit writes all of it.
 *
 *   - A state of the store is a JSON tree that never changes once others can see
 *     it. Whoever reads holds on to the tree it began with. `apply` works on a
 *     copy and takes it over at the end, so a batch that is refused leaves nothing.
 *   - commit writes the tree to PATH.new, syncs it and renames it to PATH: whoever
 *     looks sees the old file or the new one, also after a power cut.
 *   - The library lets one transaction write at a time (ONE_WRITER), and the file is
 *     locked for as long as the store is open: a second open gets FLAGVER_EBUSY. So
 *     there is nothing left that `lock` has to lock or wait for.
 *   - The library has checked the rules of a change (no RULES): refused is only what
 *     every driver has to refuse.
 *
 * The tree has a list of objects for each kind of row, in no order:
 *
 *     {"schema": 2, "series": [{"tenant", "phase", "subject", …}, …], "versions": […],
 *      "payloads": […], "items": […], "votes": […], "contributors": […],
 *      "leaves": […], "nodes": […], "heads": […], "keyed": […]}
 *
 * What there is to know of each kind stands in tables: of `fields` what its columns are, of
 * `kinds` what a change does, of `sources` where a query looks.
 *
 * Rows are found by looking at all of them, and memory comes from malloc, as it does
 * for jansson: a driver for more than a demonstration has indexes, and takes its own
 * memory from config->memory.
 */
#define _DEFAULT_SOURCE /* flock(), fsync() */
#include "jsonfile.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

struct flagver_store {
    char path[PATH_MAX], new_path[PATH_MAX + 4];
    pthread_mutex_t mutex; /* over what follows */
    json_t *state;         /* what the file holds; jansson counts who holds on to it */
    FILE *file;            /* PATH, open and locked */
};

struct flagver_driver_txn {
    flagver_store *store;
    json_t *before, *state; /* as it began, and with its changes */
    json_t *tenant;         /* its name */
};

struct flagver_cursor {
    json_t *state; /* what it goes through: a later apply makes another one */
    flagver_query query;
    json_t **hits;
    size_t count, at, limit;
    void *scratch[2]; /* bytes of the row that was yielded last */
};

static int fail(flagver_error *err, int code, const char *format, ...)
{
    va_list arguments;

    if (err) {
        memset(err, 0, sizeof *err);
        err->code = code;
        va_start(arguments, format);
        vsnprintf(err->message, sizeof err->message, format, arguments);
        va_end(arguments);
    }
    return code;
}

static int no_memory(flagver_error *err)
{
    return fail(err, FLAGVER_ENOMEM, "out of memory");
}

/* ---- rows and their JSON ---- */

/* A member of a row: its kind, its name in the JSON object, its place. FIXED are bytes too. */
struct field {
    enum { INTEGER, TEXT, BYTES, FIXED } kind;
    const char *name;
    size_t offset, size;
};

/* clang-format off */
#define NAMED(kind, row, member, name) \
    { kind, name, offsetof(flagver_##row##_row, member), sizeof(((flagver_##row##_row *)0)->member) }
#define FIELD(kind, row, member) NAMED(kind, row, member, #member)
#define END { INTEGER, NULL, 0, 0 }

static const struct field series_fields[] = {
    FIELD(TEXT, series, tenant), FIELD(TEXT, series, phase), FIELD(TEXT, series, subject),
    FIELD(FIXED, series, id), FIELD(INTEGER, series, last_no), FIELD(INTEGER, series, current_no),
    FIELD(INTEGER, series, rev), FIELD(INTEGER, series, changed_at), END
};

/* The first three are those of its series: they are read but not given. */
static const struct field version_fields[] = {
    FIELD(TEXT, version, tenant), FIELD(TEXT, version, phase), FIELD(TEXT, version, subject),
    FIELD(FIXED, version, series), FIELD(FIXED, version, id), FIELD(INTEGER, version, no),
    FIELD(INTEGER, version, parent_no), FIELD(INTEGER, version, base_no),
    FIELD(INTEGER, version, reverts_no), FIELD(INTEGER, version, superseded_by),
    FIELD(INTEGER, version, state), FIELD(INTEGER, version, bits), FIELD(INTEGER, version, rev),
    FIELD(INTEGER, version, created_at), FIELD(INTEGER, version, submitted_at),
    FIELD(INTEGER, version, decided_at), FIELD(INTEGER, version, superseded_at),
    FIELD(TEXT, version, created_by), FIELD(TEXT, version, decided_by), FIELD(TEXT, version, note),
    FIELD(FIXED, version, payload_id), FIELD(FIXED, version, content_hash), END
};

static const struct field payload_fields[] = {
    FIELD(FIXED, payload, id), FIELD(INTEGER, payload, key), FIELD(BYTES, payload, salt),
    FIELD(BYTES, payload, body), END
};

/* What is left of one that is shredded. */
static const struct field shredded_fields[] = { FIELD(FIXED, payload, id), END };

/* The same in the row of a version, and of an item. */
static const struct field version_payload_fields[] = {
    NAMED(INTEGER, version, payload_key, "key"), NAMED(BYTES, version, payload_salt, "salt"),
    NAMED(BYTES, version, payload, "body"), END
};

static const struct field item_payload_fields[] = {
    NAMED(INTEGER, item, payload_key, "key"), NAMED(BYTES, item, payload_salt, "salt"),
    NAMED(BYTES, item, payload, "body"), END
};

static const struct field item_fields[] = {
    FIELD(FIXED, item, series), FIELD(INTEGER, item, no), FIELD(TEXT, item, key),
    FIELD(INTEGER, item, status), FIELD(INTEGER, item, origin_no),
    FIELD(INTEGER, item, decided_at), FIELD(TEXT, item, decided_by), FIELD(TEXT, item, note),
    FIELD(FIXED, item, payload_id), FIELD(FIXED, item, hash), END
};

static const struct field vote_fields[] = {
    FIELD(FIXED, vote, series), FIELD(INTEGER, vote, no), FIELD(TEXT, vote, actor),
    FIELD(FIXED, vote, content_hash), FIELD(INTEGER, vote, time), FIELD(TEXT, vote, note), END
};

static const struct field contributor_fields[] = {
    FIELD(FIXED, contributor, series), FIELD(INTEGER, contributor, no),
    FIELD(TEXT, contributor, actor), END
};

static const struct field leaf_fields[] = {
    FIELD(TEXT, leaf, tenant), FIELD(INTEGER, leaf, no), FIELD(BYTES, leaf, leaf),
    FIELD(FIXED, leaf, hash), END
};

static const struct field node_fields[] = {
    FIELD(TEXT, node, tenant), FIELD(INTEGER, node, level), FIELD(INTEGER, node, index),
    FIELD(FIXED, node, hash), END
};

static const struct field log_fields[] = {
    FIELD(TEXT, log, tenant), FIELD(INTEGER, log, size), FIELD(BYTES, log, frontier), END
};

static const struct field keyed_fields[] = {
    FIELD(TEXT, keyed, tenant), FIELD(TEXT, keyed, space), FIELD(TEXT, keyed, key),
    FIELD(INTEGER, keyed, rev), FIELD(INTEGER, keyed, time), FIELD(BYTES, keyed, value), END
};

/* Of a row to delete only these are given. */
static const struct field key_fields[] = {
    FIELD(TEXT, keyed, space), FIELD(TEXT, keyed, key), END
};
/* clang-format on */

static json_t *hexadecimal(const uint8_t *bytes, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(2 * length + 1);
    json_t *json;
    size_t i;

    for (i = 0; hex && i < 2 * length; i++)
        hex[i] = digits[i % 2 ? bytes[i / 2] & 15 : bytes[i / 2] >> 4];
    json = hex ? json_stringn(hex, 2 * length) : NULL;
    free(hex);
    return json;
}

static void from_hexadecimal(const json_t *json, uint8_t *out, size_t length)
{
    const char *hex = json_string_value(json);
    size_t i;

    for (i = 0; i < length && 2 * i + 1 < json_string_length(json); i++)
        out[i] = (uint8_t)strtoul((char[]){ hex[2 * i], hex[2 * i + 1], '\0' }, NULL, 16);
}

static json_t *field_to_json(const struct field *field, const void *at)
{
    const flagver_bytes *bytes = at;

    if (field->kind == INTEGER)
        return json_integer(field->size == 4 ? *(const uint32_t *)at : *(const int64_t *)at);
    if (field->kind == FIXED)
        return hexadecimal(at, field->size);
    if (!bytes->data)
        return json_null();
    return field->kind == TEXT ? json_stringn(bytes->data, bytes->length)
                               : hexadecimal(bytes->data, bytes->length);
}

/* A row of this tenant; NULL: no memory. */
static json_t *to_json(const struct field *field, const void *row, json_t *tenant)
{
    json_t *json = json_object();
    int r = 0;

    for (; r == 0 && field->name; field++)
        r = json_object_set_new(json, field->name,
                                field_to_json(field, (const char *)row + field->offset));
    if (r == 0 && json_object_set(json, "tenant", tenant) == 0)
        return json;
    json_decref(json);
    return NULL;
}

/* What BYTES become is put into `scratch`, one after the other. */
static int from_json(const struct field *field, const json_t *json, void *row, void **scratch,
                     flagver_error *err)
{
    for (; field->name; field++) {
        const json_t *value = json_object_get(json, field->name);
        size_t length = json_string_length(value);
        void *at = (char *)row + field->offset;

        if (field->kind == INTEGER && field->size == 4)
            *(uint32_t *)at = (uint32_t)json_integer_value(value);
        else if (field->kind == INTEGER)
            *(int64_t *)at = json_integer_value(value);
        else if (field->kind == FIXED)
            from_hexadecimal(value, at, field->size);
        else if (field->kind == TEXT)
            *(flagver_bytes *)at = (flagver_bytes){ json_string_value(value), length };
        else if (json_is_string(value)) {
            free(*scratch);
            *scratch = malloc(length / 2 + 1);
            if (!*scratch)
                return no_memory(err);
            from_hexadecimal(value, *scratch, length / 2);
            *(flagver_bytes *)at = (flagver_bytes){ *scratch++, length / 2 };
        }
    }
    return 0;
}

static json_int_t number(const json_t *row, const char *name)
{
    return json_integer_value(json_object_get(row, name));
}

static flagver_bytes text(const json_t *row, const char *name)
{
    const json_t *value = json_object_get(row, name);

    return (flagver_bytes){ json_string_value(value), json_string_length(value) };
}

/* By bytes: < 0, 0 or > 0. */
static int compare(flagver_bytes a, flagver_bytes b)
{
    size_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, common) : 0;

    return order ? order : (a.length > b.length) - (a.length < b.length);
}

/* NULL stands for any member. */
static bool same(const json_t *a, const json_t *b, const char *name)
{
    return !name || json_equal(json_object_get(a, name), json_object_get(b, name));
}

/* By so many members a row is found, or fewer. */
#define NAMES 4

/* Where in the list the row is that has these in common with `like`; its size: none has. */
static size_t find(const json_t *rows, const char *const names[NAMES], const json_t *like)
{
    const json_t *row;
    size_t at;

    for (at = 0; (row = json_array_get(rows, at)); at++)
        if (same(row, like, names[0]) && same(row, like, names[1]) && same(row, like, names[2]) &&
            same(row, like, names[3]))
            break;
    return at;
}

/* The first row of the list with this member; NULL: none has it. */
static json_t *with(const json_t *state, const char *list, const char *name, const json_t *value)
{
    json_t *row;
    size_t at = 0;

    while ((row = json_array_get(json_object_get(state, list), at)) &&
           !json_equal(json_object_get(row, name), value))
        at++;
    return row;
}

static json_t *with_id(const json_t *state, const char *list, const json_t *id)
{
    return with(state, list, "id", id);
}

static uint64_t log_size(const json_t *state, const json_t *tenant)
{
    const json_t *row;
    uint64_t size = 0;
    size_t at;

    for (at = 0; (row = json_array_get(json_object_get(state, "leaves"), at)); at++)
        size += json_equal(json_object_get(row, "tenant"), tenant) != 0;
    return size;
}

/* ---- the file ---- */

/* Is PATH our file, and not gone or another one? The mutex is held, or not needed yet. */
static int check_place(const flagver_store *store, flagver_error *err)
{
    struct stat there, ours;

    if (stat(store->path, &there) == 0 && fstat(fileno(store->file), &ours) == 0 &&
        there.st_dev == ours.st_dev && there.st_ino == ours.st_ino)
        return 0;
    return fail(err, FLAGVER_EUNAVAILABLE, "%s is gone or was replaced", store->path);
}

/* The newest state, to be given back by json_decref(). */
static int hold(flagver_store *store, json_t **ret_state, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&store->mutex);
    r = check_place(store, err);
    if (r == 0)
        *ret_state = json_incref(store->state);
    pthread_mutex_unlock(&store->mutex);
    return r;
}

/* A rename survives a power cut once the directory is on the disk too. */
static int sync_directory(const flagver_store *store)
{
    char path[PATH_MAX];
    int fd, r;

    strcpy(path, store->path);
    fd = open(dirname(path), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    r = fsync(fd);
    close(fd);
    return r;
}

/* Write this tree to a file that is locked before it is seen at PATH; NULL: `err` says why. */
static FILE *write_file(const flagver_store *store, const json_t *state, flagver_error *err)
{
    FILE *file = fopen(store->new_path, "we");

    if (file && flock(fileno(file), LOCK_EX | LOCK_NB) == 0 &&
        json_dumpf(state, file, JSON_COMPACT) == 0 && fflush(file) == 0 && fsync(fileno(file)) == 0)
        return file;
    fail(err, FLAGVER_EUNAVAILABLE, "%s: %s", store->new_path, strerror(errno));
    if (file)
        fclose(file);
    return NULL;
}

/* Make `state` what the store holds, if that is still `before`. The mutex is held. */
static int replace(flagver_store *store, const json_t *before, json_t *state, flagver_error *err)
{
    FILE *file;

    if (store->state != before)
        return fail(err, FLAGVER_EBUSY, "%s: somebody else was faster", store->path);
    file = write_file(store, state, err);
    if (!file)
        return FLAGVER_EUNAVAILABLE;
    /* What was put in our place meanwhile is not ours to replace. */
    if (check_place(store, err) < 0 || rename(store->new_path, store->path) < 0) {
        fclose(file);
        return fail(err, FLAGVER_EUNAVAILABLE, "%s is not to be replaced", store->path);
    }
    fclose(store->file);
    store->file = file;
    json_decref(store->state);
    store->state = json_incref(state);
    /* Others see it now; what cannot be told is whether it lasts. */
    if (sync_directory(store) < 0)
        return fail(err, FLAGVER_EUNKNOWN, "%s: %s", store->path, strerror(errno));
    return 0;
}

static int save(flagver_store *store, const json_t *before, json_t *state, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&store->mutex);
    r = replace(store, before, state, err);
    pthread_mutex_unlock(&store->mutex);
    return r;
}

/* ---- schema: the lists that there are, by the version they came with ---- */

static const struct {
    const char *name;
    uint32_t since;
} lists[] = {
    { "series", 1 }, { "versions", 1 }, { "payloads", 1 },     { "leaves", 1 }, { "keyed", 1 },
    { "items", 2 },  { "votes", 2 },    { "contributors", 2 }, { "nodes", 2 },  { "heads", 2 },
};

#define LISTS (sizeof lists / sizeof *lists)

/* This state with the lists of another version; what both have is kept. NULL: no memory. */
static json_t *with_schema(json_t *state, uint32_t version)
{
    json_t *fresh = json_copy(state);
    int r = json_object_set_new(fresh, "schema", json_integer((json_int_t)version));
    size_t i;

    for (i = 0; i < LISTS && r == 0; i++)
        if (lists[i].since > version)
            json_object_del(fresh, lists[i].name);
        else if (!json_object_get(fresh, lists[i].name))
            r = json_object_set_new(fresh, lists[i].name, json_array());
    if (r == 0)
        return fresh;
    json_decref(fresh);
    return NULL;
}

static int schema_migrate(flagver_store *store, uint32_t to, flagver_error *err)
{
    json_t *state, *fresh;
    int r;

    if (to > FLAGVER_SCHEMA_VERSION)
        return fail(err, FLAGVER_ESCHEMA, "there is no version %u of the schema; 0 to %u are known",
                    (unsigned)to, FLAGVER_SCHEMA_VERSION);
    r = hold(store, &state, err);
    if (r < 0)
        return r;
    fresh = with_schema(state, to);
    if (!fresh)
        r = no_memory(err);
    else if (number(state, "schema") != (json_int_t)to)
        r = save(store, state, fresh, err);
    json_decref(fresh);
    json_decref(state);
    return r;
}

static int schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err)
{
    json_t *state;
    int r = hold(store, &state, err);

    if (r < 0)
        return r;
    *ret_version = (uint32_t)number(state, "schema");
    json_decref(state);
    return 0;
}

static int schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                         void (*checked)(void *data, const char *line), void *data,
                         flagver_error *err)
{
    char line[64];
    json_t *state;
    size_t i;
    int r = hold(store, &state, err);

    if (r < 0)
        return r;
    for (i = 0; i < LISTS; i++) {
        bool fine = json_is_array(json_object_get(state, lists[i].name));

        snprintf(line, sizeof line, "list \"%s\"%s", lists[i].name, fine ? "" : " is missing");
        if (fine ? checked != NULL : found != NULL)
            (fine ? checked : found)(data, line);
    }
    json_decref(state);
    return 0;
}

/* ---- opening and closing ---- */

/* The lock is given back aloud, because a child of ours may have a copy of the descriptor. */
static void close_store(flagver_store *store)
{
    if (store->file) {
        flock(fileno(store->file), LOCK_UN);
        fclose(store->file);
    }
    json_decref(store->state);
    pthread_mutex_destroy(&store->mutex);
    free(store);
}

/*
 * The child of a fork closes its copy of the descriptor; the lock stays with the
 * parent, whose own is open. A thread that is not there in the child may have been
 * inside the mutex or the tree, so memory is left alone.
 */
static void abandon(flagver_store *store)
{
    close(fileno(store->file));
}

/* The file's tree; of one that was just made, and is empty, that of no schema. */
static int load(flagver_store *store, flagver_error *err)
{
    json_error_t words = { .text = "" };
    struct stat file;
    int r;

    r = check_place(store, err); /* it may have been replaced before we had the lock */
    if (r < 0)
        return r;
    if (fstat(fileno(store->file), &file) == 0 && file.st_size == 0)
        store->state = json_pack("{s:i}", "schema", 0);
    else
        store->state = json_loadf(store->file, JSON_REJECT_DUPLICATES, &words);
    if (!json_is_integer(json_object_get(store->state, "schema")))
        return fail(err, FLAGVER_ECORRUPT, "%s is no store: %s", store->path, words.text);
    if (number(store->state, "schema") > FLAGVER_SCHEMA_VERSION)
        return fail(err, FLAGVER_ESCHEMA, "%s has a newer schema than %u", store->path,
                    FLAGVER_SCHEMA_VERSION);
    return 0;
}

static int open_store(const flagver_driver_config *config, flagver_store **ret_store,
                      flagver_error *err)
{
    bool upgrades = !config->read_only && !config->no_upgrade;
    bool creates = upgrades && !config->no_create;
    flagver_store *store = calloc(1, sizeof *store);
    int r = 0;

    if (!store)
        return no_memory(err);
    pthread_mutex_init(&store->mutex, NULL);
    snprintf(store->path, sizeof store->path, "%s", config->path);
    snprintf(store->new_path, sizeof store->new_path, "%s.new", store->path);
    if (strcmp(store->path, config->path) == 0)
        store->file = fopen(store->path, creates ? "a+e" : "re");
    else
        errno = ENAMETOOLONG;
    if (!store->file)
        r = fail(err, errno == ENOENT ? FLAGVER_ENOTFOUND : FLAGVER_EUNAVAILABLE, "%s: %s",
                 config->path, strerror(errno));
    else if (flock(fileno(store->file), LOCK_EX | LOCK_NB) < 0)
        r = fail(err, FLAGVER_EBUSY, "%s is open elsewhere", store->path);
    if (r == 0)
        r = load(store, err);
    if (r == 0 && upgrades && number(store->state, "schema") < FLAGVER_SCHEMA_VERSION)
        r = schema_migrate(store, FLAGVER_SCHEMA_VERSION, err);
    if (r < 0) {
        close_store(store);
        return r;
    }
    *ret_store = store;
    return 0;
}

static int ping(flagver_store *store, flagver_error *err)
{
    uint32_t version;

    return schema_version(store, &version, err);
}

static int describe(flagver_store *store, char *buffer, size_t size, flagver_error *err)
{
    json_t *json = json_pack("{s:s, s:s}", "driver", "jsonfile", "path", store->path);
    size_t length = json ? json_dumpb(json, buffer, size, 0) : 0;

    json_decref(json);
    if (length == 0 || length >= size)
        return fail(err, FLAGVER_EINVAL, "no room for %zu bytes; %zu are there", length + 1, size);
    buffer[length] = '\0';
    return 0;
}

/* ---- changes ---- */

static const char *const by_id[NAMES] = { "id" }, *const by_own_id[NAMES] = { "tenant", "id" };
static const char *const by_name[NAMES] = { "tenant", "phase", "subject" };
static const char *const by_number[NAMES] = { "series", "no" };
static const char *const by_item[NAMES] = { "series", "no", "key" };
static const char *const by_vote[NAMES] = { "series", "no", "actor", "content_hash" };
static const char *const by_actor[NAMES] = { "series", "no", "actor" };
static const char *const by_leaf[NAMES] = { "tenant", "no" };
static const char *const by_node[NAMES] = { "tenant", "level", "index" };
static const char *const by_tenant[NAMES] = { "tenant" };
static const char *const by_key[NAMES] = { "tenant", "space", "key" };

/* Where the row of a change goes, what is given, by what it is found; what has to be there. */
static const struct kind {
    const char *list;
    const struct field *fields;
    const char *const *names;
    enum { ANYTHING, NOTHING, SOMETHING } there;
    enum { EXPECTS = 1, DELETES = 2 } does; /* looks at `expect`, takes the row away */
} kinds[] = {
    [FLAGVER_CHANGE_SERIES] = { "series", series_fields, by_name, ANYTHING, EXPECTS },
    [FLAGVER_CHANGE_PAYLOAD] = { "payloads", payload_fields, by_id, NOTHING, 0 },
    [FLAGVER_CHANGE_SHRED] = { "payloads", shredded_fields, by_own_id, SOMETHING, 0 },
    [FLAGVER_CHANGE_VERSION_NEW] = { "versions", version_fields + 3, by_number, NOTHING, 0 },
    [FLAGVER_CHANGE_VERSION_CHANGE] = { "versions", version_fields + 3, by_number, SOMETHING,
                                        EXPECTS },
    [FLAGVER_CHANGE_ITEM] = { "items", item_fields, by_item, ANYTHING, 0 },
    [FLAGVER_CHANGE_ITEM_DELETE] = { "items", item_fields, by_item, SOMETHING, DELETES },
    [FLAGVER_CHANGE_VOTE] = { "votes", vote_fields, by_vote, NOTHING, 0 },
    [FLAGVER_CHANGE_CONTRIBUTOR] = { "contributors", contributor_fields, by_actor, NOTHING, 0 },
    [FLAGVER_CHANGE_LEAF] = { "leaves", leaf_fields, by_leaf, NOTHING, 0 },
    [FLAGVER_CHANGE_NODE] = { "nodes", node_fields, by_node, NOTHING, 0 },
    [FLAGVER_CHANGE_HEAD] = { "heads", log_fields, by_tenant, ANYTHING, 0 },
    [FLAGVER_CHANGE_KEYED] = { "keyed", keyed_fields, by_key, ANYTHING, EXPECTS },
    [FLAGVER_CHANGE_KEYED_DELETE] = { "keyed", key_fields, by_key, ANYTHING, EXPECTS | DELETES },
};

/* What is of a series is stored with its names, and comes in their order. */
static int add_names(const json_t *state, json_t *row, flagver_error *err)
{
    json_t *series = with_id(state, "series", json_object_get(row, "series"));

    if (!series)
        return fail(err, FLAGVER_ECORRUPT, "the series of a version is not there");
    if (json_object_set(row, "phase", json_object_get(series, "phase")) < 0 ||
        json_object_set(row, "subject", json_object_get(series, "subject")) < 0)
        return no_memory(err);
    return 0;
}

/* What no driver lets through. */
static int check(const json_t *state, const flagver_change *change, const json_t *fresh,
                 const json_t *present, flagver_error *err)
{
    const struct kind *kind = &kinds[change->kind];
    int64_t rev = present ? number(present, "rev") : 0;
    const json_t *id = json_object_get(fresh, "id"), *tenant = json_object_get(fresh, "tenant");

    if (kind->does & EXPECTS && change->expect != FLAGVER_EXPECT_ANY && change->expect != rev)
        return fail(err, FLAGVER_ECONFLICT, "the row has rev %lld and not %lld", (long long)rev,
                    (long long)change->expect);
    if (kind->there == SOMETHING && !present)
        return fail(err, FLAGVER_ECORRUPT, "a row of \"%s\" is not there", kind->list);
    if ((present && kind->there == NOTHING) || (id && with_id(state, kind->list, id) != present))
        return fail(err, FLAGVER_ECORRUPT, "a row of \"%s\" is there already", kind->list);
    if ((change->kind == FLAGVER_CHANGE_LEAF && change->row.leaf->no != log_size(state, tenant)) ||
        (change->kind == FLAGVER_CHANGE_HEAD && change->row.head->size != log_size(state, tenant)))
        return fail(err, FLAGVER_ECORRUPT, "a leaf or head that is not at the end of the log");
    return 0;
}

static int make_change(json_t *state, json_t *tenant, const flagver_change *change,
                       flagver_error *err)
{
    const struct kind *kind = &kinds[change->kind];
    json_t *rows = json_object_get(state, kind->list), *fresh, *present;
    size_t at;
    int r;

    fresh = to_json(kind->fields, change->row.series, tenant); /* or whichever member it is */
    if (!fresh)
        return no_memory(err);
    at = find(rows, kind->names, fresh);
    present = json_array_get(rows, at);
    r = check(state, change, fresh, present, err);
    if (r == 0 && json_object_get(fresh, "series"))
        r = add_names(state, fresh, err);
    if (r == 0 && kind->does & DELETES)
        json_array_remove(rows, at); /* where nothing is, nothing happens */
    else if (r == 0 && (present ? json_array_set(rows, at, fresh) : json_array_append(rows, fresh)))
        r = no_memory(err);
    json_decref(fresh);
    return r;
}

static void expire(json_t *state, const json_t *tenant, const flagver_keyed_row *older)
{
    json_t *rows = json_object_get(state, "keyed"), *row;
    size_t at = 0, deleted = 0;

    while (deleted < 1000 && (row = json_array_get(rows, at)))
        if (json_equal(json_object_get(row, "tenant"), tenant) &&
            compare(text(row, "space"), older->space) == 0 && number(row, "time") < older->time)
            deleted += json_array_remove(rows, at) == 0;
        else
            at++;
}

static int apply(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                 flagver_error *err)
{
    json_t *state = json_deep_copy(txn->state);
    int r = state ? 0 : no_memory(err);
    size_t i;

    for (i = 0; i < count && r == 0; i++)
        if (changes[i].kind == FLAGVER_CHANGE_KEYED_EXPIRE)
            expire(state, txn->tenant, changes[i].row.keyed);
        else
            r = make_change(state, txn->tenant, &changes[i], err);
    if (r < 0) {
        json_decref(state);
        return r;
    }
    json_decref(txn->state);
    txn->state = state;
    return 0;
}

/* ---- queries: take the rows that are wanted, put them in order ---- */

/* Where the rows of a query are, what they look like, and what of a payload belongs to them. */
static const struct {
    const char *list;
    const struct field *fields, *payload_fields;
} sources[] = {
    [FLAGVER_QUERY_VERSIONS] = { "versions", version_fields, version_payload_fields },
    [FLAGVER_QUERY_VERSION] = { "versions", version_fields, version_payload_fields },
    [FLAGVER_QUERY_SERIES] = { "series", series_fields, NULL },
    [FLAGVER_QUERY_LEAVES] = { "leaves", leaf_fields, NULL },
    [FLAGVER_QUERY_KEYED] = { "keyed", keyed_fields, NULL },
    [FLAGVER_QUERY_TENANTS] = { "series", NULL, NULL }, /* and leaves */
    [FLAGVER_QUERY_ITEMS] = { "items", item_fields, item_payload_fields },
    [FLAGVER_QUERY_VOTES] = { "votes", vote_fields, NULL },
    [FLAGVER_QUERY_CONTRIBUTORS] = { "contributors", contributor_fields, NULL },
    [FLAGVER_QUERY_NODES] = { "nodes", node_fields, NULL },
    [FLAGVER_QUERY_LOG] = { "leaves", NULL, NULL }, /* the last one, and the head */
};

static bool in_force(const json_t *version, int64_t time)
{
    json_int_t state = number(version, "state"), until = number(version, "superseded_at");

    if (state == FLAGVER_STATE_RECORDED)
        return number(version, "created_at") <= time;
    return (state == FLAGVER_STATE_APPROVED || state == FLAGVER_STATE_SUPERSEDED) &&
           number(version, "decided_at") <= time && (until == 0 || until > time);
}

static bool picked(const json_t *state, const json_t *version, const flagver_query *query)
{
    json_int_t no = number(version, "no");
    const json_t *series;

    switch (query->pick) {
    case FLAGVER_PICK_CURRENT:
        series = with_id(state, "series", json_object_get(version, "series"));
        return no == number(series, "current_no");
    case FLAGVER_PICK_AS_OF:
        return in_force(version, query->time);
    case FLAGVER_PICK_NUMBER:
        return no == query->no;
    default:
        return query->after_no == 0 ||
               (query->backwards ? no < query->after_no : no > query->after_no);
    }
}

/* Is the row within what the query says about names? `outer` none: any. */
static bool named(const json_t *row, const flagver_query *query, const char *outer_name,
                  flagver_bytes outer, const char *inner_name)
{
    flagver_bytes name = text(row, inner_name);
    int after = compare(name, query->after);

    if (outer.data && compare(text(row, outer_name), outer) != 0)
        return false;
    if (query->after.data && (query->backwards ? after >= 0 : after <= 0))
        return false;
    if (query->prefix && name.length > query->subject.length)
        name.length = query->subject.length;
    return !query->subject.data || compare(name, query->subject) == 0;
}

static bool is_id(const json_t *row, const char *name, const flagver_id *wanted)
{
    flagver_id id = { { 0 } };

    from_hexadecimal(json_object_get(row, name), id.bytes, sizeof id.bytes);
    return memcmp(&id, wanted, sizeof id) == 0;
}

/* Does it belong to the version, or to any of the series, or are all series asked for? */
static bool belongs(const json_t *row, const flagver_query *query)
{
    static const flagver_id all;

    return (memcmp(&query->id, &all, sizeof all) == 0 || is_id(row, "series", &query->id)) &&
           (query->no == 0 || number(row, "no") == query->no);
}

static bool wanted(const json_t *state, const json_t *row, const flagver_query *query)
{
    switch (query->kind) {
    case FLAGVER_QUERY_VERSIONS:
        return (query->states == 0 || query->states >> number(row, "state") & 1) &&
               named(row, query, "phase", query->phase, "subject") && picked(state, row, query);
    case FLAGVER_QUERY_VERSION:
        return is_id(row, "id", &query->id);
    case FLAGVER_QUERY_SERIES:
        return named(row, query, "phase", query->phase, "subject");
    case FLAGVER_QUERY_LEAVES:
        return (uint64_t)number(row, "no") >= query->from;
    case FLAGVER_QUERY_KEYED:
        return named(row, query, "space", query->space, "key") &&
               (query->time == 0 || number(row, "time") < query->time);
    case FLAGVER_QUERY_ITEMS:
        return belongs(row, query) && named(row, query, "", (flagver_bytes){ NULL, 0 }, "key");
    case FLAGVER_QUERY_VOTES:
    case FLAGVER_QUERY_CONTRIBUTORS:
        return belongs(row, query);
    case FLAGVER_QUERY_NODES:
        return number(row, "level") == query->no && (uint64_t)number(row, "index") >= query->from;
    default:
        return true;
    }
}

/* By what rows are sorted. Where there is no such member, or all have the same, it does not matter. */
static int by_order(const void *a, const void *b)
{
    static const char *const names[] = { "tenant", "phase", "subject", "no",
                                         "key",    "time",  "actor",   "index" };
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    int order = 0;
    size_t i;

    for (i = 0; i < sizeof names / sizeof *names && order == 0; i++) {
        json_int_t value = number(left, names[i]), other = number(right, names[i]);

        order = compare(text(left, names[i]), text(right, names[i]));
        if (order == 0)
            order = (value > other) - (value < other);
    }
    return order;
}

static void collect(flagver_cursor *cursor, const char *list, const json_t *tenant)
{
    json_t *row;
    size_t at;

    for (at = 0; (row = json_array_get(json_object_get(cursor->state, list), at)); at++)
        if ((!tenant || json_equal(json_object_get(row, "tenant"), tenant)) &&
            wanted(cursor->state, row, &cursor->query))
            cursor->hits[cursor->count++] = row;
}

/* Of neighbours that have this in common the last one stays. */
static void last_of_each(flagver_cursor *cursor, const char *name)
{
    size_t from, to = 0;

    for (from = 0; from < cursor->count; from++)
        if (from + 1 == cursor->count || !same(cursor->hits[from], cursor->hits[from + 1], name))
            cursor->hits[to++] = cursor->hits[from];
    cursor->count = to;
}

static void end_scan(flagver_cursor *cursor)
{
    json_decref(cursor->state);
    free(cursor->hits);
    free(cursor->scratch[0]);
    free(cursor->scratch[1]);
    free(cursor);
}

static int scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                flagver_error *err)
{
    bool tenants = query->kind == FLAGVER_QUERY_TENANTS;
    flagver_cursor *cursor;

    cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return no_memory(err);
    cursor->query = *query;
    cursor->state = json_incref(txn->state);
    cursor->hits = calloc(json_array_size(json_object_get(txn->state, sources[query->kind].list)) +
                              json_array_size(json_object_get(txn->state, "leaves")) + 1,
                          sizeof *cursor->hits);
    if (!cursor->hits) {
        end_scan(cursor);
        return no_memory(err);
    }
    collect(cursor, sources[query->kind].list, tenants ? NULL : txn->tenant);
    if (tenants)
        collect(cursor, "leaves", NULL);
    qsort(cursor->hits, cursor->count, sizeof *cursor->hits, by_order);
    if (tenants || query->kind == FLAGVER_QUERY_LOG)
        last_of_each(cursor, "tenant");
    else if (query->kind == FLAGVER_QUERY_VERSIONS && query->pick == FLAGVER_PICK_AS_OF)
        last_of_each(cursor, "series"); /* of recorded versions the highest is in force */
    cursor->limit = query->limit && query->limit < cursor->count ? query->limit : cursor->count;
    *ret_cursor = cursor;
    return 0;
}

/* The log that ends with this leaf. */
static int get_log(flagver_cursor *cursor, const json_t *last, flagver_log_row *row,
                   flagver_error *err)
{
    const json_t *head = with(cursor->state, "heads", "tenant", json_object_get(last, "tenant"));
    int r = from_json(log_fields, head, row, cursor->scratch, err);

    row->tenant = text(last, "tenant");
    row->size = (uint64_t)number(last, "no") + 1;
    return r;
}

static int get_row(flagver_cursor *cursor, const json_t *hit, flagver_row *row, flagver_error *err)
{
    int32_t kind = cursor->query.kind;
    const struct field *payload = cursor->query.payload ? sources[kind].payload_fields : NULL;
    int r;

    if (kind == FLAGVER_QUERY_LOG)
        return get_log(cursor, hit, &row->as.log, err);
    if (kind == FLAGVER_QUERY_TENANTS) {
        row->as.tenant = text(hit, "tenant");
        return 0;
    }
    r = from_json(sources[kind].fields, hit, &row->as, cursor->scratch, err);
    if (r < 0 || !payload)
        return r;
    return from_json(payload,
                     with_id(cursor->state, "payloads", json_object_get(hit, "payload_id")),
                     &row->as, cursor->scratch, err);
}

static int next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err)
{
    flagver_row row;
    json_t *hit;
    int r;

    if (cursor->at == cursor->limit)
        return 0;
    hit = cursor->hits[cursor->query.backwards ? cursor->count - 1 - cursor->at : cursor->at];
    memset(&row, 0, sizeof row);
    r = get_row(cursor, hit, &row, err);
    if (r < 0)
        return r;
    cursor->at++;
    *ret_row = row;
    return 1;
}

/* ---- transactions ---- */

static void end(flagver_driver_txn *txn)
{
    json_decref(txn->before);
    json_decref(txn->state);
    json_decref(txn->tenant);
    free(txn);
}

/* Readers and the writer alike begin with the newest state. */
static int begin(flagver_store *store, flagver_bytes tenant, int mode, flagver_driver_txn **ret_txn,
                 flagver_error *err)
{
    flagver_driver_txn *txn = calloc(1, sizeof *txn);
    int r;

    (void)mode;
    if (!txn)
        return no_memory(err);
    txn->store = store;
    txn->tenant = json_stringn(tenant.data ? tenant.data : "", tenant.length);
    r = txn->tenant ? hold(store, &txn->before, err) : no_memory(err);
    if (r == 0 && number(txn->before, "schema") < FLAGVER_SCHEMA_VERSION)
        r = fail(err, FLAGVER_ESCHEMA, "%s has schema %d; %u is needed", store->path,
                 (int)number(txn->before, "schema"), FLAGVER_SCHEMA_VERSION);
    if (r < 0) {
        end(txn);
        return r;
    }
    txn->state = json_incref(txn->before);
    *ret_txn = txn;
    return 0;
}

static int commit(flagver_driver_txn *txn, flagver_error *err)
{
    int r = txn->state == txn->before ? 0 : save(txn->store, txn->before, txn->state, err);

    end(txn);
    return r;
}

/* What commit could not tell is whether the directory is on the disk. */
static int outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                   bool *ret_committed, flagver_error *err)
{
    flagver_driver_txn *txn;
    json_t *like, *rows;
    int r;

    if (sync_directory(store) < 0)
        return fail(err, FLAGVER_EUNAVAILABLE, "%s: %s", store->path, strerror(errno));
    r = begin(store, tenant, FLAGVER_MODE_READ, &txn, err);
    if (r < 0)
        return r;
    rows = json_object_get(txn->state, "keyed");
    like = to_json(key_fields, &(flagver_keyed_row){ .space = { "request", 7 }, .key = key },
                   txn->tenant);
    if (like)
        *ret_committed = find(rows, kinds[FLAGVER_CHANGE_KEYED].names, like) <
                         json_array_size(rows);
    else
        r = no_memory(err);
    json_decref(like);
    end(txn);
    return r;
}

/* Nobody else writes; what is left is to read. */
static int lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                flagver_error *err)
{
    json_t *rows = json_object_get(txn->state, "series"), *like, *present;
    size_t i;

    (void)try_only;
    for (i = 0; i < count; i++) {
        like = to_json(series_fields, &series[i], txn->tenant);
        if (!like)
            return no_memory(err);
        present = json_array_get(rows, find(rows, by_name, like));
        json_decref(like);
        if (present)
            from_json(series_fields + 3, present, &series[i], NULL, err);
        else
            series[i].rev = 0;
    }
    return 0;
}

static int lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err)
{
    (void)err;
    *ret_size = log_size(txn->state, txn->tenant);
    return 0;
}

static int changes(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err)
{
    flagver_driver_txn *txn;
    int r = begin(store, tenant, FLAGVER_MODE_READ, &txn, err);

    if (r < 0)
        return r;
    *ret_size = log_size(txn->state, txn->tenant);
    end(txn);
    return 0;
}

const flagver_driver jsonfile_driver = {
    .abi = FLAGVER_DRIVER_ABI,
    .size = sizeof(flagver_driver),
    .name = "jsonfile",
    .capabilities = FLAGVER_DRIVER_DURABLE | FLAGVER_DRIVER_ONE_WRITER |
                    FLAGVER_DRIVER_SELF_UPGRADE,
    .open = open_store,
    .close = close_store,
    .abandon = abandon,
    .ping = ping,
    .describe = describe,
    .schema_version = schema_version,
    .schema_migrate = schema_migrate,
    .schema_verify = schema_verify,
    .begin = begin,
    .commit = commit,
    .rollback = end,
    .outcome = outcome,
    .lock = lock,
    .lock_log = lock_log,
    .apply = apply,
    .scan = scan,
    .next = next,
    .end_scan = end_scan,
    .changes = changes,
};
