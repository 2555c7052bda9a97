/*
 * Signed notes and checkpoints as texts, the way C2SP's signed-note and tlog-checkpoint
 * write them, so that the witnesses and monitors of others can read ours:
 *
 *     example.com/records/default        origin
 *     20852163                           size of the log
 *     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2   root, base64
 *                                        (an empty line)
 *     — example.com/records Az3grlgtzPIC signature, base64
 *
 * Only the form is looked at here. Who signed, and whether it holds, is crypto/sign.h's.
 */
#ifndef FV_CODEC_NOTE_H
#define FV_CODEC_NOTE_H

#include "flagver/driver.h"
#include "util/text.h"

#define FV_NOTE_LIMIT 65536u    /* bytes of a note */
#define FV_NOTE_SIGNATURES 100u /* of a note */
#define FV_ORIGIN_LIMIT 1024u   /* bytes of a checkpoint's first line */
#define FV_NOTE_NAME_LIMIT 255u /* bytes of a key's name */
#define FV_NOTE_TAG_SIZE 4      /* by which keys of one name are told apart */
#define FV_NOTE_KEY_SIZE 32     /* Ed25519: public key, or seed */
#define FV_NOTE_SIGNATURE_SIZE 64

/* ---- keys ---- */

/* A key: a verifier's public one, or the seed of a signer's. */
struct fv_note_key {
    char name[FV_NOTE_NAME_LIMIT + 1];
    uint8_t tag[FV_NOTE_TAG_SIZE];
    uint8_t bytes[FV_NOTE_KEY_SIZE];
};

/* 0, or FLAGVER_EINVAL: empty, too long, no UTF-8, or with spaces or '+'. */
int fv_note_check_name(const char *name, flagver_error *err);

/* NAME+TAG+BASE64, PRIVATE+KEY+NAME+TAG+BASE64. 0 or FLAGVER_EINVAL; words never show a secret. */
int fv_note_read_verifier(const char *text, struct fv_note_key *ret_key, flagver_error *err);
int fv_note_read_signer(const char *text, struct fv_note_key *ret_key, flagver_error *err);

void fv_note_write_verifier(struct fv_text *out, const struct fv_note_key *key);
void fv_note_write_signer(struct fv_text *out, const struct fv_note_key *key);

/* ---- notes ---- */

/* `text` is what is signed, its last newline included. Both point into what was read. */
struct fv_note {
    flagver_bytes text;
    flagver_bytes signatures; /* lines */
};

/* A signature; `bytes` counts only when it has the length of Ed25519's. */
struct fv_note_signature {
    flagver_bytes name;
    uint8_t tag[FV_NOTE_TAG_SIZE];
    bool is_ed25519;
    uint8_t bytes[FV_NOTE_SIGNATURE_SIZE];
};

/* 0, or FLAGVER_EPARSE with the line. With `unsigned_too` a note may end before the empty line. */
int fv_note_read(const char *text, size_t length, bool unsigned_too, struct fv_note *ret_note,
                 flagver_error *err);

/* The next signature of a note that was read; takes it from the front of `signatures`. */
bool fv_note_next(flagver_bytes *signatures, struct fv_note_signature *ret_signature);

/* Append a signature line. The first one comes after an empty line, which is the caller's. */
void fv_note_write_signature(struct fv_text *out, const char *name,
                             const uint8_t tag[FV_NOTE_TAG_SIZE],
                             const uint8_t signature[FV_NOTE_SIGNATURE_SIZE]);

/* ---- checkpoints ---- */

/* `extensions`: further lines, which nobody here understands. */
struct fv_checkpoint {
    flagver_bytes origin;
    uint64_t size;
    uint8_t root[32];
    flagver_bytes extensions;
};

/* From the text of a note. 0, or FLAGVER_EPARSE with the line. */
int fv_checkpoint_read(flagver_bytes text, struct fv_checkpoint *ret_checkpoint,
                       flagver_error *err);

/* The text of the note. 0, or FLAGVER_EINVAL: the origin is no line. Extensions are not written. */
int fv_checkpoint_write(const struct fv_checkpoint *checkpoint, struct fv_text *out,
                        flagver_error *err);

#endif
