/*
 * What the library is compared with where there is a store: the same rows in the same tables,
 * written and read by the least SQL that does it. Statements are prepared once; ids and numbers
 * are known and not looked up; nothing is parsed, checked or hashed.
 *
 * The tables are those that the library has made, with their constraints and
 * triggers, and the connection has the library's settings.
 */
#ifndef BENCH_SQL_H
#define BENCH_SQL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sql;

/* A store of the library that nobody else has open. */
struct sql *sql_open(const char *path);
void sql_close(struct sql *sql);

/* A record that is not there yet; `json` in canonical form. */
struct sql_record {
    const char *phase, *subject, *json;
    size_t length;
};

/*
 * One transaction: flags of plan_key() get new definitions, records are created, submitted and
 * approved, or are recorded. Leaves are as long as the last ones that the library has written
 * are: of a flag that was put; of a record, and then of an approval.
 */
void sql_begin(struct sql *sql);
void sql_change(struct sql *sql, const char *key, const char *json, size_t length);
void sql_approve(struct sql *sql, const struct sql_record *record);
void sql_record(struct sql *sql, const struct sql_record *record);
void sql_commit(struct sql *sql);

/* The definition in force of one flag: its length. */
size_t sql_read(struct sql *sql, const char *key);

/* Those of all flags, one after the other; how many. */
size_t sql_read_all(struct sql *sql, void (*visit)(const char *json, size_t length));

/* A leaf of the log by its number: the length of its hash. */
size_t sql_read_leaf(struct sql *sql, int64_t number);

/* SHA-256 of all leaves, one after the other; how many. */
size_t sql_hash_leaves(struct sql *sql);

/* How many rows there are in a store, and how many bytes: equal for equal work. Freed with free(). */
char *sql_census(const char *path);

#endif
