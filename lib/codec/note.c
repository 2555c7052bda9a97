#include "codec/note.h"

#include <inttypes.h>
#include <string.h>

#include "util/base64.h"
#include "util/fail.h"
#include "util/utf8.h"

#define DASH "\xe2\x80\x94 " /* U+2014 and a space: so begins a signature */
#define PRIVATE "PRIVATE+KEY+"
#define ED25519 1           /* the first byte of a key */
#define SIGNATURE_TEXT 8192 /* characters: kinds that we do not know may be long */

/* ---- names ---- */

/* What Unicode calls white space. */
static bool is_space(uint32_t c)
{
    return (c >= 0x09 && c <= 0x0d) || c == 0x20 || c == 0x85 || c == 0xa0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f ||
           c == 0x205f || c == 0x3000;
}

static bool is_name(const char *text, size_t length)
{
    const char *end = text + length;
    uint32_t c;

    if (length == 0 || length > FV_NOTE_NAME_LIMIT || !fv_utf8_valid(text, length))
        return false;
    while (text < end) {
        c = fv_utf8_next(&text, end);
        if (c < 0x20 || c == 0x7f || c == '+' || is_space(c))
            return false;
    }
    return true;
}

int fv_note_check_name(const char *name, flagver_error *err)
{
    if (!name || !is_name(name, strlen(name)))
        return fv_fail(err, FLAGVER_EINVAL,
                       "a key's name is 1 to %u bytes of UTF-8 without spaces and '+'",
                       FV_NOTE_NAME_LIMIT);
    return 0;
}

/* ---- keys ---- */

static bool read_tag(const char *digits, uint8_t out[FV_NOTE_TAG_SIZE])
{
    static const char known[] = "0123456789abcdef";
    const char *at;
    int i;

    for (i = 0; i < 2 * FV_NOTE_TAG_SIZE; i++) {
        at = digits[i] ? strchr(known, digits[i]) : NULL;
        if (!at)
            return false;
        out[i / 2] = (uint8_t)(out[i / 2] << 4 | (at - known));
    }
    return true;
}

/* NAME+TAG+BASE64 of the kind and 32 bytes. */
static bool read_key(const char *text, struct fv_note_key *ret_key)
{
    const char *plus = strchr(text, '+');
    size_t name_length = plus ? (size_t)(plus - text) : 0, length;
    uint8_t bytes[FV_BASE64_ROOM(44)];

    if (!plus || !is_name(text, name_length) || !read_tag(plus + 1, ret_key->tag))
        return false;
    plus += 1 + 2 * FV_NOTE_TAG_SIZE;
    if (*plus != '+' || strlen(plus + 1) != 44 ||
        !fv_base64_decode(FV_BASE64, plus + 1, 44, bytes, &length) ||
        length != 1 + FV_NOTE_KEY_SIZE || bytes[0] != ED25519)
        return false;
    memcpy(ret_key->name, text, name_length);
    ret_key->name[name_length] = 0;
    memcpy(ret_key->bytes, bytes + 1, FV_NOTE_KEY_SIZE);
    return true;
}

int fv_note_read_verifier(const char *text, struct fv_note_key *ret_key, flagver_error *err)
{
    if (!text || !read_key(text, ret_key))
        return fv_fail(err, FLAGVER_EINVAL, "a verifier's key has the form NAME+8 DIGITS+BASE64");
    return 0;
}

int fv_note_read_signer(const char *text, struct fv_note_key *ret_key, flagver_error *err)
{
    size_t prefix = strlen(PRIVATE);

    if (!text || strncmp(text, PRIVATE, prefix) != 0 || !read_key(text + prefix, ret_key))
        return fv_fail(err, FLAGVER_EINVAL,
                       "a signer's key has the form PRIVATE+KEY+NAME+8 DIGITS+BASE64");
    return 0;
}

void fv_note_write_verifier(struct fv_text *out, const struct fv_note_key *key)
{
    uint8_t bytes[1 + FV_NOTE_KEY_SIZE] = { ED25519 };

    memcpy(bytes + 1, key->bytes, FV_NOTE_KEY_SIZE);
    fv_text_format(out, "%s+%02x%02x%02x%02x+", key->name, key->tag[0], key->tag[1], key->tag[2],
                   key->tag[3]);
    fv_base64_encode(FV_BASE64, bytes, sizeof bytes, out);
}

void fv_note_write_signer(struct fv_text *out, const struct fv_note_key *key)
{
    fv_text_add(out, PRIVATE);
    fv_note_write_verifier(out, key);
}

/* ---- lines ---- */

struct lines {
    const char *next, *end;
    int32_t number; /* of the line that was taken last */
};

/* The next line without its newline; false at the end. All lines end in one. */
static bool take_line(struct lines *lines, flagver_bytes *ret_line)
{
    const char *newline;

    if (lines->next == lines->end)
        return false;
    newline = memchr(lines->next, '\n', (size_t)(lines->end - lines->next));
    *ret_line = (flagver_bytes){ lines->next, (size_t)(newline - lines->next) };
    lines->next = newline + 1;
    lines->number++;
    return true;
}

static int malformed(flagver_error *err, int32_t line, const char *what)
{
    int r = fv_fail(err, FLAGVER_EPARSE, "line %d of the note: %s", (int)line, what);

    if (err)
        err->line = line;
    return r;
}

static int32_t count_lines(const char *begin, const char *end)
{
    int32_t count = 0;

    for (; begin < end; begin++)
        count += *begin == '\n';
    return count;
}

/* ---- notes ---- */

static int check_text(const char *text, size_t length, flagver_error *err)
{
    size_t i;

    if (length > FV_NOTE_LIMIT)
        return fv_fail(err, FLAGVER_EPARSE, "a note of %zu bytes; %u allowed", length,
                       FV_NOTE_LIMIT);
    for (i = 0; i < length; i++)
        if ((unsigned char)text[i] < 0x20 && text[i] != '\n')
            return malformed(err, count_lines(text, text + i) + 1, "there is a control character");
    if (!fv_utf8_valid(text, length))
        return fv_fail(err, FLAGVER_EPARSE, "the note is not UTF-8");
    if (length == 0 || text[length - 1] != '\n')
        return malformed(err, count_lines(text, text + length) + 1, "it does not end in a newline");
    return 0;
}

/* "— NAME BASE64" */
static bool read_signature(flagver_bytes line, struct fv_note_signature *ret_signature)
{
    const char *text = line.data, *space;
    uint8_t bytes[FV_BASE64_ROOM(SIGNATURE_TEXT)];
    size_t dash = strlen(DASH), length;

    if (line.length < dash || memcmp(text, DASH, dash) != 0)
        return false;
    text += dash;
    line.length -= dash;
    space = memchr(text, ' ', line.length);
    if (!space || !is_name(text, (size_t)(space - text)))
        return false;
    ret_signature->name = (flagver_bytes){ text, (size_t)(space - text) };
    line.length -= (size_t)(space - text) + 1;
    if (line.length > SIGNATURE_TEXT ||
        !fv_base64_decode(FV_BASE64, space + 1, line.length, bytes, &length) ||
        length <= FV_NOTE_TAG_SIZE)
        return false;
    memcpy(ret_signature->tag, bytes, FV_NOTE_TAG_SIZE);
    ret_signature->is_ed25519 = length == FV_NOTE_TAG_SIZE + FV_NOTE_SIGNATURE_SIZE;
    if (ret_signature->is_ed25519)
        memcpy(ret_signature->bytes, bytes + FV_NOTE_TAG_SIZE, FV_NOTE_SIGNATURE_SIZE);
    return true;
}

static int check_signatures(const char *begin, struct lines *lines, flagver_error *err)
{
    struct fv_note_signature signature;
    flagver_bytes line;
    unsigned count = 0;

    lines->number = count_lines(begin, lines->next);
    while (take_line(lines, &line)) {
        if (!read_signature(line, &signature))
            return malformed(err, lines->number, "this is no signature");
        if (++count > FV_NOTE_SIGNATURES)
            return malformed(err, lines->number, "there are too many signatures");
    }
    return count ? 0 : malformed(err, lines->number + 1, "a signature is missing");
}

/* Where the text ends: before the last empty line. NULL: there is none. */
static const char *find_end(const char *text, size_t length)
{
    size_t i;

    for (i = length; i >= 2; i--)
        if (text[i - 1] == '\n' && text[i - 2] == '\n')
            return text + i - 1;
    return NULL;
}

int fv_note_read(const char *text, size_t length, bool unsigned_too, struct fv_note *ret_note,
                 flagver_error *err)
{
    struct lines lines = { .end = text + length };
    const char *end;
    int r;

    r = check_text(text, length, err);
    if (r < 0)
        return r;
    end = find_end(text, length);
    if (!end && !unsigned_too)
        return malformed(err, count_lines(text, lines.end) + 1, "a signature is missing");
    if (end) {
        lines.next = end + 1;
        r = check_signatures(text, &lines, err);
        if (r < 0)
            return r;
    } else {
        end = lines.end;
    }
    ret_note->text = (flagver_bytes){ text, (size_t)(end - text) };
    ret_note->signatures = (flagver_bytes){ "", 0 };
    if (end < lines.end)
        ret_note->signatures = (flagver_bytes){ end + 1, (size_t)(lines.end - end) - 1 };
    return 0;
}

bool fv_note_next(flagver_bytes *signatures, struct fv_note_signature *ret_signature)
{
    const char *begin = signatures->data;
    struct lines lines = { begin, begin + signatures->length, 0 };
    flagver_bytes line;

    if (!take_line(&lines, &line) || !read_signature(line, ret_signature))
        return false;
    *signatures = (flagver_bytes){ lines.next, (size_t)(lines.end - lines.next) };
    return true;
}

void fv_note_write_signature(struct fv_text *out, const char *name,
                             const uint8_t tag[FV_NOTE_TAG_SIZE],
                             const uint8_t signature[FV_NOTE_SIGNATURE_SIZE])
{
    uint8_t bytes[FV_NOTE_TAG_SIZE + FV_NOTE_SIGNATURE_SIZE];

    memcpy(bytes, tag, FV_NOTE_TAG_SIZE);
    memcpy(bytes + FV_NOTE_TAG_SIZE, signature, FV_NOTE_SIGNATURE_SIZE);
    fv_text_format(out, DASH "%s ", name);
    fv_base64_encode(FV_BASE64, bytes, sizeof bytes, out);
    fv_text_add_char(out, '\n');
}

/* ---- checkpoints ---- */

/* Decimal, without a zero in front. */
static bool read_size(flagver_bytes line, uint64_t *ret_size)
{
    const char *digits = line.data;
    uint64_t size = 0;
    size_t i;

    if (line.length == 0 || line.length > 19 || (digits[0] == '0' && line.length > 1))
        return false;
    for (i = 0; i < line.length; i++) {
        if (digits[i] < '0' || digits[i] > '9')
            return false;
        size = size * 10 + (uint64_t)(digits[i] - '0');
    }
    *ret_size = size;
    return size <= INT64_MAX;
}

static bool read_root(flagver_bytes line, uint8_t out[32])
{
    uint8_t bytes[FV_BASE64_ROOM(44)];
    size_t length;

    if (line.length != 44 || !fv_base64_decode(FV_BASE64, line.data, 44, bytes, &length) ||
        length != 32)
        return false;
    memcpy(out, bytes, 32);
    return true;
}

int fv_checkpoint_read(flagver_bytes text, struct fv_checkpoint *ret_checkpoint, flagver_error *err)
{
    const char *begin = text.data;
    struct lines lines = { begin, begin + text.length, 0 };
    flagver_bytes line;

    if (!take_line(&lines, &ret_checkpoint->origin) || !ret_checkpoint->origin.length)
        return malformed(err, 1, "the origin is missing");
    if (!take_line(&lines, &line) || !read_size(line, &ret_checkpoint->size))
        return malformed(err, 2, "this is no size of a log");
    if (!take_line(&lines, &line) || !read_root(line, ret_checkpoint->root))
        return malformed(err, 3, "this is no hash in base64");
    ret_checkpoint->extensions = (flagver_bytes){ lines.next, (size_t)(lines.end - lines.next) };
    while (take_line(&lines, &line))
        if (line.length == 0)
            return malformed(err, lines.number, "a checkpoint has no empty lines");
    return 0;
}

static int check_origin(flagver_bytes origin, flagver_error *err)
{
    const char *text = origin.data;
    size_t i;

    for (i = 0; i < origin.length; i++)
        if ((unsigned char)text[i] < 0x20)
            return fv_fail(err, FLAGVER_EINVAL, "the origin has a control character");
    if (origin.length == 0 || origin.length > FV_ORIGIN_LIMIT ||
        !fv_utf8_valid(text, origin.length))
        return fv_fail(err, FLAGVER_EINVAL, "the origin is 1 to %u bytes of UTF-8",
                       FV_ORIGIN_LIMIT);
    return 0;
}

int fv_checkpoint_write(const struct fv_checkpoint *checkpoint, struct fv_text *out,
                        flagver_error *err)
{
    int r = check_origin(checkpoint->origin, err);

    if (r < 0)
        return r;
    fv_text_add_bytes(out, checkpoint->origin.data, checkpoint->origin.length);
    fv_text_format(out, "\n%" PRIu64 "\n", checkpoint->size);
    fv_base64_encode(FV_BASE64, checkpoint->root, sizeof checkpoint->root, out);
    fv_text_add_char(out, '\n');
    return 0;
}
