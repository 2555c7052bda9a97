/*
 * Flags as code: what has to be done so that the records of a store become what
 * a definitions file says, phases and assignments included; and the way back, from
 * flags and segments to a file.
 */
#ifndef FV_CODEC_PLAN_H
#define FV_CODEC_PLAN_H

#include "codec/records.h"
#include "model/policy.h"
#include "util/text.h"

enum fv_plan_action { FV_PLAN_CREATE, FV_PLAN_CHANGE, FV_PLAN_DELETE };

/* One record to be written. */
struct fv_plan_step {
    enum fv_plan_action action;
    enum fv_form form;
    const char *key;
    size_t key_length;
    const char *text; /* the definition or policy … in canonical form; NULL: delete */
    size_t length;
    int64_t version;  /* of the record that is there; 0 when there is none */
    const char *diff; /* fv_diff_lines() from what is there, {} standing for nothing */
};

struct fv_plan_steps {
    struct fv_plan_step *steps;
    size_t count;
    struct fv_arena memory; /* of all the strings */
};

/* Records of one form; of fv_record only key, text and version count. */
struct fv_plan_documents {
    const struct fv_record *records;
    size_t count;
};

struct fv_plan_request {
    const char *text; /* of the definitions file */
    size_t length;
    const char *name;                /* of the file, for places; NULL: none */
    const struct fv_record *records; /* all that are there; those without text are not */
    size_t count;
    struct fv_plan_documents policies, assignments; /* that are there, too */
    bool prune; /* what is not in the file is to go; else the file is merged over the records */
};

/*
 * What is to be done: first all creations and changes, then all deletions; in
 * each of them segments, flags, assignments and policies, and these in byte order
 * of their keys. What is as the file wants it is not listed. Policies and assignments
 * go only when the file has their section: a file of flags says nothing about them.
 *
 * The file is checked as fv_definitions_read() does, without `prune` together
 * with the records around it; null in it then deletes. What was wrong with
 * records before is not held against a file that leaves them alone.
 *
 * @param ret_steps  freed with fv_plan_clear(); untouched on failure
 * @return 0, FLAGVER_EPARSE with line and column, FLAGVER_ENOMEM
 */
int fv_plan_make(const struct fv_plan_request *request, struct fv_plan_steps *ret_steps,
                 flagver_error *err);
void fv_plan_clear(struct fv_plan_steps *steps);

/*
 * A definitions file of records: one definition a line, canonical, in byte order
 * of keys. Reading it and exporting the result again gives the same bytes.
 * Definitions that are not sound are exported as they are; a text that is no
 * JSON cannot be.
 *
 * @return 0, FLAGVER_EPARSE (the words name the record), FLAGVER_ENOMEM;
 *   on failure `out` holds what it held before
 */
int fv_definitions_export(const struct fv_record *records, size_t count, struct fv_text *out,
                          flagver_error *err);

#endif
