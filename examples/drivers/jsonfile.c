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
 *   - A writer holds a lock on PATH.lock from begin to end. There is one at a time
 *     in all processes, so the driver says ONE_WRITER and `lock` need not wait.
 *   - The file that was read stays open. When PATH is another inode, there is
 *     another state: no new file gets the number of an inode that is in use.
 *
 * The tree has a list of objects for each kind of row, in no order:
 *
 *     {"flagver": ID, "schema": 1, "series": [{"tenant", "phase", "subject", …}, …],
 *      "versions": […], "payloads": […], "leaves": […], "keyed": […]}
 *
 * Rows are found by looking at all of them, and memory comes from malloc, as it does
 * for jansson: a driver for more than a demonstration has indexes, and takes its own
 * memory from config->memory.
 */
#define _DEFAULT_SOURCE /* flock(), fsync(), getentropy() */
#include "jsonfile.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct flagver_store {
    char *path, *new_path, *lock_path;
    int32_t wait_ms;
    bool read_only;
    int lock; /* of the transaction that writes; -1: none does */

    pthread_mutex_t mutex; /* over what follows */
    json_t *state;         /* the newest that we have seen */
    int file;              /* what it was read from */
};

struct flagver_driver_txn {
    flagver_store *store;
    json_t *state;
    json_t *tenant; /* its name */
    bool writes, changed;
};

struct flagver_cursor {
    flagver_store *store;
    json_t *state; /* what it goes through: a later apply makes another one */
    const struct field *fields;
    bool payload, backwards;
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

static int fail_errno(flagver_error *err, int code, const char *path)
{
    int number = errno;

    fail(err, code, "%s: %s", path, strerror(number));
    if (err)
        err->native = number;
    return code;
}

static int no_memory(flagver_error *err)
{
    return fail(err, FLAGVER_ENOMEM, "out of memory");
}

/* ---- rows and their JSON ---- */

/* A member of a row: its kind, its place, and its name in the JSON object. */
struct field {
    const char *name;
    enum { INT32, INT64, TEXT, BYTES, ID, HASH } kind;
    size_t offset;
};

/* clang-format off */
#define FIELD(row, name, kind) { #name, kind, offsetof(flagver_##row##_row, name) }
#define NO_MORE { NULL, TEXT, 0 }
/* clang-format on */

static const struct field series_fields[] = {
    FIELD(series, tenant, TEXT), FIELD(series, phase, TEXT),       FIELD(series, subject, TEXT),
    FIELD(series, id, ID),       FIELD(series, last_no, INT32),    FIELD(series, current_no, INT32),
    FIELD(series, rev, INT64),   FIELD(series, changed_at, INT64), NO_MORE,
};

/* As many as the names of a series, with which both rows begin. */
#define NAMES 3

/* The names are the series': they are read but not written. */
static const struct field version_fields[] = {
    FIELD(version, tenant, TEXT),
    FIELD(version, phase, TEXT),
    FIELD(version, subject, TEXT),
    FIELD(version, series, ID),
    FIELD(version, id, ID),
    FIELD(version, no, INT32),
    FIELD(version, parent_no, INT32),
    FIELD(version, base_no, INT32),
    FIELD(version, reverts_no, INT32),
    FIELD(version, superseded_by, INT32),
    FIELD(version, state, INT32),
    FIELD(version, bits, INT32),
    FIELD(version, rev, INT64),
    FIELD(version, created_at, INT64),
    FIELD(version, submitted_at, INT64),
    FIELD(version, decided_at, INT64),
    FIELD(version, superseded_at, INT64),
    FIELD(version, created_by, TEXT),
    FIELD(version, decided_by, TEXT),
    FIELD(version, note, TEXT),
    FIELD(version, payload_id, ID),
    FIELD(version, content_hash, HASH),
    NO_MORE,
};

static const struct field payload_fields[] = {
    FIELD(payload, id, ID),
    FIELD(payload, key, INT32),
    FIELD(payload, salt, BYTES),
    FIELD(payload, body, BYTES),
    NO_MORE,
};

static const struct field leaf_fields[] = {
    FIELD(leaf, tenant, TEXT),
    FIELD(leaf, no, INT64),
    FIELD(leaf, leaf, BYTES),
    FIELD(leaf, hash, HASH),
    NO_MORE,
};

static const struct field keyed_fields[] = {
    FIELD(keyed, tenant, TEXT),
    FIELD(keyed, space, TEXT),
    FIELD(keyed, key, TEXT),
    FIELD(keyed, rev, INT64),
    FIELD(keyed, time, INT64),
    FIELD(keyed, value, BYTES),
    NO_MORE,
};

static json_t *hexadecimal(const void *data, size_t length)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *byte = data;
    char *hex = malloc(2 * length + 1);
    json_t *json;
    size_t i;

    for (i = 0; hex && i < length; i++) {
        hex[2 * i] = digits[byte[i] >> 4];
        hex[2 * i + 1] = digits[byte[i] & 15];
    }
    json = hex ? json_stringn(hex, 2 * length) : NULL;
    free(hex);
    return json;
}

static uint8_t digit(char c)
{
    return (uint8_t)(c >= 'a' ? c - 'a' + 10 : c - '0');
}

static void from_hexadecimal(const json_t *json, uint8_t *out, size_t length)
{
    const char *hex = json_string_value(json);
    size_t i;

    for (i = 0; i < length && 2 * i + 1 < json_string_length(json); i++)
        out[i] = (uint8_t)(digit(hex[2 * i]) << 4 | digit(hex[2 * i + 1]));
}

static json_t *field_to_json(const struct field *field, const void *at)
{
    const flagver_bytes *bytes = at;

    switch (field->kind) {
    case INT32:
        return json_integer(*(const uint32_t *)at);
    case INT64:
        return json_integer(*(const int64_t *)at);
    case TEXT:
        return bytes->data ? json_stringn(bytes->data, bytes->length) : json_null();
    case BYTES:
        return bytes->data ? hexadecimal(bytes->data, bytes->length) : json_null();
    case ID:
        return hexadecimal(at, sizeof(flagver_id));
    default:
        return hexadecimal(at, 32);
    }
}

/* A row of this tenant; NULL: no memory. */
static json_t *to_json(json_t *tenant, const struct field *field, const void *row)
{
    json_t *json = json_object();
    int r = json ? 0 : -1;

    for (; r == 0 && field->name; field++)
        r = json_object_set_new(json, field->name,
                                field_to_json(field, (const char *)row + field->offset));
    if (r == 0)
        r = json_object_set(json, "tenant", tenant);
    if (r == 0)
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

        if (field->kind == INT32)
            *(uint32_t *)at = (uint32_t)json_integer_value(value);
        else if (field->kind == INT64)
            *(int64_t *)at = json_integer_value(value);
        else if (field->kind == TEXT)
            *(flagver_bytes *)at = (flagver_bytes){ json_string_value(value), length };
        else if (field->kind == ID || field->kind == HASH)
            from_hexadecimal(value, at, field->kind == ID ? sizeof(flagver_id) : 32);
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
static int compare(const json_t *row, const char *name, flagver_bytes with)
{
    flagver_bytes value = text(row, name);
    size_t common = value.length < with.length ? value.length : with.length;
    int order = common ? memcmp(value.data, with.data, common) : 0;

    return order ? order : (value.length > with.length) - (value.length < with.length);
}

static bool is(const json_t *row, const char *name, flagver_bytes wanted)
{
    return compare(row, name, wanted) == 0;
}

static bool begins(const json_t *row, const char *name, flagver_bytes with)
{
    flagver_bytes value = text(row, name);

    return value.length >= with.length &&
           (with.length == 0 || memcmp(value.data, with.data, with.length) == 0);
}

static bool same(const json_t *a, const char *name_a, const json_t *b, const char *name_b)
{
    return json_equal(json_object_get(a, name_a), json_object_get(b, name_b));
}

/* NULL behind the last one. */
static json_t *row_at(const json_t *state, const char *list, size_t at)
{
    return json_array_get(json_object_get(state, list), at);
}

/* What a row is known by, beside its tenant. */
static const char *const by_name[] = { "phase", "subject", NULL };
static const char *const by_number[] = { "series", "no", NULL };
static const char *const by_key[] = { "space", "key", NULL };

/* The row that has these in common with `like`; NULL: none has. */
static json_t *find(const json_t *state, const char *list, const char *const *names,
                    const json_t *like, size_t *ret_at)
{
    json_t *row;
    size_t at, i;

    for (at = 0; (row = row_at(state, list, at)); at++) {
        for (i = 0; names[i] && same(row, names[i], like, names[i]); i++)
            ;
        if (!names[i] && same(row, "tenant", like, "tenant")) {
            *ret_at = at;
            return row;
        }
    }
    return NULL;
}

/* The row of the list whose id `from` refers to. */
static json_t *refer(const json_t *state, const char *list, const json_t *from, const char *name)
{
    json_t *row;
    size_t at;

    for (at = 0; (row = row_at(state, list, at)); at++)
        if (same(row, "id", from, name) && same(row, "tenant", from, "tenant"))
            return row;
    return NULL;
}

/* How many rows of this list the tenant has. */
static size_t size_of(const json_t *state, const char *list, const json_t *tenant)
{
    size_t at, count = 0;
    json_t *row;

    for (at = 0; (row = row_at(state, list, at)); at++)
        count += json_equal(json_object_get(row, "tenant"), tenant) != 0;
    return count;
}

/* ---- the file ---- */

static int64_t milliseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The lock that all writers take turns with; given back by unlock(). */
static int take_lock(const flagver_store *store, int *ret_lock, flagver_error *err)
{
    const struct timespec pause = { 0, 1000000 };
    int64_t deadline = milliseconds() + store->wait_ms;
    int fd;

    if (store->read_only)
        return fail(err, FLAGVER_EUNAVAILABLE, "%s was opened to be read only", store->path);
    fd = open(store->lock_path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0)
        return fail_errno(err, FLAGVER_EUNAVAILABLE, store->lock_path);
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (milliseconds() >= deadline) {
            close(fd);
            return fail(err, FLAGVER_EBUSY, "%s: locked by another writer", store->lock_path);
        }
        nanosleep(&pause, NULL);
    }
    *ret_lock = fd;
    return 0;
}

/* Said aloud, because a child of ours may have a copy of the descriptor. */
static void unlock(int lock)
{
    flock(lock, LOCK_UN);
    close(lock);
}

static int load(const char *path, int *ret_file, json_t **ret_state, flagver_error *err)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    json_error_t words = { .text = "" };
    json_t *state;

    if (file < 0)
        return fail_errno(err, FLAGVER_EUNAVAILABLE, path);
    state = json_loadfd(file, JSON_REJECT_DUPLICATES, &words);
    if (!json_is_string(json_object_get(state, "flagver"))) {
        json_decref(state);
        close(file);
        return fail(err, FLAGVER_ECORRUPT, "%s is no store: %s", path, words.text);
    }
    *ret_file = file;
    *ret_state = state;
    return 0;
}

/* Is PATH still the file that we have read? The mutex is held, here and below. */
static bool same_file(const flagver_store *store)
{
    struct stat there, ours;

    return store->file >= 0 && stat(store->path, &there) == 0 && fstat(store->file, &ours) == 0 &&
           there.st_dev == ours.st_dev && there.st_ino == ours.st_ino;
}

static void keep(flagver_store *store, int file, json_t *state)
{
    if (store->file >= 0)
        close(store->file);
    json_decref(store->state);
    store->file = file;
    store->state = state;
}

static int refresh_locked(flagver_store *store, flagver_error *err)
{
    json_t *state;
    int r, file;

    if (same_file(store))
        return 0;
    r = load(store->path, &file, &state, err);
    if (r < 0)
        return r;
    if (store->state &&
        !json_equal(json_object_get(store->state, "flagver"), json_object_get(state, "flagver"))) {
        json_decref(state);
        close(file);
        return fail(err, FLAGVER_EUNAVAILABLE, "%s was replaced by another store", store->path);
    }
    keep(store, file, state);
    return 0;
}

/* Any thread may hold a state; jansson counts, but leaves the order of memory to us. */
static json_t *hold(flagver_store *store, json_t *state)
{
    pthread_mutex_lock(&store->mutex);
    json_incref(state);
    pthread_mutex_unlock(&store->mutex);
    return state;
}

static void let_go(flagver_store *store, json_t *state)
{
    pthread_mutex_lock(&store->mutex);
    json_decref(state);
    pthread_mutex_unlock(&store->mutex);
}

/* The newest state, held until let_go(). */
static int refresh(flagver_store *store, json_t **ret_state, flagver_error *err)
{
    int r;

    pthread_mutex_lock(&store->mutex);
    r = refresh_locked(store, err);
    if (r == 0)
        *ret_state = json_incref(store->state);
    pthread_mutex_unlock(&store->mutex);
    return r;
}

static int write_synced(int fd, const char *data, size_t length)
{
    while (length) {
        ssize_t n = write(fd, data, length);

        if (n < 0 && errno != EINTR)
            return -1;
        data += n > 0 ? n : 0;
        length -= n > 0 ? (size_t)n : 0;
    }
    return fsync(fd);
}

/* A rename survives a power cut once the directory is on the disk too. */
static int sync_directory(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    int fd = directory ? open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int r = fd < 0 ? -1 : fsync(fd);

    if (fd >= 0)
        close(fd);
    free(directory);
    return r;
}

/* Renaming over a store that was taken away or replaced would undo that. */
static int check_place(flagver_store *store, flagver_error *err)
{
    bool there;

    pthread_mutex_lock(&store->mutex);
    there = !store->state || same_file(store);
    pthread_mutex_unlock(&store->mutex);
    return there ? 0 : fail(err, FLAGVER_EUNAVAILABLE, "%s is gone or was replaced", store->path);
}

/* Make this state the one in the file. The caller has the lock, so the old one was seen. */
static int save(flagver_store *store, json_t *state, flagver_error *err)
{
    char *json = json_dumps(state, JSON_COMPACT);
    int file, r;

    if (!json)
        return no_memory(err);
    file = open(store->new_path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file < 0 || write_synced(file, json, strlen(json)) < 0)
        r = fail_errno(err, FLAGVER_EUNAVAILABLE, store->new_path);
    else
        r = check_place(store, err);
    if (r == 0 && rename(store->new_path, store->path) < 0)
        r = fail_errno(err, FLAGVER_EUNAVAILABLE, store->path);
    free(json);
    if (r < 0) {
        if (file >= 0)
            close(file);
        return r;
    }

    pthread_mutex_lock(&store->mutex);
    keep(store, file, json_incref(state));
    pthread_mutex_unlock(&store->mutex);
    /* From the rename on others see it; what cannot be told is whether it lasts. */
    return sync_directory(store->path) < 0 ? fail_errno(err, FLAGVER_EUNKNOWN, store->path) : 0;
}

/* ---- schema: nothing (0), or the lists (1) ---- */

/* A tree without rows. Takes `id`; NULL: no memory. */
static json_t *fresh_state(json_t *id, uint32_t schema)
{
    if (schema == 0)
        return json_pack("{s:o, s:i}", "flagver", id, "schema", 0);
    return json_pack("{s:o, s:i, s:[], s:[], s:[], s:[], s:[]}", "flagver", id, "schema",
                     (int)schema, "series", "versions", "payloads", "leaves", "keyed");
}

static int migrate_locked(flagver_store *store, uint32_t to, flagver_error *err)
{
    json_t *state, *fresh;
    int r = refresh(store, &state, err);

    if (r < 0)
        return r;
    fresh = fresh_state(json_incref(json_object_get(state, "flagver")), to);
    if (number(state, "schema") > FLAGVER_SCHEMA_VERSION)
        r = fail(err, FLAGVER_ESCHEMA, "the schema has version %d; %u is the newest known here",
                 (int)number(state, "schema"), FLAGVER_SCHEMA_VERSION);
    else if (!fresh)
        r = no_memory(err);
    else if (number(state, "schema") != (json_int_t)to)
        r = save(store, fresh, err);
    json_decref(fresh);
    let_go(store, state);
    return r;
}

static int schema_migrate(flagver_store *store, uint32_t to, flagver_error *err)
{
    int r, lock;

    if (to > FLAGVER_SCHEMA_VERSION)
        return fail(err, FLAGVER_ESCHEMA, "there is no version %u of the schema; 0 to %u are known",
                    (unsigned)to, FLAGVER_SCHEMA_VERSION);
    r = take_lock(store, &lock, err);
    if (r < 0)
        return r;
    r = migrate_locked(store, to, err);
    unlock(lock);
    return r;
}

static int schema_version(flagver_store *store, uint32_t *ret_version, flagver_error *err)
{
    json_t *state;
    int r = refresh(store, &state, err);

    if (r < 0)
        return r;
    *ret_version = (uint32_t)number(state, "schema");
    let_go(store, state);
    return 0;
}

static int schema_verify(flagver_store *store, void (*found)(void *data, const char *line),
                         void (*checked)(void *data, const char *line), void *data,
                         flagver_error *err)
{
    static const char *const lists[] = { "series", "versions", "payloads", "leaves", "keyed" };
    void (*say)(void *data, const char *line);
    char line[64];
    json_t *state;
    size_t i;
    int r = refresh(store, &state, err);

    if (r < 0)
        return r;
    for (i = 0; i < sizeof lists / sizeof *lists; i++) {
        bool fine = json_is_array(json_object_get(state, lists[i]));

        say = fine ? checked : found;
        snprintf(line, sizeof line, "list \"%s\"%s", lists[i], fine ? "" : " is missing");
        if (say)
            say(data, line);
    }
    let_go(store, state);
    return 0;
}

/* ---- opening and closing ---- */

static char *joined(const char *path, const char *suffix)
{
    size_t size = strlen(path) + strlen(suffix) + 1;
    char *text = malloc(size);

    if (text)
        snprintf(text, size, "%s%s", path, suffix);
    return text;
}

static void close_store(flagver_store *store)
{
    if (store->file >= 0)
        close(store->file);
    json_decref(store->state);
    pthread_mutex_destroy(&store->mutex);
    free(store->path);
    free(store->new_path);
    free(store->lock_path);
    free(store);
}

/*
 * The child of a fork closes its copies of the descriptors. The lock stays with
 * the parent, whose own is open: only unlock() would take it away. A thread that is
 * not there in the child may have been inside the mutex or the tree, so their memory
 * is left alone.
 */
static void abandon(flagver_store *store)
{
    close(store->file);
    if (store->lock >= 0)
        close(store->lock);
}

/* A file without a schema, unless somebody else was faster. */
static int create(flagver_store *store, flagver_error *err)
{
    unsigned char id[16];
    json_t *state;
    int r, lock;

    r = take_lock(store, &lock, err);
    if (r < 0)
        return r;
    if (access(store->path, F_OK) < 0) {
        state = getentropy(id, sizeof id) < 0 ? NULL : fresh_state(hexadecimal(id, sizeof id), 0);
        r = state ? save(store, state, err) : no_memory(err);
        json_decref(state);
    }
    unlock(lock);
    return r;
}

static int open_contents(flagver_store *store, flagver_error *err)
{
    uint32_t version;
    int r = 0;

    if (!store->path || !store->new_path || !store->lock_path)
        return no_memory(err);
    if (access(store->path, F_OK) < 0 && !store->read_only)
        r = create(store, err);
    if (r == 0)
        r = schema_version(store, &version, err);
    if (r == 0 && version < FLAGVER_SCHEMA_VERSION && !store->read_only)
        r = schema_migrate(store, FLAGVER_SCHEMA_VERSION, err);
    return r;
}

static int open_store(const flagver_driver_config *config, flagver_store **ret_store,
                      flagver_error *err)
{
    flagver_store *store = calloc(1, sizeof *store);
    int r;

    if (!store)
        return no_memory(err);
    pthread_mutex_init(&store->mutex, NULL);
    store->wait_ms = config->wait_ms;
    store->read_only = config->read_only != 0;
    store->lock = store->file = -1;
    store->path = joined(config->path, "");
    store->new_path = joined(config->path, ".new");
    store->lock_path = joined(config->path, ".lock");
    r = open_contents(store, err);
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
    if (length == 0)
        return no_memory(err);
    if (length >= size)
        return fail(err, FLAGVER_EINVAL, "%zu bytes are not enough; %zu are", size, length + 1);
    buffer[length] = '\0';
    return 0;
}

/* ---- transactions ---- */

static void end(flagver_driver_txn *txn)
{
    int lock = txn->store->lock;

    if (txn->writes) {
        txn->store->lock = -1;
        unlock(lock);
    }
    let_go(txn->store, txn->state);
    json_decref(txn->tenant);
    free(txn);
}

static int begin(flagver_store *store, flagver_bytes tenant, int mode, flagver_driver_txn **ret_txn,
                 flagver_error *err)
{
    flagver_driver_txn *txn = calloc(1, sizeof *txn);
    int r = 0;

    if (!txn)
        return no_memory(err);
    txn->store = store;
    txn->tenant = json_stringn(tenant.data, tenant.length);
    if (!txn->tenant)
        r = no_memory(err);
    else if (mode == FLAGVER_MODE_WRITE)
        r = take_lock(store, &store->lock, err);
    txn->writes = mode == FLAGVER_MODE_WRITE && r == 0;
    if (r == 0)
        r = refresh(store, &txn->state, err);
    if (r == 0 && number(txn->state, "schema") != FLAGVER_SCHEMA_VERSION)
        r = fail(err, FLAGVER_ESCHEMA, "%s has version %d of the schema; %u is needed", store->path,
                 (int)number(txn->state, "schema"), FLAGVER_SCHEMA_VERSION);
    if (r < 0) {
        end(txn);
        return r;
    }
    *ret_txn = txn;
    return 0;
}

static int commit(flagver_driver_txn *txn, flagver_error *err)
{
    int r = txn->changed ? save(txn->store, txn->state, err) : 0;

    end(txn);
    return r;
}

/* While we have the lock nobody is about to commit, so what the file says is certain. */
static int outcome(flagver_store *store, flagver_bytes tenant, flagver_bytes key,
                   bool *ret_committed, flagver_error *err)
{
    json_t *like, *state;
    size_t at;
    int r, lock;

    r = take_lock(store, &lock, err);
    if (r < 0)
        return r;
    r = refresh(store, &state, err);
    unlock(lock);
    if (r < 0)
        return r;
    like = json_pack("{s:s%, s:s, s:s%}", "tenant", tenant.data, tenant.length, "space", "request",
                     "key", key.data, key.length);
    if (like)
        *ret_committed = find(state, "keyed", by_key, like, &at) != NULL;
    json_decref(like);
    let_go(store, state);
    return like ? 0 : no_memory(err);
}

/* Everything has been locked since the transaction began; what is left is to read. */
static int lock(flagver_driver_txn *txn, flagver_series_row *series, size_t count, int try_only,
                flagver_error *err)
{
    json_t *like, *found;
    size_t i, at;

    (void)try_only;
    for (i = 0; i < count; i++) {
        const flagver_series_row names = { .phase = series[i].phase, .subject = series[i].subject };

        like = to_json(txn->tenant, series_fields, &names);
        if (!like)
            return no_memory(err);
        found = find(txn->state, "series", by_name, like, &at);
        json_decref(like);
        if (found)
            from_json(series_fields + NAMES, found, &series[i], NULL, err);
        else
            series[i].rev = 0;
    }
    return 0;
}

static int lock_log(flagver_driver_txn *txn, uint64_t *ret_size, flagver_error *err)
{
    (void)err;
    *ret_size = size_of(txn->state, "leaves", txn->tenant);
    return 0;
}

/* Two calls of stat() when nothing has changed. */
static int changes(flagver_store *store, flagver_bytes tenant, uint64_t *ret_size,
                   flagver_error *err)
{
    json_t *state, *name;
    int r = refresh(store, &state, err);

    if (r < 0)
        return r;
    name = json_stringn(tenant.data, tenant.length);
    if (name)
        *ret_size = size_of(state, "leaves", name);
    json_decref(name);
    let_go(store, state);
    return name ? 0 : no_memory(err);
}

/* ---- changes: each looks at what is there and at the rules ---- */

/* Hands `fresh` to the list, in the place of the row at `at` if that is `present`. */
static int put(json_t *state, const char *list, size_t at, const json_t *present, json_t *fresh,
               flagver_error *err)
{
    json_t *rows = json_object_get(state, list);
    int r = present ? json_array_set_new(rows, at, fresh) : json_array_append_new(rows, fresh);

    return r < 0 ? no_memory(err) : 0;
}

/* The library keeps the rules itself: when it breaks one, something is very wrong. */
static int broken(flagver_error *err, json_t *fresh, const char *rule)
{
    if (!fresh)
        return no_memory(err);
    json_decref(fresh);
    return fail(err, FLAGVER_ECORRUPT, "%s", rule);
}

static int check_expect(const json_t *present, const flagver_change *change, json_t *fresh,
                        flagver_error *err)
{
    int64_t rev = present ? number(present, "rev") : 0;

    if (change->expect == FLAGVER_EXPECT_ANY || change->expect == rev)
        return 0;
    json_decref(fresh);
    return fail(err, FLAGVER_ECONFLICT, "the row has rev %lld and not %lld", (long long)rev,
                (long long)change->expect);
}

static int change_series(json_t *state, json_t *tenant, const flagver_change *change,
                         flagver_error *err)
{
    const flagver_series_row *row = change->row.series;
    json_t *fresh = to_json(tenant, series_fields, row), *present;
    size_t at = 0;
    int r;

    present = find(state, "series", by_name, fresh, &at);
    r = check_expect(present, change, fresh, err);
    if (r < 0)
        return r;
    if (!fresh || refer(state, "series", fresh, "id") != present)
        return broken(err, fresh, "a series has an id of its own and keeps it");
    if (row->rev < 1 || row->current_no > row->last_no ||
        row->last_no < number(present, "last_no") ||
        row->changed_at < number(present, "changed_at"))
        return broken(err, fresh, "a series only moves on, and current_no is up to last_no");
    return put(state, "series", at, present, fresh, err);
}

static int add_payload(json_t *state, json_t *tenant, const flagver_change *change,
                       flagver_error *err)
{
    json_t *fresh = to_json(tenant, payload_fields, change->row.payload);

    if (!fresh || refer(state, "payloads", fresh, "id"))
        return broken(err, fresh, "a payload has an id of its own");
    return put(state, "payloads", 0, NULL, fresh, err);
}

/* Where a version in this state may go, and how it may begin. */
#define TO(state) (1u << FLAGVER_STATE_##state)
static const unsigned ways[8] = {
    [FLAGVER_STATE_DRAFT] = TO(DRAFT) | TO(SUBMITTED) | TO(APPROVED) | TO(WITHDRAWN),
    [FLAGVER_STATE_SUBMITTED] = TO(DRAFT) | TO(SUBMITTED) | TO(APPROVED) | TO(REJECTED) |
                                TO(WITHDRAWN),
    [FLAGVER_STATE_APPROVED] = TO(SUPERSEDED),
};
static const unsigned born = TO(DRAFT) | TO(RECORDED);

static bool allows(unsigned states, int32_t state)
{
    return state > 0 && state < 8 && states >> state & 1;
}

/* What holds for every version, whatever it was before; NULL: all does. */
static const char *wrong_with(const json_t *state, const json_t *series, const json_t *fresh,
                              const flagver_version_row *row)
{
    bool superseded = row->state == FLAGVER_STATE_SUPERSEDED;
    json_t *other;
    size_t i;

    if (!refer(state, "payloads", fresh, "payload_id"))
        return "a version has a payload";
    if (row->parent_no >= row->no || row->base_no >= row->no || row->reverts_no >= row->no)
        return "parent, base and what is reverted have smaller numbers";
    if (superseded != (row->superseded_by != 0))
        return "a superseded version, and no other, says by which";
    if (superseded &&
        (row->superseded_by <= row->no || row->superseded_by > number(series, "last_no") ||
         row->superseded_at <= row->decided_at))
        return "what supersedes a version has a greater number and comes later";
    for (i = 0; (other = row_at(state, "versions", i)); i++)
        if (row->state == FLAGVER_STATE_APPROVED &&
            number(other, "state") == FLAGVER_STATE_APPROVED &&
            same(other, "series", fresh, "series") && !same(other, "no", fresh, "no"))
            return "one version of a series is approved";
    return NULL;
}

/* The row with what is the series'. */
static json_t *version_to_json(const json_t *state, json_t *tenant, const flagver_version_row *row,
                               json_t **ret_series)
{
    json_t *fresh = to_json(tenant, version_fields + NAMES, row);

    *ret_series = refer(state, "series", fresh, "series");
    if (*ret_series &&
        (json_object_set(fresh, "phase", json_object_get(*ret_series, "phase")) < 0 ||
         json_object_set(fresh, "subject", json_object_get(*ret_series, "subject")) < 0)) {
        json_decref(fresh);
        return NULL;
    }
    return fresh;
}

static int add_version(json_t *state, json_t *tenant, const flagver_change *change,
                       flagver_error *err)
{
    const flagver_version_row *row = change->row.version;
    json_t *fresh, *series, *other;
    size_t at, count = 0;
    const char *wrong;

    fresh = version_to_json(state, tenant, row, &series);
    wrong = fresh ? wrong_with(state, series, fresh, row) : NULL;
    if (!fresh || wrong || !allows(born, row->state))
        return broken(err, fresh, wrong ? wrong : "a version is born as a draft or recorded");
    for (at = 0; (other = row_at(state, "versions", at)); at++)
        count += same(other, "series", fresh, "series");
    if (row->no != number(series, "last_no") || row->no != count + 1)
        return broken(err, fresh, "a version has the last number of its series, without a gap");
    if (refer(state, "versions", fresh, "id"))
        return broken(err, fresh, "a version has an id of its own");
    return put(state, "versions", 0, NULL, fresh, err);
}

static int change_version(json_t *state, json_t *tenant, const flagver_change *change,
                          flagver_error *err)
{
    /* The first five never change, the others only while a draft is edited. */
    static const char *const frozen[] = { "id",         "parent_no",  "reverts_no", "created_at",
                                          "created_by", "payload_id", "base_no" };
    const flagver_version_row *row = change->row.version;
    json_t *fresh, *present, *series;
    size_t at, i, count;
    const char *wrong;
    json_int_t from;
    int r;

    fresh = version_to_json(state, tenant, row, &series);
    present = find(state, "versions", by_number, fresh, &at);
    r = check_expect(present, change, fresh, err);
    if (r < 0)
        return r;
    if (!fresh || !present)
        return broken(err, fresh, "there is no such version");
    wrong = wrong_with(state, series, fresh, row);
    from = number(present, "state");
    if (wrong || !allows(ways[from & 7], row->state))
        return broken(err, fresh, wrong ? wrong : "this state does not become that one");
    count = from == FLAGVER_STATE_DRAFT && row->state == FLAGVER_STATE_DRAFT ? 5 : 7;
    for (i = 0; i < count; i++)
        if (!same(present, frozen[i], fresh, frozen[i]))
            return broken(err, fresh, "what a version was made from is frozen");
    if ((number(present, "bits") ^ row->bits) & FLAGVER_VERSION_TOMBSTONE)
        return broken(err, fresh, "a tombstone stays one");
    return put(state, "versions", at, present, fresh, err);
}

static int add_leaf(json_t *state, json_t *tenant, const flagver_change *change, flagver_error *err)
{
    json_t *fresh = to_json(tenant, leaf_fields, change->row.leaf);

    if (!fresh || change->row.leaf->no != size_of(state, "leaves", tenant))
        return broken(err, fresh, "a leaf's number is the size of the log");
    return put(state, "leaves", 0, NULL, fresh, err);
}

static int change_keyed(json_t *state, json_t *tenant, const flagver_change *change,
                        flagver_error *err)
{
    json_t *fresh = to_json(tenant, keyed_fields, change->row.keyed), *present;
    size_t at = 0;
    int r;

    present = find(state, "keyed", by_key, fresh, &at);
    r = check_expect(present, change, fresh, err);
    if (r < 0)
        return r;
    if (!fresh || change->row.keyed->rev < 1)
        return broken(err, fresh, "a keyed row has a rev from 1");
    return put(state, "keyed", at, present, fresh, err);
}

/* Of a row to delete only the names are given. */
static int delete_keyed(json_t *state, json_t *tenant, const flagver_change *change,
                        flagver_error *err)
{
    const flagver_keyed_row names = { .space = change->row.keyed->space,
                                      .key = change->row.keyed->key };
    json_t *like = to_json(tenant, keyed_fields, &names), *present;
    size_t at;
    int r;

    if (!like)
        return no_memory(err);
    present = find(state, "keyed", by_key, like, &at);
    r = check_expect(present, change, like, err);
    if (r < 0)
        return r;
    json_decref(like);
    if (present)
        json_array_remove(json_object_get(state, "keyed"), at);
    return 0;
}

static int expire_keyed(json_t *state, json_t *tenant, const flagver_change *change,
                        flagver_error *err)
{
    size_t at = 0, deleted = 0;
    json_t *row;

    (void)err;
    while ((row = row_at(state, "keyed", at)) && deleted < 1000) {
        if (is(row, "space", change->row.keyed->space) &&
            json_equal(json_object_get(row, "tenant"), tenant) &&
            number(row, "time") < change->row.keyed->time) {
            json_array_remove(json_object_get(state, "keyed"), at);
            deleted++;
        } else {
            at++;
        }
    }
    return 0;
}

static int make_change(json_t *state, json_t *tenant, const flagver_change *change,
                       flagver_error *err)
{
    static int (*const makers[])(json_t *, json_t *, const flagver_change *, flagver_error *) = {
        [FLAGVER_CHANGE_SERIES] = change_series,
        [FLAGVER_CHANGE_PAYLOAD] = add_payload,
        [FLAGVER_CHANGE_VERSION_NEW] = add_version,
        [FLAGVER_CHANGE_VERSION_CHANGE] = change_version,
        [FLAGVER_CHANGE_LEAF] = add_leaf,
        [FLAGVER_CHANGE_KEYED] = change_keyed,
        [FLAGVER_CHANGE_KEYED_DELETE] = delete_keyed,
        [FLAGVER_CHANGE_KEYED_EXPIRE] = expire_keyed,
    };

    if (change->kind < 1 || change->kind > FLAGVER_CHANGE_KEYED_EXPIRE)
        return fail(err, FLAGVER_ENOTSUP, "changes of kind %d are not known", (int)change->kind);
    return makers[change->kind](state, tenant, change, err);
}

static int apply(flagver_driver_txn *txn, const flagver_change *changes, size_t count,
                 flagver_error *err)
{
    json_t *state = json_deep_copy(txn->state);
    int r = state ? 0 : no_memory(err);
    size_t i;

    for (i = 0; i < count && r == 0; i++)
        r = make_change(state, txn->tenant, &changes[i], err);
    if (r < 0) {
        json_decref(state);
        return r;
    }
    let_go(txn->store, txn->state);
    txn->state = state;
    txn->changed = true;
    return 0;
}

/* ---- queries: take the rows that are wanted, put them in order ---- */

/* Is this member within what the query says about names? */
static bool chosen(const json_t *row, const char *name, const flagver_query *query)
{
    int order = compare(row, name, query->after);

    if (query->after.data && (query->backwards ? order >= 0 : order <= 0))
        return false;
    if (!query->subject.data)
        return true;
    return query->prefix ? begins(row, name, query->subject) : is(row, name, query->subject);
}

static bool in_force(const json_t *version, int64_t time)
{
    json_int_t until = number(version, "superseded_at");

    switch (number(version, "state")) {
    case FLAGVER_STATE_APPROVED:
    case FLAGVER_STATE_SUPERSEDED:
        return number(version, "decided_at") <= time && (until == 0 || until > time);
    case FLAGVER_STATE_RECORDED:
        return number(version, "created_at") <= time;
    default:
        return false;
    }
}

static bool picked(const json_t *state, const json_t *version, const flagver_query *query)
{
    json_int_t no = number(version, "no");

    switch (query->pick) {
    case FLAGVER_PICK_CURRENT:
        return no == number(refer(state, "series", version, "series"), "current_no");
    case FLAGVER_PICK_AS_OF:
        return in_force(version, query->time);
    case FLAGVER_PICK_NUMBER:
        return no == query->no;
    default:
        return query->after_no == 0 ||
               (query->backwards ? no < query->after_no : no > query->after_no);
    }
}

static bool wanted(const json_t *state, const json_t *row, const flagver_query *query)
{
    flagver_id id = { { 0 } };

    switch (query->kind) {
    case FLAGVER_QUERY_VERSIONS:
        if (!picked(state, row, query))
            return false;
        /* fall through */
    case FLAGVER_QUERY_SERIES:
        return (!query->phase.data || is(row, "phase", query->phase)) &&
               chosen(row, "subject", query);
    case FLAGVER_QUERY_VERSION:
        from_hexadecimal(json_object_get(row, "id"), id.bytes, sizeof id.bytes);
        return memcmp(id.bytes, query->id.bytes, sizeof id.bytes) == 0;
    case FLAGVER_QUERY_LEAVES:
        return (uint64_t)number(row, "no") >= query->from;
    case FLAGVER_QUERY_KEYED:
        return is(row, "space", query->space) && chosen(row, "key", query) &&
               (query->time == 0 || number(row, "time") < query->time);
    default:
        return true;
    }
}

/* By what rows are sorted; those of one scan have the same of these members. */
static int by_names(const void *a, const void *b)
{
    static const char *const names[] = { "tenant", "phase", "subject", "space", "key" };
    const json_t *left = *(json_t *const *)a, *right = *(json_t *const *)b;
    json_int_t no = number(left, "no"), other = number(right, "no");
    size_t i;
    int order = 0;

    for (i = 0; i < sizeof names / sizeof *names && order == 0; i++)
        order = compare(left, names[i], text(right, names[i]));
    return order ? order : (no > other) - (no < other);
}

static void collect(flagver_cursor *cursor, const char *list, const json_t *tenant,
                    const flagver_query *query)
{
    json_t *row;
    size_t at;

    for (at = 0; (row = row_at(cursor->state, list, at)); at++)
        if ((!tenant || json_equal(json_object_get(row, "tenant"), tenant)) &&
            wanted(cursor->state, row, query))
            cursor->hits[cursor->count++] = row;
}

/* Of neighbours that have this in common the last one stays. */
static void last_of_each(flagver_cursor *cursor, const char *name)
{
    size_t from, to = 0;

    for (from = 0; from < cursor->count; from++)
        if (from + 1 == cursor->count ||
            !same(cursor->hits[from], name, cursor->hits[from + 1], name))
            cursor->hits[to++] = cursor->hits[from];
    cursor->count = to;
}

/* Where the rows of a query are, and what they look like. */
static const struct {
    const char *list;
    const struct field *fields;
} sources[] = {
    [FLAGVER_QUERY_VERSIONS] = { "versions", version_fields },
    [FLAGVER_QUERY_VERSION] = { "versions", version_fields },
    [FLAGVER_QUERY_SERIES] = { "series", series_fields },
    [FLAGVER_QUERY_LEAVES] = { "leaves", leaf_fields },
    [FLAGVER_QUERY_KEYED] = { "keyed", keyed_fields },
    [FLAGVER_QUERY_TENANTS] = { "series", NULL },
};

static void run(flagver_cursor *cursor, const json_t *tenant, const flagver_query *query)
{
    bool tenants = query->kind == FLAGVER_QUERY_TENANTS;

    collect(cursor, sources[query->kind].list, tenants ? NULL : tenant, query);
    if (tenants)
        collect(cursor, "leaves", NULL, query);
    if (cursor->count)
        qsort(cursor->hits, cursor->count, sizeof *cursor->hits, by_names);
    if (tenants)
        last_of_each(cursor, "tenant");
    else if (query->kind == FLAGVER_QUERY_VERSIONS && query->pick == FLAGVER_PICK_AS_OF)
        last_of_each(cursor, "series"); /* of recorded versions the highest is in force */
}

static void end_scan(flagver_cursor *cursor)
{
    let_go(cursor->store, cursor->state);
    free(cursor->hits);
    free(cursor->scratch[0]);
    free(cursor->scratch[1]);
    free(cursor);
}

static int scan(flagver_driver_txn *txn, const flagver_query *query, flagver_cursor **ret_cursor,
                flagver_error *err)
{
    flagver_cursor *cursor;
    size_t room;

    if (query->kind < 1 || query->kind > FLAGVER_QUERY_TENANTS)
        return fail(err, FLAGVER_ENOTSUP, "queries of kind %d are not known", (int)query->kind);
    cursor = calloc(1, sizeof *cursor);
    if (!cursor)
        return no_memory(err);
    cursor->store = txn->store;
    cursor->state = hold(txn->store, txn->state);
    cursor->fields = sources[query->kind].fields;
    cursor->payload = query->payload != 0;
    cursor->backwards = query->backwards != 0;
    room = json_array_size(json_object_get(txn->state, sources[query->kind].list)) +
           json_array_size(json_object_get(txn->state, "leaves")) + 1;
    cursor->hits = malloc(room * sizeof *cursor->hits);
    if (!cursor->hits) {
        end_scan(cursor);
        return no_memory(err);
    }
    run(cursor, txn->tenant, query);
    cursor->limit = query->limit && query->limit < cursor->count ? query->limit : cursor->count;
    *ret_cursor = cursor;
    return 0;
}

static int read_payload(flagver_cursor *cursor, const json_t *version, flagver_version_row *row,
                        flagver_error *err)
{
    json_t *json = refer(cursor->state, "payloads", version, "payload_id");
    flagver_payload_row payload = { .key = 0 };
    int r = from_json(payload_fields, json, &payload, cursor->scratch, err);

    row->payload = payload.body;
    row->payload_salt = payload.salt;
    row->payload_key = payload.key;
    return r;
}

static int next(flagver_cursor *cursor, flagver_row *ret_row, flagver_error *err)
{
    const json_t *hit;
    flagver_row row;
    int r = 0;

    if (cursor->at == cursor->limit)
        return 0;
    hit = cursor->hits[cursor->backwards ? cursor->count - 1 - cursor->at : cursor->at];
    memset(&row, 0, sizeof row);
    if (!cursor->fields)
        row.as.tenant = text(hit, "tenant");
    else
        r = from_json(cursor->fields, hit, &row.as, cursor->scratch, err);
    if (r == 0 && cursor->fields == version_fields && cursor->payload)
        r = read_payload(cursor, hit, &row.as.version, err);
    if (r < 0)
        return r;
    cursor->at++;
    *ret_row = row;
    return 1;
}

const flagver_driver jsonfile_driver = {
    .abi = FLAGVER_DRIVER_ABI,
    .size = sizeof(flagver_driver),
    .name = "jsonfile",
    .capabilities = FLAGVER_DRIVER_DURABLE | FLAGVER_DRIVER_PROCESSES | FLAGVER_DRIVER_ONE_WRITER |
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
