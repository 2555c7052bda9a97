#define _DEFAULT_SOURCE /* clock_gettime(), statvfs(), faccessat() with AT_EACCESS, S_IWOTH */

#include "engine/doctor.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <time.h>
#include <unistd.h>

#include "codec/records.h"
#include "engine/feed.h"
#include "engine/keys.h"
#include "engine/policies.h"
#include "engine/transfer.h"
#include "engine/verify.h"
#include "model/datetime.h"
#include "util/fail.h"

#define LINE_SIZE 2560
#define MIB (UINT64_C(1) << 20)
#define LITTLE_ROOM (256 * MIB)
#define NO_ROOM (16 * MIB)
#define LARGE_WAL (64 * MIB)
#define CLOCK_TOLERANCE_US INT64_C(2000000)
#define FIRST_YEAR_MS INT64_C(1704067200000) /* 2024: this library is not older */
#define LAST_YEAR_MS INT64_C(4102444800000)  /* 2100 */
#define DEFAULT_TENANT "default"
#define FINDINGS_SHOWN 10 /* of each tenant */
#define WAIT_MS 1000      /* who holds a lock for longer is worth a finding */
#define NAME_LIMIT 128    /* of a host's check */

enum { OK = FLAGVER_FINDING_OK, WARNING = FLAGVER_FINDING_WARNING, BAD = FLAGVER_FINDING_ERROR };

struct doctor {
    void (*visit)(void *data, int finding, const char *line);
    void *data;
    int found;
    bool memory_is_short; /* what was found then says nothing about the store */

    const char *uri;
    const flagver_doctor_options *options;
    struct fv_store *store;
    struct fv_map tenants;
    int64_t newest; /* time of the newest leaf, µs */
};

static void say(struct doctor *doctor, int finding, const char *format, ...) FV_TEXT_FORMAT(3, 4);

/* One line, whatever names are in it. */
static void say(struct doctor *doctor, int finding, const char *format, ...)
{
    char line[LINE_SIZE], *c;
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    doctor->found += finding != OK;
    if (doctor->visit)
        doctor->visit(doctor->data, finding, line);
}

/* Is it behind a server, "postgresql://…", and not a file here? */
static bool is_remote(const struct doctor *doctor)
{
    const char *colon = strchr(doctor->uri, ':');

    return colon && strncmp(colon + 1, "//", 2) == 0;
}

/* What to do about an error of the store; NULL: its words say so. */
static const char *advice(const struct doctor *doctor, int code)
{
    bool remote = is_remote(doctor);

    switch (code) {
    case FLAGVER_ENOTSUP:
    case FLAGVER_ESCHEMA:
    case FLAGVER_EDENIED:
        return NULL;
    case FLAGVER_EINVAL:
        return remote ? NULL : "use sqlite:PATH or the name of a registered driver";
    case FLAGVER_EBUSY:
        return "look for a process that holds a transaction open, and try again";
    case FLAGVER_ECORRUPT:
        return remote ? "stop writing to it, keep the database, and import the last good export "
                        "into a new one"
                      : "stop writing to it, keep the file, and import the last good export into "
                        "a new store";
    default:
        return remote ? "check that the server runs and takes connections from here, and that "
                        "database, role and rights are what they should be"
                      : "check that the file and its directory can be read and written by this "
                        "user";
    }
}

static void say_advised(struct doctor *doctor, const char *what, const flagver_error *error,
                        const char *what_to_do)
{
    if (error->code == FLAGVER_ENOMEM)
        doctor->memory_is_short = true;
    else
        say(doctor, error->code == FLAGVER_EBUSY ? WARNING : BAD, "%s: %s%s%s", what,
            error->message, what_to_do ? "; " : "", what_to_do ? what_to_do : "");
}

static void say_error(struct doctor *doctor, const char *what, const flagver_error *error)
{
    say_advised(doctor, what, error, advice(doctor, error->code));
}

/* ---- files ---- */

static bool is_directory(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}

static void directory_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');

    if (!slash)
        snprintf(out, size, ".");
    else
        snprintf(out, size, "%.*s", (int)(slash - path) + (slash == path), path);
}

/* What a store is not that cannot be opened, where it should be a file. */
static const char *advice_to_open(const struct doctor *doctor, int code)
{
    const char *colon = strchr(doctor->uri, ':'), *path = colon ? colon + 1 : doctor->uri;
    char directory[4096];

    if (is_remote(doctor))
        return advice(doctor, code);
    directory_of(path, directory, sizeof directory);
    if (is_directory(path))
        return "this is a directory: name a file in it";
    if (code == FLAGVER_ECORRUPT)
        return "if another file was meant, check the path; if not, keep this one as it is and "
               "import the last good export into a new store";
    if (code != FLAGVER_ENOTFOUND)
        return advice(doctor, code);
    return is_directory(directory) ? "check the path, or create the store: flagver init"
                                   : "nor is there its directory: check the path, or create the "
                                     "directory, then the store: flagver init";
}

/* ---- the store and its schema ---- */

/* Nobody can give keys here but the environment; without them there is less to look into. */
static void read_keys(struct doctor *doctor, struct fv_keyring **ret_keys)
{
    const struct fv_keyring_source source = { .text = getenv("FLAGVER_KEYS") };
    flagver_error error = { .code = 0 };

    *ret_keys = NULL;
    if (fv_keyring_new(&source, ret_keys, &error) < 0)
        say_advised(doctor, "the keys cannot be read", &error, NULL);
}

static bool check_open(struct doctor *doctor)
{
    struct fv_store_options options = { .no_upgrade = true, .wait_ms = WAIT_MS };
    flagver_error error = { .code = 0 };
    int r;

    read_keys(doctor, &options.keys);
    r = fv_store_open(doctor->uri, &options, &doctor->store, &error);
    fv_keyring_release(options.keys);
    if (r < 0) {
        say_advised(doctor, "the store cannot be opened", &error,
                    advice_to_open(doctor, error.code));
        return false;
    }
    say(doctor, OK, "%s can be opened", doctor->store->shown);
    return true;
}

static void check_driver(struct doctor *doctor)
{
    const flagver_driver *driver = doctor->store->driver;
    char facts[LINE_SIZE / 2];
    flagver_error error = { .code = 0 };

    if (driver->describe(doctor->store->handle, facts, sizeof facts, &error) < 0)
        say_error(doctor, "the driver does not describe the store", &error);
    else
        say(doctor, OK, "driver %s: %s", driver->name, facts);
    if (!(driver->capabilities & FLAGVER_DRIVER_DURABLE))
        say(doctor, WARNING,
            "this store may lose commits in a power cut; keep nothing in it that matters");
}

static void take_finding(void *data, int finding, const char *line)
{
    say(data, finding == OK || finding == WARNING ? finding : BAD, "%s", line);
}

/* What only its driver can tell of the database. */
static void check_database(struct doctor *doctor)
{
    flagver_error error = { .code = 0 };
    int r = fv_store_examine(doctor->store, take_finding, doctor, &error);

    if (r < 0 && r != FLAGVER_ENOTSUP)
        say_error(doctor, "the database cannot be looked at", &error);
}

/* False: there is nothing that could be looked at further. */
static bool check_version(struct doctor *doctor)
{
    flagver_error error = { .code = 0 };
    uint32_t version;

    if (doctor->store->driver->schema_version(doctor->store->handle, &version, &error) < 0) {
        say_error(doctor, "the version of the schema cannot be read", &error);
        return false;
    }
    if (version == 0)
        say(doctor, BAD, "there is no schema; run: flagver schema up");
    else if (version < FLAGVER_SCHEMA_VERSION)
        say(doctor, BAD, "the schema has version %u and not %u; run: flagver schema up",
            (unsigned)version, FLAGVER_SCHEMA_VERSION);
    else if (version > FLAGVER_SCHEMA_VERSION)
        say(doctor, WARNING,
            "the schema has version %u; this library knows %u: bring the library up to date",
            (unsigned)version, FLAGVER_SCHEMA_VERSION);
    else
        say(doctor, OK, "the schema has version %u", (unsigned)version);
    return version >= FLAGVER_SCHEMA_VERSION;
}

struct schema_summary {
    int fine, wrong;
    char first[512]; /* of what is wrong */
};

static void count_wrong(void *data, const char *line)
{
    struct schema_summary *summary = data;

    if (summary->wrong++ == 0)
        snprintf(summary->first, sizeof summary->first, "%s", line);
}

static void count_fine(void *data, const char *line)
{
    (void)line;
    ((struct schema_summary *)data)->fine++;
}

static void check_schema(struct doctor *doctor)
{
    struct schema_summary summary = { .fine = 0 };
    flagver_error error = { .code = 0 };

    if (doctor->store->driver->schema_verify(doctor->store->handle, count_wrong, count_fine,
                                             &summary, &error) < 0)
        say_error(doctor, "the schema cannot be verified", &error);
    else if (summary.wrong)
        say(doctor, BAD,
            "%d of %d parts of the schema are not what they should be, the first: %s; flagver "
            "schema verify lists them; what somebody has altered, an export imported into a new "
            "store mends",
            summary.wrong, summary.wrong + summary.fine, summary.first);
    else
        say(doctor, OK, "the schema is whole: %d parts of it were looked at", summary.fine);
}

/* ---- writing ---- */

static int64_t now_us(void)
{
    struct timespec time;

    clock_gettime(CLOCK_REALTIME, &time);
    return (int64_t)time.tv_sec * 1000000 + time.tv_nsec / 1000;
}

/* Written and deleted, and then not even committed. */
static int try_to_write(struct fv_store *store, flagver_error *err)
{
    const flagver_keyed_row row = { .tenant = fv_bytes(DEFAULT_TENANT),
                                    .space = fv_bytes("doctor"),
                                    .key = fv_bytes("write"),
                                    .rev = 1,
                                    .time = now_us(),
                                    .value = fv_bytes("fine") };
    const flagver_change changes[] = {
        { .kind = FLAGVER_CHANGE_KEYED, .expect = FLAGVER_EXPECT_ANY, .row.keyed = &row },
        { .kind = FLAGVER_CHANGE_KEYED_DELETE, .expect = FLAGVER_EXPECT_ANY, .row.keyed = &row },
    };
    flagver_driver_txn *txn;
    int r;

    r = store->driver->begin(store->handle, row.tenant, FLAGVER_MODE_WRITE, &txn, err);
    if (r < 0)
        return r;
    r = store->driver->apply(txn, changes, sizeof changes / sizeof *changes, err);
    store->driver->rollback(txn);
    return r;
}

static void check_writing(struct doctor *doctor)
{
    flagver_error error = { .code = 0 };

    if (try_to_write(doctor->store, &error) < 0)
        say_error(doctor, "the store cannot be written", &error);
    else
        say(doctor, OK, "the store can be written");
}

/* ---- the file, where the store is one ---- */

static void check_room(struct doctor *doctor, const char *path, const char *directory)
{
    struct statvfs disk;
    uint64_t room;

    if (statvfs(path, &disk) < 0)
        return;
    room = (uint64_t)disk.f_bavail * disk.f_frsize;
    say(doctor,
        room < NO_ROOM       ? BAD
        : room < LITTLE_ROOM ? WARNING
                             : OK,
        room < LITTLE_ROOM ? "only %" PRIu64 " MiB are free in %s: make room on the disk"
                           : "%" PRIu64 " MiB are free in %s",
        room / MIB, directory);
}

static void check_permissions(struct doctor *doctor, const char *path, const char *directory,
                              const struct stat *status)
{
    if (faccessat(AT_FDCWD, path, R_OK | W_OK, AT_EACCESS) < 0)
        say(doctor, BAD, "%s cannot be written by this user: give it rights to the file", path);
    else if (faccessat(AT_FDCWD, directory, W_OK | X_OK, AT_EACCESS) < 0)
        say(doctor, BAD,
            "%s cannot be written by this user: the store keeps its log beside the file, so give "
            "it rights to the directory",
            directory);
    else if (status->st_mode & S_IWOTH)
        say(doctor, WARNING, "everybody may write %s: chmod o-w it", path);
    else
        say(doctor, OK, "%s belongs to those who should write it", path);
}

static void check_wal(struct doctor *doctor, const char *path)
{
    char name[4096];
    struct stat status;

    if ((size_t)snprintf(name, sizeof name, "%s-wal", path) >= sizeof name ||
        stat(name, &status) < 0)
        return;
    if ((uint64_t)status.st_size > LARGE_WAL)
        say(doctor, WARNING,
            "%s has %" PRIu64 " MiB: some reader stays open for so long that the log cannot be "
            "folded into the store; look for it",
            name, (uint64_t)status.st_size / MIB);
}

static void check_file(struct doctor *doctor)
{
    const char *path = strchr(doctor->uri, ':') + 1;
    char directory[4096];
    struct stat status;

    if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
        return;
    directory_of(path, directory, sizeof directory);
    check_permissions(doctor, path, directory, &status);
    check_room(doctor, path, directory);
    check_wal(doctor, path);
}

/* ---- the audit log against the records ---- */

/* A tenant that is verified. */
struct verification {
    struct doctor *doctor;
    const char *tenant;
    uint64_t count;
};

static void show_finding(void *data, const char *line)
{
    struct verification *verification = data;
    uint64_t before = verification->count++;

    if (before < FINDINGS_SHOWN)
        say(verification->doctor, BAD, "tenant \"%s\": %s%s%s", verification->tenant, line,
            before ? "" : "; ", before ? "" : advice(verification->doctor, FLAGVER_ECORRUPT));
}

static void say_how_many_more(const struct verification *verification)
{
    bool is_default = strcmp(verification->tenant, DEFAULT_TENANT) == 0;

    if (verification->count > FINDINGS_SHOWN)
        say(verification->doctor, BAD,
            "tenant \"%s\": %" PRIu64 " more things are wrong; flagver %s%s%saudit verify lists "
            "them",
            verification->tenant, verification->count - FINDINGS_SHOWN,
            is_default ? "" : "--tenant ", is_default ? "" : verification->tenant,
            is_default ? "" : " ");
}

static bool note_time(void *data, const flagver_audit_entry *entry)
{
    struct doctor *doctor = data;

    if (entry->time > doctor->newest)
        doctor->newest = entry->time;
    return true;
}

static int look_at_log(struct doctor *doctor, const char *tenant, flagver_verify_result *sums,
                       flagver_error *err)
{
    static const flagver_verify_options options = { .size = sizeof options };
    const struct fv_tenancy tenancy = { doctor->store, tenant };
    struct verification verification = { doctor, tenant, 0 };
    flagver_verify_result result;
    int r = fv_verify_store(&tenancy, &options, show_finding, &verification, &result, err);

    say_how_many_more(&verification);
    if (r < 0)
        return r;
    sums->leaves += result.leaves;
    sums->versions += result.versions;
    sums->payloads += result.payloads;
    sums->sealed += result.sealed;
    sums->shredded += result.shredded;
    sums->findings += result.findings;
    return result.leaves
               ? fv_history_log(&tenancy, result.leaves - 1, 1, note_time, doctor, NULL, err)
               : 0;
}

static void say_agreed(struct doctor *doctor, const flagver_verify_result *sums)
{
    char rest[128] = "";

    if (sums->sealed || sums->shredded)
        snprintf(rest, sizeof rest, "; sealed and not looked into %" PRIu64 ", shredded %" PRIu64,
                 sums->sealed, sums->shredded);
    say(doctor, OK,
        "the audit log and the records agree: tenants %zu, versions %" PRIu64 ", leaves %" PRIu64
        ", payloads %" PRIu64 "%s",
        doctor->tenants.count, sums->versions, sums->leaves, sums->payloads, rest);
}

/* False: this role may not look into a tenant, and would be told so by each further check. */
static bool check_logs(struct doctor *doctor)
{
    flagver_verify_result sums = { .leaves = 0 };
    flagver_error error = { .code = 0 };
    char what[FV_TENANT_LIMIT + 64];
    bool fine = true;
    size_t i;

    for (i = 0; i < doctor->tenants.count; i++) {
        const char *tenant = doctor->tenants.names[i].text;

        if (look_at_log(doctor, tenant, &sums, &error) < 0) {
            snprintf(what, sizeof what, "the audit log and the records of tenant \"%s\"", tenant);
            say_error(doctor, what, &error);
            fine = false;
        }
        if (error.code == FLAGVER_EDENIED)
            return false;
    }
    if (fine && !sums.findings)
        say_agreed(doctor, &sums);
    return true;
}

/* ---- keys ---- */

struct key_tally {
    unsigned all, closed;
    uint32_t no; /* of the first that is closed, */
    char id[FV_KEY_ID_SIZE];
};

static bool count_key(void *data, const flagver_data_key *key)
{
    struct key_tally *tally = data;

    tally->all++;
    if (!key->opens && tally->closed++ == 0) {
        tally->no = key->no;
        snprintf(tally->id, sizeof tally->id, "%s", key->key_id);
    }
    return true;
}

/* Is there a key for what is to be encrypted? The application may have its own. */
static void check_key_to_seal(struct doctor *doctor, const char *tenant,
                              const struct fv_policies *policies)
{
    const char *phase = fv_policies_encrypted(policies);
    uint8_t key[FLAGVER_KEY_SIZE];
    char id[FV_KEY_ID_SIZE];

    if (!phase)
        return;
    if (fv_keyring_first(doctor->store->keys, id, key, NULL) < 0)
        say(doctor, WARNING,
            "tenant \"%s\": phase \"%s\" is encrypted and there is no key: put one into "
            "FLAGVER_KEYS, unless the application brings its own",
            tenant, phase);
    else
        say(doctor, OK, "tenant \"%s\": there is a key for what is encrypted, \"%s\"", tenant, id);
    fv_wipe(key, sizeof key);
}

static void check_encryption(struct doctor *doctor, const char *tenant)
{
    flagver_error error = { .code = 0 };
    struct fv_policies *policies;
    struct fv_read read;
    int r;

    r = fv_read_begin(&read, doctor->store, tenant, &error);
    if (r == 0)
        r = fv_policies_read(&read, &policies, &error);
    fv_read_end(&read);
    if (r < 0) {
        say_error(doctor, "the policies cannot be read", &error);
        return;
    }
    check_key_to_seal(doctor, tenant, policies);
    fv_policies_release(policies);
}

static void check_keys(struct doctor *doctor)
{
    flagver_error error = { .code = 0 };
    size_t i;

    for (i = 0; i < doctor->tenants.count; i++) {
        const struct fv_tenancy tenancy = { doctor->store, doctor->tenants.names[i].text };
        struct key_tally tally = { .all = 0 };

        if (fv_keys_visit(&tenancy, count_key, &tally, &error) < 0)
            say_error(doctor, "the data keys cannot be read", &error);
        else if (tally.closed)
            say(doctor, WARNING,
                "tenant \"%s\": %u of %u data keys cannot be opened, the first: %" PRIu32
                ", which is under \"%s\"; what they seal was not looked into: put the right key "
                "of that name into FLAGVER_KEYS",
                tenancy.tenant, tally.closed, tally.all, tally.no, tally.id);
        else
            check_encryption(doctor, tenancy.tenant);
    }
}

/* ---- emergencies ---- */

static int has_vote(const struct fv_read *read, const flagver_version_row *version,
                    flagver_error *err)
{
    const flagver_query query = {
        .kind = FLAGVER_QUERY_VOTES, .id = version->series, .no = version->no, .limit = 1
    };
    const flagver_driver *driver = read->store->driver;
    flagver_cursor *cursor;
    flagver_row row;
    int r;

    r = driver->scan(read->txn, &query, &cursor, err);
    if (r < 0)
        return r;
    r = driver->next(cursor, &row, err);
    driver->end_scan(cursor);
    return r;
}

static void say_emergency(struct doctor *doctor, const char *tenant, const flagver_version_row *row)
{
    const int phase = (int)row->phase.length, subject = (int)row->subject.length;
    bool is_default = strcmp(tenant, DEFAULT_TENANT) == 0;
    char date[FV_DATETIME_SIZE];

    fv_datetime_format(row->decided_at / 1000, date);
    say(doctor, WARNING,
        "%.*s brought version %" PRIu32 " of %.*s \"%.*s\" into force by emergency at %s, and "
        "nobody has reviewed it; have another person run: flagver %s%s%sversion review %.*s "
        "%.*s@%" PRIu32,
        (int)row->decided_by.length, (const char *)row->decided_by.data, row->no, phase,
        (const char *)row->phase.data, subject, (const char *)row->subject.data, date,
        is_default ? "" : "--tenant ", is_default ? "" : tenant, is_default ? "" : " ", phase,
        (const char *)row->phase.data, subject, (const char *)row->subject.data, row->no);
}

/* Also those that are out of force again. */
static int look_for_emergencies(struct doctor *doctor, const char *tenant, size_t *count,
                                flagver_error *err)
{
    const flagver_query query = { .kind = FLAGVER_QUERY_VERSIONS,
                                  .pick = FLAGVER_PICK_ALL,
                                  .states = 1u << FLAGVER_STATE_APPROVED |
                                            1u << FLAGVER_STATE_SUPERSEDED };
    struct fv_read read;
    flagver_row row;
    int r, reviewed;

    r = fv_read_begin(&read, doctor->store, tenant, err);
    if (r == 0)
        r = fv_read_scan(&read, &query, err);
    while (r >= 0 && (r = fv_read_next(&read, &row, err)) > 0) {
        if (!(row.as.version.bits & FLAGVER_VERSION_EMERGENCY))
            continue;
        reviewed = has_vote(&read, &row.as.version, err);
        if (reviewed < 0)
            r = reviewed;
        if (reviewed == 0) {
            say_emergency(doctor, tenant, &row.as.version);
            ++*count;
        }
    }
    fv_read_end(&read);
    return r;
}

static void check_emergencies(struct doctor *doctor)
{
    flagver_error error = { .code = 0 };
    bool fine = true;
    size_t count = 0, i;

    for (i = 0; i < doctor->tenants.count; i++)
        if (look_for_emergencies(doctor, doctor->tenants.names[i].text, &count, &error) < 0) {
            say_error(doctor, "the emergencies cannot be read", &error);
            fine = false;
        }
    if (fine && count == 0)
        say(doctor, OK, "no emergency waits for a review");
}

/* ---- flags ---- */

struct flags {
    struct fv_map flag_names, segment_names, attribute_names;
    struct fv_definitions *definitions;
};

static int compile(struct flags *flags, const struct fv_harvest *harvest, flagver_error *err)
{
    const struct fv_definitions_source source = {
        .flag_names = &flags->flag_names,
        .segment_names = &flags->segment_names,
        .attribute_names = &flags->attribute_names,
    };

    return fv_definitions_from_records(&source, harvest->records, harvest->count,
                                       &flags->definitions, err);
}

static void say_spoiled(struct doctor *doctor, const char *tenant, const struct flags *flags,
                        size_t count)
{
    const struct fv_definitions *definitions = flags->definitions;
    const struct fv_spoiled *first = definitions->spoiled;

    say(doctor, BAD,
        "tenant \"%s\": %zu of %zu flags and segments cannot be used, the first: %s \"%.*s\": %s; "
        "put a sound definition or revert to one",
        tenant, definitions->spoiled_count, count, first->is_segment ? "segment" : "flag",
        (int)(first->key_length < 256 ? first->key_length : 256), first->key, first->why);
}

static int look_at_flags(struct doctor *doctor, const char *tenant,
                         const struct fv_harvest *harvest, bool *ret_fine, flagver_error *err)
{
    struct flags flags = { .definitions = NULL };
    int r;

    fv_map_init(&flags.flag_names, NULL);
    fv_map_init(&flags.segment_names, NULL);
    fv_map_init(&flags.attribute_names, NULL);
    r = compile(&flags, harvest, err);
    if (r == 0) {
        *ret_fine = flags.definitions->spoiled_count == 0;
        if (!*ret_fine)
            say_spoiled(doctor, tenant, &flags, harvest->count);
    }
    fv_definitions_release(flags.definitions);
    fv_map_clear(&flags.flag_names);
    fv_map_clear(&flags.segment_names);
    fv_map_clear(&flags.attribute_names);
    return r;
}

static void check_flags(struct doctor *doctor)
{
    struct fv_tenancy tenancy = { doctor->store, NULL };
    flagver_error error = { .code = 0 };
    bool fine = true, these_fine;
    struct fv_harvest harvest;
    size_t count = 0, i;
    int r;

    for (i = 0; i < doctor->tenants.count; i++) {
        tenancy.tenant = doctor->tenants.names[i].text;
        these_fine = false;
        fv_harvest_init(&harvest, NULL);
        r = fv_feed_all(&tenancy, 0, &harvest, &error);
        if (r == 0)
            r = look_at_flags(doctor, tenancy.tenant, &harvest, &these_fine, &error);
        if (r < 0)
            say_error(doctor, "the flags cannot be read", &error);
        fine = fine && these_fine;
        count += harvest.count;
        fv_harvest_clear(&harvest);
    }
    if (fine)
        say(doctor, OK, "all flags and segments are sound: %zu", count);
}

/* ---- the clock ---- */

static void check_clock(struct doctor *doctor)
{
    int64_t now = now_us();
    char date[FV_DATETIME_SIZE];

    fv_datetime_format(now / 1000, date);
    if (now / 1000 < FIRST_YEAR_MS || now / 1000 >= LAST_YEAR_MS)
        say(doctor, BAD, "the clock says %s: set it", date);
    else if (now < doctor->newest - CLOCK_TOLERANCE_US)
        say(doctor, BAD,
            "the clock says %s, %" PRId64 " s before the newest change in the store: set it, or "
            "find the machine whose clock is ahead",
            date, (doctor->newest - now) / 1000000);
    else
        say(doctor, OK, "the clock says %s", date);
}

/* ---- the host's own ---- */

static int check_options(const flagver_doctor_options *options, flagver_error *err)
{
    char what[48];
    size_t i;
    int r = 0;

    if (options->tenant)
        r = fv_check_text("options.tenant", options->tenant, FV_TENANT_LIMIT, err);
    if (r == 0 && options->check_count && !options->checks)
        r = fv_fail(err, FLAGVER_EINVAL, "options.checks is NULL");
    for (i = 0; r == 0 && i < options->check_count; i++) {
        snprintf(what, sizeof what, "options.checks[%zu].name", i);
        r = fv_check_text(what, options->checks[i].name, NAME_LIMIT, err);
        if (r == 0 && !options->checks[i].run)
            r = fv_fail(err, FLAGVER_EINVAL, "options.checks[%zu].run is NULL", i);
    }
    return r;
}

static void run_check(struct doctor *doctor, const flagver_doctor_check *check)
{
    char words[LINE_SIZE / 2] = "";
    int finding = check->run(check->data, words, sizeof words);

    words[sizeof words - 1] = '\0';
    words[strcspn(words, "\r\n")] = '\0';
    if (finding < OK || finding > BAD)
        say(doctor, BAD, "%s: the check returned %d, which is no finding: %s", check->name, finding,
            words);
    else
        say(doctor, finding, "%s: %s", check->name,
            *words          ? words
            : finding == OK ? "fine"
                            : "something is wrong, and the check does not say what");
}

static void run_checks(struct doctor *doctor)
{
    size_t i;

    for (i = 0; i < doctor->options->check_count; i++)
        run_check(doctor, &doctor->options->checks[i]);
}

/* ---- the whole ---- */

/* Where the database keeps tenants apart, whose there are may be hidden from all but an owner. */
static int find_tenants(struct doctor *doctor, flagver_error *err)
{
    const char *tenant = doctor->options->tenant ? doctor->options->tenant : DEFAULT_TENANT;
    int r = fv_tenants_list(doctor->store, &doctor->tenants, err);

    if (r != FLAGVER_EDENIED)
        return r;
    say(doctor, OK,
        "whose records there are this role does not see: those of \"%s\" are looked into; the "
        "owner "
        "of the schema sees all",
        tenant);
    return fv_map_add(&doctor->tenants, tenant, strlen(tenant)) == FV_MAP_NONE ? fv_fail_memory(err)
                                                                               : 0;
}

static void check_contents(struct doctor *doctor)
{
    flagver_error error = { .code = 0 };

    fv_map_init(&doctor->tenants, NULL);
    if (find_tenants(doctor, &error) < 0) {
        say_error(doctor, "the records cannot be read", &error);
    } else if (check_logs(doctor)) {
        check_keys(doctor);
        check_emergencies(doctor);
        check_flags(doctor);
    }
    fv_map_clear(&doctor->tenants);
}

static void look_over(struct doctor *doctor)
{
    if (!check_open(doctor))
        return;
    check_driver(doctor);
    check_database(doctor);
    check_file(doctor);
    if (check_version(doctor)) {
        check_schema(doctor);
        check_writing(doctor);
        check_contents(doctor);
    }
    check_clock(doctor);
    fv_store_release(doctor->store);
}

int fv_doctor(const char *uri, const flagver_doctor_options *options,
              void (*visit)(void *data, int finding, const char *line), void *data,
              flagver_error *err)
{
    struct doctor doctor = { .visit = visit, .data = data, .uri = uri, .options = options };
    int r = check_options(options, err);

    if (r < 0)
        return r;
    look_over(&doctor);
    run_checks(&doctor);
    return doctor.memory_is_short ? fv_fail_memory(err) : doctor.found;
}
