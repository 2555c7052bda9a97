/*
 * A growing text: what is written piece by piece and then handed out whole.
 *
 *     struct fv_text text = FV_TEXT_INIT;
 *
 *     fv_text_add(&text, "hello ");
 *     fv_text_format(&text, "%d worlds", 3);
 *     if (text.failed)
 *         return FLAGVER_ENOMEM;
 *     puts(text.data);
 *     fv_text_clear(&text);
 *
 * Writers need no checks: when memory runs out the text remembers it in
 * `failed` and ignores what follows. One look at the end is enough.
 *
 * `data` is never NULL and always ends in a NUL that `length` does not count,
 * so it can be printed even when it is empty. It moves when the text grows:
 * do not keep a pointer into it across a write.
 */
#ifndef FV_UTIL_TEXT_H
#define FV_UTIL_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fv_text {
    char *data;
    size_t length;
    size_t capacity; /* 0 while data is the shared empty string */
    bool failed;
};

extern char fv_text_empty[1];

#define FV_TEXT_INIT               \
    {                              \
        fv_text_empty, 0, 0, false \
    }

#if defined(__GNUC__)
#define FV_TEXT_FORMAT(string, first) __attribute__((format(printf, string, first)))
#else
#define FV_TEXT_FORMAT(string, first)
#endif

/* Frees the memory; the text is empty again and can be used anew. */
void fv_text_clear(struct fv_text *text);

/* Forgets the contents but keeps the memory for the next use. */
void fv_text_reset(struct fv_text *text);

void fv_text_add(struct fv_text *text, const char *string);
void fv_text_add_bytes(struct fv_text *text, const char *bytes, size_t length);
void fv_text_add_char(struct fv_text *text, char c);
void fv_text_format(struct fv_text *text, const char *format, ...) FV_TEXT_FORMAT(2, 3);

/*
 * number / 10^decimals, in digits whatever the locale, without zeros at the end: 1250 with 2 is 12.5. Up to 9
 * decimals.
 */
void fv_text_add_decimal(struct fv_text *text, uint64_t number, int decimals);

/*
 * Hands the text to the caller, who frees it with free(), and leaves the text
 * empty. NULL if any write failed; nothing is left to free then.
 */
char *fv_text_detach(struct fv_text *text);

#endif
