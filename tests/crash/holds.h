/*
 * What holds of every store, whatever happened to it: numbers without a gap, a
 * chain from each version in force to the next, and an audit log that tells of
 * each change once and in order. And a store as one text, to compare.
 */
#ifndef FLAGVER_TESTS_HOLDS_H
#define FLAGVER_TESTS_HOLDS_H

#include "place.h"

/* A version, as the log tells of it and as it is. */
struct held_version {
    int32_t state;
    uint32_t superseded_by;
    int64_t decided_at, rev;
    uint8_t hash[32];
    char note[64];
};

struct held_series {
    char *phase, *subject;
    struct held_version *versions; /* number 1 first */
    uint32_t count;
    uint32_t read; /* of the versions the log tells of, how many there are */
};

/* All that is in a client's tenant. */
struct held {
    struct held_series *series;
    size_t count;
    uint64_t leaves;
    int64_t time; /* of the last leaf */
    bool fine;
};

static inline struct held_series *held_find(const struct held *held, const char *phase,
                                            const char *subject)
{
    size_t i;

    for (i = 0; i < held->count; i++)
        if (strcmp(held->series[i].subject, subject) == 0 &&
            strcmp(held->series[i].phase, phase) == 0)
            return &held->series[i];
    return NULL;
}

/* Room for one more; the size doubles when it is a power of two. */
static inline void *held_grow(void *array, size_t count, size_t size)
{
    void *grown = array;

    if ((count & (count - 1)) == 0)
        grown = realloc(array, (count ? 2 * count : 1) * size);
    if (!grown)
        abort();
    return grown;
}

static inline struct held_series *held_add(struct held *held, const char *phase,
                                           const char *subject)
{
    struct held_series *series = held_find(held, phase, subject);

    if (series)
        return series;
    held->series = held_grow(held->series, held->count, sizeof *held->series);
    series = &held->series[held->count++];
    *series = (struct held_series){ .phase = strdup(phase), .subject = strdup(subject) };
    return series;
}

static inline void held_free(struct held *held)
{
    size_t i;

    for (i = 0; i < held->count; i++) {
        free(held->series[i].phase);
        free(held->series[i].subject);
        free(held->series[i].versions);
    }
    free(held->series);
    *held = (struct held){ 0 };
}

/* ---- the log ---- */

static inline bool held_created(struct held_series *series, const flagver_audit_entry *entry)
{
    if (entry->version_no != series->count + 1)
        return complain("leaf %llu creates version %u of %s after version %u",
                        (unsigned long long)entry->no, entry->version_no, series->subject,
                        series->count);
    series->versions = held_grow(series->versions, series->count, sizeof *series->versions);
    series->versions[series->count++] = (struct held_version){ 0 };
    return true;
}

static inline bool held_superseded(struct held_series *series, const flagver_audit_entry *entry)
{
    struct held_version *before;

    if (entry->supersedes == 0)
        return true;
    if (entry->supersedes >= entry->version_no)
        return complain("leaf %llu: version %u of %s takes the place of version %u",
                        (unsigned long long)entry->no, entry->version_no, series->subject,
                        entry->supersedes);
    before = &series->versions[entry->supersedes - 1];
    if (before->state != FLAGVER_STATE_APPROVED)
        return complain("leaf %llu: version %u of %s was not in force",
                        (unsigned long long)entry->no, entry->supersedes, series->subject);
    before->state = FLAGVER_STATE_SUPERSEDED;
    before->superseded_by = entry->version_no;
    before->rev++;
    return true;
}

static inline bool held_leaf(struct held *held, const flagver_audit_entry *entry)
{
    struct held_series *series = held_add(held, entry->phase, entry->subject);
    struct held_version *version;

    if (entry->no != held->leaves)
        return complain("leaf %llu comes where %llu should", (unsigned long long)entry->no,
                        (unsigned long long)held->leaves);
    held->leaves++;
    if (entry->from == 0 && !held_created(series, entry))
        return false;
    if (entry->version_no == 0 || entry->version_no > series->count)
        return complain("leaf %llu is about version %u of %s, which has %u",
                        (unsigned long long)entry->no, entry->version_no, series->subject,
                        series->count);
    if (!held_superseded(series, entry))
        return false;
    version = &series->versions[entry->version_no - 1];
    if (version->state != entry->from)
        return complain("leaf %llu: version %u of %s was %d and not %d",
                        (unsigned long long)entry->no, entry->version_no, series->subject,
                        version->state, entry->from);
    version->state = entry->to;
    version->rev++;
    memcpy(version->hash, entry->content_hash, sizeof version->hash);
    held->time = entry->time;
    return true;
}

static inline bool held_visit_leaf(void *data, const flagver_audit_entry *entry)
{
    struct held *held = data;

    held->fine = held_leaf(held, entry);
    return held->fine;
}

/* ---- the versions ---- */

static inline bool held_same(const struct held_series *series, const flagver_version *version)
{
    const struct held_version *told = &series->versions[version->no - 1];

    if (version->state != told->state || version->superseded_by != told->superseded_by ||
        version->rev != told->rev ||
        memcmp(version->content_hash, told->hash, sizeof told->hash) != 0)
        return complain(
            "version %u of %s: state %d, rev %lld, superseded by %u; the log tells "
            "of state %d, rev %lld, superseded by %u%s",
            version->no, series->subject, version->state, (long long)version->rev,
            version->superseded_by, told->state, (long long)told->rev, told->superseded_by,
            memcmp(version->content_hash, told->hash, 32) ? ", and another content" : "");
    return true;
}

/* Each takes over at the very moment at which the one before ends. */
static inline bool held_in_time(const struct held_series *series, const flagver_version *version)
{
    uint32_t next = version->superseded_by;

    if (version->decided_at && version->decided_at < version->created_at)
        return complain("version %u of %s was decided before it was there", version->no,
                        series->subject);
    if (next && version->superseded_at <= version->decided_at)
        return complain("version %u of %s ends before it begins", version->no, series->subject);
    return true;
}

static inline bool held_visit_version(void *data, const flagver_version *version)
{
    struct held *held = data;
    struct held_series *series = held_find(held, version->phase, version->subject);

    held->fine = false;
    if (version->no != series->read + 1 || version->no > series->count)
        return complain("version %u of %s follows version %u; the log tells of %u", version->no,
                        series->subject, series->read, series->count);
    series->read++;
    if (!held_same(series, version) || !held_in_time(series, version))
        return false;
    series->versions[version->no - 1].decided_at = version->decided_at;
    snprintf(series->versions[version->no - 1].note, sizeof series->versions->note, "%s",
             version->note ? version->note : "");
    held->fine = true;
    return true;
}

static inline bool held_read_series(flagver_client *client, struct held *held, size_t i)
{
    struct held_series *series = &held->series[i];
    flagver_error problem;
    int r;

    r = flagver_version_history(client, series->phase, series->subject, NULL, held_visit_version,
                                held, &problem);
    if (r < 0)
        return complain("history of %s: %s", series->subject, problem.message);
    if (held->fine && series->read != series->count)
        return complain("%s has %u versions; the log tells of %u", series->subject, series->read,
                        series->count);
    return held->fine;
}

/* Read everything, and see that it fits together. It is to be freed in any case. */
static inline bool held_read(flagver_client *client, struct held *held)
{
    flagver_error problem;
    uint64_t next = 0;
    size_t i;
    int r;

    *held = (struct held){ .fine = true };
    r = flagver_audit_log(client, 0, 0, held_visit_leaf, held, &next, &problem);
    if (r < 0)
        return complain("audit log: %s", problem.message);
    if (held->fine && next != held->leaves)
        return complain("after %llu leaves comes leaf %llu", (unsigned long long)held->leaves,
                        (unsigned long long)next);
    for (i = 0; held->fine && i < held->count; i++)
        held->fine = held_read_series(client, held, i);
    return held->fine;
}

static inline bool holds(flagver_client *client)
{
    struct held held;
    bool fine = held_read(client, &held);

    held_free(&held);
    return fine;
}

/* ---- the file ---- */

static inline void held_found(void *data, bool fine, const char *line)
{
    (void)data;
    if (!fine)
        complain("%s", line);
}

/* The schema is whole and nothing is damaged: the driver says so. */
static inline bool schema_holds(const char *uri)
{
    flagver_error problem;
    int r = flagver_schema_verify(uri, held_found, NULL, &problem);

    return r == 0 || (r < 0 ? complain("verify: %s", problem.message)
                            : complain("verify found %d things", r));
}

/* ---- as one text ---- */

struct dump {
    FILE *out;
    struct held names; /* of the series, in the order in which they appear */
};

static inline void dump_hash(FILE *out, const uint8_t hash[32])
{
    size_t i;

    for (i = 0; i < 32; i++)
        fprintf(out, "%02x", hash[i]);
}

static inline bool dump_leaf(void *data, const flagver_audit_entry *entry)
{
    struct dump *dump = data;

    fprintf(dump->out, "leaf %llu %lld %s %s %s/%s %u %u %d %d %u ", (unsigned long long)entry->no,
            (long long)entry->time, entry->actor, entry->action, entry->phase, entry->subject,
            entry->version_no, entry->supersedes, entry->from, entry->to, entry->bits);
    dump_hash(dump->out, entry->leaf_hash);
    fputc('\n', dump->out);
    held_add(&dump->names, entry->phase, entry->subject);
    return true;
}

static inline bool dump_version(void *data, const flagver_version *version)
{
    const struct dump *dump = data;

    fprintf(dump->out,
            "%s/%s %u %s parent %u base %u reverts %u by %u state %d%s rev %lld %lld %lld %lld "
            "%lld %s %s %s %s\n",
            version->phase, version->subject, version->no, version->id, version->parent_no,
            version->base_no, version->reverts_no, version->superseded_by, version->state,
            version->tombstone ? " gone" : "", (long long)version->rev,
            (long long)version->created_at, (long long)version->submitted_at,
            (long long)version->decided_at, (long long)version->superseded_at, version->created_by,
            version->decided_by ? version->decided_by : "-", version->note ? version->note : "-",
            version->payload);
    return true;
}

/* All that is in the client's tenant; NULL when it cannot be read. From malloc. */
static inline char *dump_store(flagver_client *client)
{
    const flagver_list_options options = { .size = sizeof options, .payload = 1 };
    char *text = NULL;
    size_t length, i;
    struct dump dump = { open_memstream(&text, &length), { 0 } };
    int r;

    if (!dump.out)
        abort();
    r = flagver_audit_log(client, 0, 0, dump_leaf, &dump, NULL, NULL);
    for (i = 0; r == 0 && i < dump.names.count; i++)
        r = flagver_version_history(client, dump.names.series[i].phase,
                                    dump.names.series[i].subject, &options, dump_version, &dump,
                                    NULL);
    held_free(&dump.names);
    fclose(dump.out);
    if (r == 0)
        return text;
    free(text);
    return NULL;
}

#endif
