/*
 * What is written into stores: records, all of them alike, by way of approval or at once; and
 * all flags.
 */
#ifndef BENCH_RECORDS_H
#define BENCH_RECORDS_H

#include <flagver.h>

#include "sql.h"

#define REVIEW "bench.review" /* records of this phase are approved, */
#define EVENTS "bench.events" /* and those of this one recorded */
#define SUBJECT 48

/* Makes the two phases. */
void records_set_policies(flagver_txn *txn);

/* What is written as the so-manyth one: subject and text are equally long for all. */
void records_make(size_t number, const char *phase, char subject[SUBJECT],
                  struct sql_record *ret_record);

/* A record's first version: created and submitted; then approved; or recorded. */
void records_submit(flagver_txn *txn, const struct sql_record *record);
void records_approve(flagver_txn *txn, const struct sql_record *record);
void records_record(flagver_txn *txn, const struct sql_record *record);

/* BENCH_FLAGS flags of all kinds. */
void records_put_flags(flagver_txn *txn);

/* What is done with each definition that is read by hand: jansson parses and frees it. */
void records_parse(const char *text, size_t length);

#endif
