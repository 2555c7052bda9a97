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

int fv_text_give(struct fv_text *text, char **ret_text, flagver_error *err)
{
    char *given = fv_text_detach(text);

    if (!given)
        return fv_fail_memory(err);
    *ret_text = given;
    return 0;
}

/* ---- what the codes mean ---- */

static const struct {
    int code;
    int class_;
    const char *name;
    const char *words;
} errors[] = {
#define ERROR_ROW(name, number, class_, words) { -(number), FLAGVER_CLASS_##class_, #name, words },
    FLAGVER_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

/* The row of a code, or the number of rows. */
static size_t find(int code)
{
    size_t i;

    for (i = 0; i < sizeof errors / sizeof errors[0]; i++)
        if (errors[i].code == code)
            break;
    return i;
}

static const size_t none = sizeof errors / sizeof errors[0];

const char *fv_error_words(int code)
{
    size_t row = find(code);

    if (code == 0)
        return "no error";
    return row == none ? "unknown error" : errors[row].words;
}

const char *fv_error_name(int code)
{
    size_t row = find(code);

    return row == none ? NULL : errors[row].name;
}

int fv_error_class(int code)
{
    size_t row = find(code);

    return row == none ? 0 : errors[row].class_;
}
