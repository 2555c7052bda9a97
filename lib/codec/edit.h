/*
 * Small changes of a flag's definition: from its text to the changed one in
 * canonical form, with all that the change is not about as it was.
 *
 * Nothing here knows whether the definition is sound otherwise: who calls checks
 * the result with fv_definition_check(). A change that is none gives the text as
 * it was, in canonical form.
 *
 * A boolean that nothing selects is on for everybody (docs/flags.md, "default").
 * No change here brings that about by taking something away: when the last beta
 * user leaves, or the schedule is cleared, and nothing else says who gets the
 * flag, it stays with "percentage": 0.
 *
 * All functions append to `out`; on failure it holds what it held before. They
 * return 0, or
 *   FLAGVER_EPARSE  the text is no JSON object with a "type", or what is to be
 *                   changed is of the wrong JSON type
 *   FLAGVER_EINVAL  the flag is no boolean where one is needed, or an argument
 *                   is out of range
 *   FLAGVER_ENOMEM
 *
 * Threads: any; nothing is shared.
 */
#ifndef FV_CODEC_EDIT_H
#define FV_CODEC_EDIT_H

#include "flagver/base.h"
#include "util/text.h"

/* Sets "enabled", for flags of any type. */
int fv_edit_enabled(const char *text, size_t length, bool enabled, struct fv_text *out,
                    flagver_error *err);

/*
 * Serve the true variant of a boolean to so many percent: 0 to 100, at most
 * three decimals. The flag's own percentage, split or schedule is replaced; those
 * of its rules are not. `clear_beta` takes the beta list away.
 */
int fv_edit_ramp(const char *text, size_t length, double percentage, bool clear_beta,
                 struct fv_text *out, flagver_error *err);

/*
 * Would this percentage take the flag from some and give it to nobody? 1 when it is lower than
 * what the flag serves now, or at some time of its schedule; 0; or an error.
 */
int fv_edit_lowers(const char *text, size_t length, double percentage, flagver_error *err);

/*
 * Add users to the beta list of a boolean, behind those that are there, or
 * remove them. Nobody stands there twice afterwards; removing someone who is
 * not there changes nothing.
 */
int fv_edit_beta(const char *text, size_t length, bool add, const char *const *users, size_t count,
                 struct fv_text *out, flagver_error *err);

/*
 * Give a boolean a schedule, a JSON object, in place of its own percentage, split
 * or schedule. NULL takes the schedule away and leaves the other two alone. An
 * error in the schedule's text has the place in that text.
 */
int fv_edit_schedule(const char *text, size_t length, const char *schedule, size_t schedule_length,
                     struct fv_text *out, flagver_error *err);

#endif
