/*
 * Flags and segments are both records, and most commands are the same for both.
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <flagver.h>
#include <jansson.h>

#include "request.h"

struct cli_kind {
    const char *name; /* the first word of its commands, and the member of documents with the key */
    const char *phase;
    int (*put)(flagver_txn *txn, const char *key, const char *json, size_t length,
               const flagver_write_options *options, uint32_t *ret_no, flagver_error *err);
    int (*revert)(flagver_txn *txn, const char *key, uint32_t no,
                  const flagver_write_options *options, uint32_t *ret_no, flagver_error *err);
    int (*remove)(flagver_txn *txn, const char *key, const flagver_write_options *options,
                  uint32_t *ret_no, flagver_error *err);
};

extern const struct cli_kind cli_flag_kind, cli_segment_kind;

/* What a command is about: "flag get", "segment get". */
const struct cli_kind *cli_kind_of(const struct cli_request *request);

/* A version as a document, without its definition. */
json_t *cli_version_document(const struct cli_kind *kind, const flagver_version *version);

/* The definition, unless it has been deleted or was not read. NULL: there is none. */
json_t *cli_version_definition(const flagver_version *version);

/*
 * Complains that there is no such record, or (`no` > 0) no such version of it; of one that
 * was deleted, by whom and how it comes back. Returns CLI_NOT_FOUND.
 */
int cli_record_missing(const struct cli_request *request, flagver_client *client,
                       const struct cli_kind *kind, const char *key, uint32_t no);

#endif
