/**
 * libflagver: what every other header needs: versions, errors, allocators.
 *
 * A call that can fail returns 0 or a negative FLAGVER_E… code. Where there is
 * more to say it takes, as its last argument, an optional `flagver_error *` that
 * belongs to the caller. Outputs are written only when a call succeeds. The
 * library never prints, aborts, exits, or changes the locale or signals of the
 * process it lives in.
 */
#ifndef FLAGVER_BASE_H
#define FLAGVER_BASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define FLAGVER_API __attribute__((visibility("default")))
#else
#define FLAGVER_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

#define FLAGVER_VERSION_MAJOR 0
#define FLAGVER_VERSION_MINOR 1
#define FLAGVER_VERSION_PATCH 0
#define FLAGVER_VERSION "0.1.0"

/** The version of the library that runs, for instance "0.1.0". */
FLAGVER_API const char *flagver_version_string(void);

/**
 * What a caller can do about an error.
 *
 * MISTAKE  the arguments or the input are wrong: the same call fails again
 * RETRY    nothing happened; the same call may succeed later
 * UNKNOWN  it is not known whether the change took place
 * BROKEN   the handle can only be closed or freed (after EFORKED: reopened)
 */
#define FLAGVER_CLASS_MISTAKE 1
#define FLAGVER_CLASS_RETRY 2
#define FLAGVER_CLASS_UNKNOWN 3
#define FLAGVER_CLASS_BROKEN 4

/**
 * The errors: X(name, number, class, words). Numbers never change their
 * meaning; new ones are added.
 */
#define FLAGVER_ERRORS(X)                                                       \
    X(EINVAL, 1, MISTAKE, "invalid argument")                                   \
    X(ENOMEM, 2, RETRY, "out of memory")                                        \
    X(ENOTFOUND, 3, MISTAKE, "not found")                                       \
    X(EPARSE, 4, MISTAKE, "malformed input")                                    \
    X(EIO, 5, RETRY, "file cannot be read or written")                          \
    X(ENOTSUP, 6, MISTAKE, "not supported")                                     \
    X(EBUSY, 7, RETRY, "in use")                                                \
    X(EEXIST, 8, MISTAKE, "already there")                                      \
    X(ECONFLICT, 9, MISTAKE, "changed by someone else")                         \
    X(ESTALE, 10, MISTAKE, "a newer version is in force")                       \
    X(ESTATE, 11, MISTAKE, "not possible in this state")                        \
    X(EFROZEN, 12, MISTAKE, "this version cannot change any more")              \
    X(EPHASE, 13, MISTAKE, "not possible in this phase")                        \
    X(EIDEM, 14, MISTAKE, "the idempotency key belongs to another transaction") \
    X(ESCHEMA, 15, MISTAKE, "the store's schema is not the one that is needed") \
    X(EUNAVAILABLE, 16, RETRY, "the store cannot be used now")                  \
    X(EUNKNOWN, 17, UNKNOWN, "it is not known whether the change took place")   \
    X(ECORRUPT, 18, BROKEN, "the store contradicts itself")                     \
    X(EFORKED, 19, BROKEN, "the store was opened before the process forked")    \
    X(ETIMEDOUT, 20, BROKEN, "the transaction was open for too long")           \
    X(EDENIED, 21, MISTAKE, "not allowed")                                      \
    X(ESELF, 22, MISTAKE, "who wrote it cannot approve it")                     \
    X(ECHANGED, 23, MISTAKE, "not the content that was reviewed")               \
    X(EINCOMPLETE, 24, MISTAKE, "items are not decided yet")                    \
    X(EVALIDATION, 25, MISTAKE, "the payload is not what the phase asks for")   \
    X(EKEY, 26, MISTAKE, "an encryption key is missing or wrong")

enum {
#define FLAGVER_ERROR_CODE(name, number, class_, words) FLAGVER_##name = -(number),
    FLAGVER_ERRORS(FLAGVER_ERROR_CODE)
#undef FLAGVER_ERROR_CODE
        FLAGVER_OK = 0
};

/** Room for the words of one error, the terminating NUL included. */
#define FLAGVER_MESSAGE_SIZE 1024

/**
 * One error, owned by the caller; nothing in it is allocated. A call that
 * succeeds leaves it untouched.
 *
 * code     a FLAGVER_E… code, the value that the call returned
 * native   the code of the system or library underneath (errno, …), or 0
 * line     1-based line in the input, 0 when the error is not about a place
 * column   1-based column in that line, counted in characters
 * sqlstate SQLSTATE of a database, or ""
 * message  one line that names the thing and the limit
 */
typedef struct flagver_error {
    int32_t code;
    int32_t native;
    int32_t line;
    int32_t column;
    char sqlstate[8];
    char message[FLAGVER_MESSAGE_SIZE];
} flagver_error;

/** What a check has found: nothing, something to look at, something to put right. */
#define FLAGVER_FINDING_OK 0
#define FLAGVER_FINDING_WARNING 1
#define FLAGVER_FINDING_ERROR 2

/** The words for a code, "unknown error" for a number that is none. Static. */
FLAGVER_API const char *flagver_strerror(int code);

/** The name of a code, "EINVAL" for FLAGVER_EINVAL; NULL for no code. Static. */
FLAGVER_API const char *flagver_error_name(int code);

/** The class of a code, FLAGVER_CLASS_…; 0 for a number that is no code. */
FLAGVER_API int flagver_error_class(int code);

/**
 * An allocator for what a client or a snapshot keeps: flags, tables, counters.
 * Contexts, texts that are handed out, and what lives only during a call come
 * from malloc; jansson, the C library and databases go on using theirs.
 *
 * The three functions behave like malloc, realloc and free with `data` in
 * front. They are called from every thread that uses the client, and until the
 * client is closed and every snapshot taken from it is freed.
 */
typedef struct flagver_allocator {
    void *(*allocate)(void *data, size_t size);
    void *(*reallocate)(void *data, void *block, size_t size);
    void (*release)(void *data, void *block);
    void *data;
} flagver_allocator;

/** Free a string that a call handed out as `ret_…`. NULL is fine. */
FLAGVER_API void flagver_string_free(char *string);

#ifdef __cplusplus
}
#endif

#endif
