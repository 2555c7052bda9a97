/*
 * What the program says: results on standard output, one line on standard
 * error for what went wrong, and its exit status.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <flagver.h>

enum cli_status {
    CLI_DONE = 0,
    CLI_FOUND = 1, /* the check found something */
    CLI_USAGE = 2,
    CLI_NOT_FOUND = 3,
    CLI_DENIED = 4,
    CLI_CONFLICT = 5,    /* or stale */
    CLI_INVALID = 6,     /* input */
    CLI_UNAVAILABLE = 7, /* the store, a key, or whatever else is needed and not there */
    CLI_UNKNOWN = 8      /* outcome */
};

/* The exit status for a FLAGVER_E… code. */
int cli_status_of(int code);

/* Standard output. Errors are remembered; cli_finish() reports them. */
void cli_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_write(const char *bytes, size_t length);

/* Is it a person who reads standard output? */
bool cli_is_terminal(void);

/* Terminals only, and only while NO_COLOR is not set; plain text everywhere else. */
enum cli_style { CLI_PLAIN, CLI_BOLD, CLI_GREEN, CLI_YELLOW, CLI_RED };

void cli_print_styled(enum cli_style style, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The lines of a FLAGVER_DIFF_LINES text, each behind `indent`. */
void cli_print_changes(const char *indent, const char *text);

/* A text as people read it: as a JSON string only when it has control characters in it. */
char *cli_readable(const char *text); /* freed with free() */
void cli_print_name(const char *name);

/* A value as people read it: JSON on one line. */
void cli_print_value(const flagver_value *value);

/* Hands to the reader what has been written. False when that is impossible. */
bool cli_flush(void);

/* Says on a terminal what takes its time; the next complaint or cli_progress(NULL) wipes it away. */
void cli_progress(const char *what);

/* A URI without its passwords, as flagver_uri_show(); good until the next call or complaint. */
const char *cli_shown(const char *uri);

/* The same of all URIs in a line that has room for `size` bytes. */
void cli_hide_passwords(char *line, size_t size);

/* "flagver: what: why" on standard error, without passwords of URIs; `what` may be NULL. */
void cli_complain(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_complain_list(const char *what, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* For flagver_options.log. */
void cli_warn(void *data, int level, const char *message);

/* Complains with the words of `err`; returns the exit status for it. */
int cli_fail(const char *what, const flagver_error *err);

/* The same about a text that came from this file; and about one that was made of it, so that line
 * and column mean nothing to anybody. */
int cli_fail_in(const char *file, const flagver_error *err);
int cli_fail_from(const char *file, const flagver_error *err);

/*
 * The end of standard output: `status`, or CLI_UNAVAILABLE with a complaint
 * when something written did not arrive.
 */
int cli_finish(int status);

#endif
