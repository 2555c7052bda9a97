#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "json.h"

/* Longer ones are cut off. */
#define COMPLAINT_SIZE 4096

/* The first error of standard output: stdio remembers that there was one, not which. */
static int output_error;

int cli_status_of(int code)
{
    switch (code) {
    case FLAGVER_OK:
        return CLI_DONE;
    case FLAGVER_EINVAL:
    case FLAGVER_ENOTSUP:
        return CLI_USAGE;
    case FLAGVER_ENOTFOUND:
        return CLI_NOT_FOUND;
    case FLAGVER_EPARSE:
    case FLAGVER_EIO: /* of a file that the caller named */
        return CLI_INVALID;
    default:
        return CLI_UNAVAILABLE;
    }
}

static void remember_error(int failed)
{
    if (failed && !output_error)
        output_error = errno ? errno : EIO;
}

void cli_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    errno = 0;
    remember_error(vprintf(format, arguments) < 0);
    va_end(arguments);
}

void cli_write(const char *bytes, size_t length)
{
    errno = 0;
    remember_error(fwrite(bytes, 1, length, stdout) != length);
}

bool cli_flush(void)
{
    errno = 0;
    remember_error(fflush(stdout) != 0);
    return output_error == 0;
}

/* As in canonical JSON: the fewest digits that read back the same. */
static void print_real(double real)
{
    char text[40];
    int digits;

    for (digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, real);
        if (strtod(text, NULL) == real)
            break;
    }
    cli_print("%s%s", text, strpbrk(text, ".e") ? "" : ".0");
}

/* C0, DEL and C1: what could make a terminal do things. */
static bool has_control_character(const char *bytes, size_t length)
{
    const unsigned char *at = (const unsigned char *)bytes;
    size_t i;

    for (i = 0; i < length; i++)
        if (at[i] < 0x20 || at[i] == 0x7f ||
            (at[i] == 0xc2 && i + 1 < length && at[i + 1] >= 0x80 && at[i + 1] < 0xa0))
            return true;
    return false;
}

static void print_string(const char *bytes, size_t length)
{
    size_t flags = has_control_character(bytes, length) ? JSON_ENSURE_ASCII : 0;
    json_t *string = json_stringn(bytes, length);
    char *text = cli_json_write(string, JSON_ENCODE_ANY | flags);

    cli_print("%s", text ? text : "\"\"");
    free(text);
    json_decref(string);
}

void cli_print_name(const char *name)
{
    if (has_control_character(name, strlen(name)))
        print_string(name, strlen(name));
    else
        cli_print("%s", name);
}

void cli_print_value(const flagver_value *value)
{
    switch (value->type) {
    case FLAGVER_TYPE_BOOL:
        cli_print("%s", value->boolean ? "true" : "false");
        break;
    case FLAGVER_TYPE_INT:
        cli_print("%" PRId64, value->integer);
        break;
    case FLAGVER_TYPE_DOUBLE:
        print_real(value->real);
        break;
    case FLAGVER_TYPE_STRING:
        print_string(value->string, value->length);
        break;
    case FLAGVER_TYPE_JSON:
        cli_write(value->string, value->length);
        break;
    default:
        cli_print("null");
    }
}

void cli_complain_list(const char *what, const char *format, va_list arguments)
{
    char line[COMPLAINT_SIZE], *c;
    size_t length;

    snprintf(line, sizeof line, "flagver: %s%s", what ? what : "", what ? ": " : "");
    length = strlen(line);
    vsnprintf(line + length, sizeof line - length, format, arguments);

    /* It stays one line whatever the words of the caller are that it repeats. */
    for (c = line; *c; c++)
        if ((*c > 0 && *c < 0x20) || *c == 0x7f)
            *c = '?';
    fprintf(stderr, "%s\n", line);
}

void cli_complain(const char *what, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cli_complain_list(what, format, arguments);
    va_end(arguments);
}

int cli_fail(const char *what, const flagver_error *err)
{
    cli_complain(what, "%s", err->message);
    return cli_status_of(err->code);
}

int cli_finish(int status)
{
    /* Some file systems tell of a full disk only when the file is closed. */
    cli_flush();
    errno = 0;
    remember_error(fclose(stdout) != 0);
    if (!output_error)
        return status;
    cli_complain("standard output", "%s", strerror(output_error));
    return CLI_UNAVAILABLE;
}
