/*
 * Errors are worded once, where they happen, and passed up untouched:
 *
 *     if (length > 255)
 *         return fv_fail(err, FLAGVER_EINVAL, "key is %zu bytes; 1 to 255 allowed", length);
 */
#ifndef FV_UTIL_FAIL_H
#define FV_UTIL_FAIL_H

#include "flagver/base.h"
#include "util/text.h"

/* Fills *err when it is not NULL and returns `code`. */
int fv_fail(flagver_error *err, int code, const char *format, ...) FV_TEXT_FORMAT(3, 4);

/* The same with the errno of a system call behind the words. */
int fv_fail_errno(flagver_error *err, int code, int number, const char *format, ...)
    FV_TEXT_FORMAT(4, 5);

/* "out of memory", FLAGVER_ENOMEM. */
int fv_fail_memory(flagver_error *err);

/* Hands a text to a public caller, as fv_text_detach(); FLAGVER_ENOMEM: *ret_text is untouched. */
int fv_text_give(struct fv_text *text, char **ret_text, flagver_error *err);

/* As flagver_strerror(), flagver_error_name() and flagver_error_class(). */
const char *fv_error_words(int code);
const char *fv_error_name(int code);
int fv_error_class(int code);

#endif
