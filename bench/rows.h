/*
 * A table of an application's beside a store's, and the application's own connection to it: as a side of
 * a route, and used by hand with the same statements.
 *
 * "rows" has a key of 16 bytes and a JSON value of about 120. What is done by hand is what an
 * application would do without the library: statements are prepared once, nothing is checked.
 */
#ifndef BENCH_ROWS_H
#define BENCH_ROWS_H

#include <flagver.h>
#include <stddef.h>

#define ROWS_KEY 17
#define ROWS_VALUE 160

struct rows;

/* What a database can do; `rows` has one of these. */
struct rows_driver {
    void (*close)(struct rows *rows);
    /* Statements, one after the other; the first column of the first row. Good until the next call. */
    const char *(*run)(struct rows *rows, const char *sql);
    /* The rows after a key, in order; how many. */
    size_t (*scan)(struct rows *rows, const char *after, size_t limit,
                   void (*visit)(void *data, const char *key, const char *value, size_t length),
                   void *data);
    /* Write them, and a version beside each, only where that is greater than what is there. */
    void (*put)(struct rows *rows, const flagver_side_row *added, size_t count);
    /* The functions of a side; `data` is the rows. */
    flagver_side side;
};

struct rows {
    const struct rows_driver *driver;
};

/* In a store's file; in the database of a store. */
struct rows *rows_open_sqlite(const char *path);
#ifndef FV_WITHOUT_postgres
struct rows *rows_open_postgres(const char *uri);
#endif
void rows_close(struct rows *rows);

/* So many rows; the same ones everywhere. */
void rows_fill(struct rows *rows, size_t count);

flagver_side rows_side(struct rows *rows, flagver_client *client);

/* Read all by chunks, SHA-256 of each row; how many. */
size_t rows_hash(struct rows *rows, size_t at_once);

/* Copy all by chunks, each in a transaction; how many. */
size_t rows_copy(struct rows *from, struct rows *to, size_t at_once);

#endif
