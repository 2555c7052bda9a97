/*
 * A note, and a key: what is read is inside of what was given, and a checkpoint without
 * further lines comes back byte for byte.
 */
#include "codec/note.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
    if (!holds)
        abort();
}

static void check_signatures(const struct fv_note *note, const char *end)
{
    flagver_bytes left = note->signatures;
    struct fv_note_signature signature;
    unsigned count = 0;

    while (fv_note_next(&left, &signature)) {
        must(signature.name.length > 0);
        must((const char *)signature.name.data + signature.name.length < end);
        must(++count <= FV_NOTE_SIGNATURES);
    }
    must(left.length == 0);
}

static void check_checkpoint(flagver_bytes text)
{
    struct fv_text again = FV_TEXT_INIT;
    struct fv_checkpoint checkpoint;
    size_t length;

    if (fv_checkpoint_read(text, &checkpoint, NULL) < 0)
        return;
    length = text.length - checkpoint.extensions.length;
    if (fv_checkpoint_write(&checkpoint, &again, NULL) == 0)
        must(again.length == length && memcmp(again.data, text.data, length) == 0);
    else
        must(checkpoint.origin.length > FV_ORIGIN_LIMIT);
    fv_text_clear(&again);
}

static void check_key(const char *text)
{
    struct fv_text again = FV_TEXT_INIT;
    struct fv_note_key key;

    if (fv_note_read_verifier(text, &key, NULL) == 0) {
        must(fv_note_check_name(key.name, NULL) == 0);
        fv_note_write_verifier(&again, &key);
        must(strcmp(again.data, text) == 0);
    } else if (fv_note_read_signer(text, &key, NULL) == 0) {
        fv_note_write_signer(&again, &key);
        must(strcmp(again.data, text) == 0);
    }
    fv_text_clear(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fv_note note;
    char *text = malloc(size + 1);

    must(text != NULL);
    if (size > 0)
        memcpy(text, data, size);
    text[size] = 0;
    check_key(text);
    if (fv_note_read((const char *)data, size, true, &note, NULL) == 0) {
        must(note.text.length > 0 && note.text.length <= size);
        check_signatures(&note, (const char *)data + size);
        check_checkpoint(note.text);
    }
    free(text);
    return 0;
}
