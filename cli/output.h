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
    CLI_UNAVAILABLE = 7, /* the store, or whatever else is needed and may come back */
    CLI_UNKNOWN = 8      /* outcome */
};

/* The exit status for a FLAGVER_E… code. */
int cli_status_of(int code);

/* Standard output. Errors are remembered; cli_finish() reports them. */
void cli_print(const char *format, ...) __attribute__((format(printf, 1, 2)));
void cli_write(const char *bytes, size_t length);

/* A name as people read it: as a JSON string only when it has control characters in it. */
void cli_print_name(const char *name);

/* A value as people read it: JSON on one line. */
void cli_print_value(const flagver_value *value);

/* Hands to the reader what has been written. False when that is impossible. */
bool cli_flush(void);

/* "flagver: what: why" on standard error; `what` may be NULL. */
void cli_complain(const char *what, const char *format, ...) __attribute__((format(printf, 2, 3)));
void cli_complain_list(const char *what, const char *format, va_list arguments)
    __attribute__((format(printf, 2, 0)));

/* Complains with the words of `err`; returns the exit status for it. */
int cli_fail(const char *what, const flagver_error *err);

/*
 * The end of standard output: `status`, or CLI_UNAVAILABLE with a complaint
 * when something written did not arrive.
 */
int cli_finish(int status);

#endif
