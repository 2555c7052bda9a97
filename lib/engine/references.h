/*
 * What a definition refers to, looked at when it is written: a flag that names
 * something that is not there would serve nothing.
 *
 * Readers bear with what is wrong all the same (codec/records.h): on a store with
 * several writers two changes, each fine by itself, can break something together.
 */
#ifndef FV_ENGINE_REFERENCES_H
#define FV_ENGINE_REFERENCES_H

#include "store/transaction.h"
#include "util/text.h"

/*
 * Check a definition by itself (fv_definition_check) and, when it refers to others,
 * together with all that can be reached from it, as they are in this transaction.
 *
 * @param out  the definition is appended in canonical form
 * @return 0, FLAGVER_EPARSE, or an error of the store
 */
int fv_references_check(flagver_txn *txn, bool is_segment, const char *key, const char *json,
                        size_t length, struct fv_text *out, flagver_error *err);

/* FLAGVER_ESTATE, and who it is, when something in force refers to it. */
int fv_references_check_removal(flagver_txn *txn, bool is_segment, const char *key,
                                flagver_error *err);

#endif
