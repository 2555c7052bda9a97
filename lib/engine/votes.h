/*
 * Who has approved a version, and who has written it.
 */
#ifndef FV_ENGINE_VOTES_H
#define FV_ENGINE_VOTES_H

#include "store/transaction.h"

/* Has the transaction's actor created or edited the version? */
int fv_votes_is_author(flagver_txn *txn, const struct fv_staged *version, bool *ret_author,
                       flagver_error *err);

/* It has edited it now; who has created it is known anyhow. */
int fv_votes_add_author(flagver_txn *txn, struct fv_staged *version, flagver_error *err);

/*
 * How many have approved the content that the version has now, and has the actor? Votes of authors
 * count only where `of_authors`: one may have become an author after the vote.
 */
int fv_votes_count(flagver_txn *txn, const struct fv_staged *version, bool of_authors,
                   uint32_t *ret_votes, bool *ret_has_voted, flagver_error *err);

int fv_votes_add(flagver_txn *txn, struct fv_staged *version, int64_t time, flagver_bytes note,
                 flagver_error *err);

#endif
