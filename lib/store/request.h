/*
 * Idempotency: a keyed row (space "request") per transaction. It is written with
 * the transaction, so its presence says that the transaction took place; and
 * under a key that operations are recorded by, it says what each of them was
 * asked to do (a digest) and what came of it (a version number, or a text).
 */
#ifndef FV_STORE_REQUEST_H
#define FV_STORE_REQUEST_H

#include "store/transaction.h"

#define FV_REQUEST_SPACE "request"
#define FV_REQUEST_OF_CALLER "c:" /* what the keys of rows begin with, before the caller's */
#define FV_REQUEST_KEPT_US (INT64_C(7) * 24 * 3600 * 1000000)

/* Was there a transaction under this key? Then this one replays it. */
int fv_request_find(flagver_txn *txn, flagver_error *err);

/* Stages this transaction's row. */
int fv_request_stage(flagver_txn *txn, flagver_error *err);

#endif
