/*
 * What the library is compared with on PostgreSQL: the same rows in the same tables, written and
 * read by hand through libpq as an application would. Statements are prepared once and parameters
 * are binary; each statement is waited for before the next one. Nothing is parsed, checked or hashed.
 */
#ifndef BENCH_PQ_H
#define BENCH_PQ_H

#include <stddef.h>

#include "sql.h"

struct pq;

/* A store of the library that nobody else is writing to; as whichever role the URI names. */
struct pq *pq_open(const char *uri);
void pq_close(struct pq *pq);

/*
 * One transaction: the first version of a record, which was submitted, is approved; or a record
 * that is not there yet is created, submitted and approved. Leaves are as long as those
 * that the library wrote last before pq_open(), which were of all three.
 */
void pq_approve(struct pq *pq, const struct sql_record *record);
void pq_create(struct pq *pq, const struct sql_record *record);

/* The definitions in force of all flags, one after the other; how many. */
size_t pq_read_all(struct pq *pq, void (*visit)(const char *json, size_t length));

/*
 * What the last transaction has written into a store, as COPY writes it, and the same written into
 * another one by COPY, in one transaction. Only by a superuser: others may not COPY into tables
 * with row-level security.
 */
struct pq_rows;

struct pq_rows *pq_copy_out(struct pq *pq);
void pq_copy_in(struct pq *pq, const struct pq_rows *rows);
void pq_rows_free(struct pq_rows *rows);

#endif
