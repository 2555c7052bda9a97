/*
 * Payloads of records: JSON comes in as people write it and is kept in canonical
 * form (codec/canonical.h).
 *
 * On failure `out` holds what it held before. Threads: any; nothing is shared.
 */
#ifndef FV_CODEC_PAYLOAD_H
#define FV_CODEC_PAYLOAD_H

#include "flagver/base.h"
#include "util/text.h"

/*
 * Parse any JSON value strictly and append it in canonical form.
 *
 * @return 0, FLAGVER_EPARSE with line and column, FLAGVER_ENOMEM
 */
int fv_payload_canonical(const char *json, size_t length, struct fv_text *out, flagver_error *err);

struct fv_schema;

/* The same, when it fits the schema (NULL: anything does); else FLAGVER_EVALIDATION. */
int fv_payload_check(const char *json, size_t length, const struct fv_schema *schema,
                     struct fv_text *out, flagver_error *err);

/*
 * Check the definition of one flag or segment as strictly as in a file, but by
 * itself: whether what it refers to exists is left open, but it may not refer to
 * itself. Pointers in errors
 * begin at the definition: "line 1, column 18: /percentage: …".
 *
 * @param out        the definition is appended in canonical form; may be NULL
 * @param reference  told of each flag (with the variant that it is to serve) and
 *                   each segment (variant NULL) that the definition names, as
 *                   often as it does; the strings live during the call. May be
 *                   NULL. It is told only of a definition that is sound.
 * @return 0, FLAGVER_EPARSE with line and column, FLAGVER_ENOMEM
 */
int fv_definition_check(bool is_segment, const char *key, size_t key_length, const char *json,
                        size_t length, struct fv_text *out,
                        void (*reference)(void *data, bool to_flag, const char *name,
                                          const char *variant),
                        void *data, flagver_error *err);

#endif
