/*
 * Definitions from records, leniently: where a file is refused as a whole, a
 * record that is malformed spoils only its own flag.
 *
 * Spoiled, and why, is
 *
 * - a flag or segment whose text is no sound definition, or whose key is none;
 * - one that names a flag, a variant or a segment that is not there; a spoiled
 *   segment counts as not there;
 * - one that depends on itself;
 * - one from which references lead on more than FV_REFERENCE_DEPTH times, or
 *   that could make more than FV_TEST_LIMIT tests. A spoiled flag is an end
 *   there: nothing leads on from it.
 *
 * A spoiled flag answers FLAGVER_ERROR_PARSE_ERROR, whatever the context, and
 * can be forced as long as its variants could be read. Flags that ask for it
 * find that it serves no variant. What is spoiled is decided anew each time for
 * all that is there, so a flag recovers when what it missed comes back.
 *
 * Two flags may share the variable that would force them (FLAGVER_FLAG_A_B for
 * "a-b" and "a_b"): both are there, and it forces neither. Whoever forces flags
 * asks fv_force_is_shared().
 */
#ifndef FV_CODEC_RECORDS_H
#define FV_CODEC_RECORDS_H

#include "codec/definitions.h"

/* Records with longer keys, of which no store has any, are as if they were not there. */
#define FV_RECORD_KEY_LIMIT 512

/* A flag or segment as a store has it. */
struct fv_record {
    bool is_segment;
    const char *key;
    size_t key_length;
    const char *text; /* the definition's JSON object; NULL: there is none any more */
    size_t length;
    int64_t version;   /* of the record: flagver_detail.version */
    const char *image; /* of the text, as fv_image_write() made it; or NULL */
    size_t image_length;
};

/*
 * Make definitions of records; of two with one key the later counts. `source`
 * as for fv_definitions_read() but for its text, name and lint: with `merge` the
 * records are added to `source->current` and those without text removed, else
 * they are all there is. What has the same text and version as in
 * `source->current` is kept from there; without "env" it is not even parsed.
 *
 * @param ret_definitions  held once
 * @return 0, FLAGVER_ENOMEM
 */
int fv_definitions_from_records(const struct fv_definitions_source *source,
                                const struct fv_record *records, size_t count,
                                struct fv_definitions **ret_definitions, flagver_error *err);

/*
 * Records one by one, made into definitions while the next ones are on their way. `next` returns 1
 * and a record, borrowed until it is called again, 0 behind the last one, or an error, which
 * ends it all.
 */
struct fv_record_stream {
    int (*next)(void *data, struct fv_record *ret_record, flagver_error *err);
    void *data;
};

int fv_definitions_from_stream(const struct fv_definitions_source *source,
                               const struct fv_record_stream *stream,
                               struct fv_definitions **ret_definitions, flagver_error *err);

#endif
