#include "api/writing.h"

#include <string.h>

#include "util/fail.h"

void fv_writing_add(struct fv_writing *writing, const void *data, size_t length)
{
    writing->words[writing->word_count++] = (struct fv_words){ data, length };
}

static void add_text(struct fv_writing *writing, const char *text)
{
    fv_writing_add(writing, text, text ? strlen(text) : 0);
}

int fv_writing_begin(struct fv_writing *writing, const char *name, flagver_txn *txn,
                     const char *phase, const char *subject, const flagver_write_options *options,
                     flagver_error *err)
{
    int r;

    *writing = (struct fv_writing){ .txn = txn };
    if (!txn)
        return fv_fail(err, FLAGVER_EINVAL, "txn is NULL");
    r = fv_record_target(phase, subject, options, &writing->target, err);
    if (r < 0)
        return r;
    add_text(writing, name);
    add_text(writing, phase);
    add_text(writing, subject);
    add_text(writing, writing->target.note);
    fv_writing_add(writing, &writing->target.expect_no, sizeof writing->target.expect_no);
    return 0;
}

int fv_writing_enter(struct fv_writing *writing, flagver_error *err)
{
    int r;

    r = fv_txn_enter(writing->txn, err);
    if (r < 0)
        return r;
    r = fv_txn_replay(writing->txn, writing->words, writing->word_count, &writing->no, err);
    if (r < 0)
        return fv_txn_leave(writing->txn, r, err);
    writing->replayed = r > 0;
    return r;
}

int fv_writing_leave(struct fv_writing *writing, int r, const struct fv_staged *version,
                     const flagver_error *err)
{
    if (r >= 0 && !writing->replayed) {
        writing->no = version->row.no;
        fv_txn_record(writing->txn, writing->no);
    }
    return fv_txn_leave(writing->txn, r < 0 ? r : 0, err);
}
