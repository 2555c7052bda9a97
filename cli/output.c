#define _POSIX_C_SOURCE 200809L

#include "output.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "input.h"
#include "json.h"

/* Longer ones are cut off. */
#define COMPLAINT_SIZE 4096

/* The first error of standard output: stdio remembers that there was one, not which. */
static int output_error;

/* Does a line of cli_progress() stand on the terminal? */
static bool in_progress;

static const struct {
    int code;
    int status;
} statuses[] = {
    { FLAGVER_OK, CLI_DONE },
    { FLAGVER_EINVAL, CLI_INVALID },
    { FLAGVER_ENOMEM, CLI_UNAVAILABLE },
    { FLAGVER_ENOTFOUND, CLI_NOT_FOUND },
    { FLAGVER_EPARSE, CLI_INVALID },
    { FLAGVER_EIO, CLI_UNAVAILABLE },
    { FLAGVER_ENOTSUP, CLI_INVALID },
    { FLAGVER_EBUSY, CLI_UNAVAILABLE },
    { FLAGVER_EEXIST, CLI_CONFLICT },
    { FLAGVER_ECONFLICT, CLI_CONFLICT },
    { FLAGVER_ESTALE, CLI_CONFLICT },
    { FLAGVER_ESTATE, CLI_CONFLICT },
    { FLAGVER_EFROZEN, CLI_CONFLICT },
    { FLAGVER_EPHASE, CLI_CONFLICT },
    { FLAGVER_EIDEM, CLI_CONFLICT },
    { FLAGVER_ESCHEMA, CLI_UNAVAILABLE },
    { FLAGVER_EUNAVAILABLE, CLI_UNAVAILABLE },
    { FLAGVER_EUNKNOWN, CLI_UNKNOWN },
    { FLAGVER_ECORRUPT, CLI_UNAVAILABLE },
    { FLAGVER_EFORKED, CLI_UNAVAILABLE },
    { FLAGVER_ETIMEDOUT, CLI_UNAVAILABLE },
    { FLAGVER_EDENIED, CLI_DENIED },
    { FLAGVER_ESELF, CLI_DENIED },
    { FLAGVER_ECHANGED, CLI_CONFLICT },
    { FLAGVER_EINCOMPLETE, CLI_CONFLICT },
    { FLAGVER_EVALIDATION, CLI_INVALID },
    { FLAGVER_EKEY, CLI_UNAVAILABLE },
};

int cli_status_of(int code)
{
    size_t i;

    for (i = 0; i < sizeof statuses / sizeof statuses[0]; i++)
        if (statuses[i].code == code)
            return statuses[i].status;
    return CLI_UNAVAILABLE;
}

static void remember_error(int failed)
{
    if (failed && !output_error)
        output_error = errno ? errno : EIO;
}

static void print_list(const char *format, va_list arguments)
{
    errno = 0;
    remember_error(vprintf(format, arguments) < 0);
}

void cli_print(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
}

bool cli_is_terminal(void)
{
    return isatty(STDOUT_FILENO);
}

/* NO_COLOR counts when it is there and not empty (no-color.org). */
static bool is_coloured(void)
{
    const char *refused = getenv("NO_COLOR"), *terminal = getenv("TERM");

    return cli_is_terminal() && (!refused || !*refused) && terminal &&
           strcmp(terminal, "dumb") != 0;
}

void cli_print_styled(enum cli_style style, const char *format, ...)
{
    static const char *const numbers[] = { [CLI_PLAIN] = "0",
                                           [CLI_BOLD] = "1",
                                           [CLI_GREEN] = "32",
                                           [CLI_YELLOW] = "33",
                                           [CLI_RED] = "31" };
    bool coloured = style != CLI_PLAIN && is_coloured();
    va_list arguments;

    if (coloured)
        cli_print("\033[%sm", numbers[style]);
    va_start(arguments, format);
    print_list(format, arguments);
    va_end(arguments);
    if (coloured)
        cli_print("\033[0m");
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

void cli_print_changes(const char *indent, const char *text)
{
    enum cli_style style;
    size_t length;

    for (; *text; text += length + (text[length] == '\n')) {
        length = strcspn(text, "\n");
        style = *text == '+' ? CLI_GREEN : *text == '-' ? CLI_RED : CLI_YELLOW;
        cli_print_styled(style, "%s%.*s", indent, (int)length, text);
        cli_print("\n");
    }
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

static char *quoted(const char *bytes, size_t length)
{
    size_t flags = has_control_character(bytes, length) ? JSON_ENSURE_ASCII : 0;
    json_t *string = json_stringn(bytes, length);
    char *text = cli_json_write(string, JSON_ENCODE_ANY | flags);

    json_decref(string);
    return text ? text : cli_copy("\"\"", 2);
}

char *cli_readable(const char *text)
{
    size_t length = strlen(text);

    return has_control_character(text, length) ? quoted(text, length) : cli_copy(text, length);
}

void cli_print_name(const char *name)
{
    char *text = cli_readable(name);

    cli_print("%s", text);
    free(text);
}

static void print_string(const char *bytes, size_t length)
{
    char *text = quoted(bytes, length);

    cli_print("%s", text);
    free(text);
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

void cli_progress(const char *what)
{
    if (in_progress)
        fputs("\r\033[K", stderr);
    in_progress = what && isatty(STDERR_FILENO);
    if (in_progress)
        fprintf(stderr, "%s ...", what);
}

const char *cli_shown(const char *uri)
{
    static char *shown;

    flagver_string_free(shown);
    if (flagver_uri_show(uri, &shown, NULL) < 0)
        cli_out_of_memory();
    return shown;
}

/* Whatever is said, and by whom: an operand in the wrong place may be a URI. */
void cli_hide_passwords(char *line, size_t size)
{
    char *at, *word, *rest;
    size_t length;

    for (at = strstr(line, "://"); at; at = strstr(at + 3, "://")) {
        length = strcspn(at, " \"");
        word = cli_copy(at, length);
        rest = cli_copy(at + length, strlen(at + length));
        snprintf(at, size - (size_t)(at - line), "%s%s", cli_shown(word), rest);
        free(word);
        free(rest);
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
    cli_hide_passwords(line, sizeof line);
    cli_progress(NULL);
    fprintf(stderr, "%s\n", line);
}

void cli_complain(const char *what, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    cli_complain_list(what, format, arguments);
    va_end(arguments);
}

void cli_warn(void *data, int level, const char *message)
{
    (void)data;
    cli_complain(level == FLAGVER_LOG_WARNING ? "warning" : NULL, "%s", message);
}

/* The words behind the name, when they begin with it in quotes; NULL: as they are, alone, for they
 * begin with a place in the file of this name. */
static const char *without_name(const char *what, const char *message)
{
    size_t length = strlen(what);

    if (message[0] == '"' && strncmp(message + 1, what, length) == 0 &&
        strncmp(message + 1 + length, "\" ", 2) == 0)
        return message + length + 3;
    if (strncmp(message, what, length) != 0 || message[length] != ':')
        return message;
    return message[length + 1] == ' ' ? message + length + 2 : NULL;
}

int cli_fail(const char *what, const flagver_error *err)
{
    const char *words = what ? without_name(what, err->message) : err->message;

    if (words)
        cli_complain(what, "%s", words);
    else
        cli_complain(NULL, "%s", err->message);
    return cli_status_of(err->code);
}

/* How long the place before the words is; the library does not know the file's name. */
static int read_place(const flagver_error *err, int *ret_line, int *ret_column)
{
    int length = 0;

    if (sscanf(err->message, "line %d, column %d: %n", ret_line, ret_column, &length) < 2)
        return 0;
    return length;
}

int cli_fail_in(const char *file, const flagver_error *err)
{
    int line, column, length = read_place(err, &line, &column);

    if (!length)
        return cli_fail(file, err);
    cli_complain(NULL, "%s:%d:%d: %s", file, line, column, err->message + length);
    return cli_status_of(err->code);
}

int cli_fail_from(const char *file, const flagver_error *err)
{
    int line, column;

    cli_complain(file, "%s", err->message + read_place(err, &line, &column));
    return cli_status_of(err->code);
}

int cli_finish(int status)
{
    cli_progress(NULL);
    /* Some file systems tell of a full disk only when the file is closed. */
    cli_flush();
    errno = 0;
    remember_error(fclose(stdout) != 0);
    if (!output_error)
        return status;
    cli_complain("standard output", "%s", strerror(output_error));
    return CLI_UNAVAILABLE;
}
