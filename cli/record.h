/*
 * Flags, segments and migrations are records of phases of their own, and most commands are the
 * same for them and for those of any other phase.
 */
#ifndef CLI_RECORD_H
#define CLI_RECORD_H

#include <flagver.h>
#include <jansson.h>

#include "request.h"
#include "table.h"

struct cli_kind {
    const char *name; /* the first word of its commands, and the member of documents with the key */
    const char *phase;
    int (*put)(flagver_txn *txn, const char *key, const char *json, size_t length,
               const flagver_write_options *options, uint32_t *ret_no, flagver_error *err);
    /* NULL: by the commands of versions */
    int (*revert)(flagver_txn *txn, const char *key, uint32_t no,
                  const flagver_write_options *options, uint32_t *ret_no, flagver_error *err);
    int (*remove)(flagver_txn *txn, const char *key, const flagver_write_options *options,
                  uint32_t *ret_no, flagver_error *err);
};

extern const struct cli_kind cli_flag_kind, cli_segment_kind, cli_route_kind;

/* What a command is about: "flag get KEY", "segment get NAME", "version current PHASE SUBJECT". */
struct cli_record {
    const struct cli_kind *kind; /* NULL: of any phase */
    const char *phase, *key;     /* key NULL: all */
    int operands;                /* how many of the command line say that */
};

void cli_record_of(const struct cli_request *request, struct cli_record *ret_record);

/* A document that begins with the record's name: "flag", "segment", or "phase" and "subject". */
json_t *cli_record_document(const struct cli_kind *kind, const char *phase, const char *key);

/* A version as such a document, without its content. */
json_t *cli_version_document(const struct cli_kind *kind, const flagver_version *version);

/* "here", "shredded", "sealed"; NULL: it was not asked for. */
const char *cli_payload_state_name(int32_t state);

/* A version's "payloadState" and its payload as JSON; both are null for a tombstone, which has none. */
json_t *cli_payload_state(const flagver_version *version);
const char *cli_payload_json(const flagver_version *version);

/* What stands in it, unless it has been deleted or was not read. NULL: there is none. */
json_t *cli_version_definition(const flagver_version *version);

/* Adds a row's cells: "superseded, reverts 2", and since when it is in this state. */
void cli_table_add_state(struct cli_table *table, const flagver_version *version);
void cli_table_add_since(struct cli_table *table, const flagver_version *version);

/* The first row. Ends with NULL. */
void cli_table_add_heading(struct cli_table *table, const char *const *words);

/* "flagver version submit flagver.flag report_setup@4", as a shell takes it. */
void cli_print_suggestion(const char *action, const flagver_version *version);

/*
 * What became of a version that was written, in words: "version 4 waits for approval (...)".
 * False, and nothing printed, when it is in force, or was.
 */
bool cli_print_pending(const flagver_version *version);

/*
 * Complains that there is no such record, or (`no` > 0) no such version of it; of one that
 * was deleted, by whom and how it comes back. Returns CLI_NOT_FOUND.
 */
int cli_record_missing(const struct cli_request *request, flagver_client *client,
                       const struct cli_record *record, uint32_t no);

#endif
