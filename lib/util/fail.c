#define _POSIX_C_SOURCE 200809L /* the strerror_r that returns int */

#include "util/fail.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void fill(flagver_error *err, int code, int native, const char *format, va_list arguments)
{
    memset(err, 0, offsetof(flagver_error, message));
    err->code = code;
    err->native = native;
    vsnprintf(err->message, sizeof err->message, format, arguments);
}

int fv_fail(flagver_error *err, int code, const char *format, ...)
{
    va_list arguments;

    if (!err)
        return code;
    va_start(arguments, format);
    fill(err, code, 0, format, arguments);
    va_end(arguments);
    return code;
}

int fv_fail_errno(flagver_error *err, int code, int number, const char *format, ...)
{
    va_list arguments;
    size_t length;
    char words[128];

    if (!err)
        return code;
    va_start(arguments, format);
    fill(err, code, number, format, arguments);
    va_end(arguments);

    if (strerror_r(number, words, sizeof words) != 0)
        snprintf(words, sizeof words, "error %d", number);
    length = strlen(err->message);
    snprintf(err->message + length, sizeof err->message - length, ": %s", words);
    return code;
}

int fv_fail_memory(flagver_error *err)
{
    return fv_fail(err, FLAGVER_ENOMEM, "%s", "out of memory");
}
