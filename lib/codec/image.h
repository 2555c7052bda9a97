/*
 * Images: what the definition of a flag was compiled to, as bytes, so that a
 * process that starts need not compile it again (engine/cache.h).
 *
 * Only the flags have one that ask nothing but their own percentage or split, and no variable of
 * the environment: most. The others are compiled from their text, which stands beside the image
 * anyway.
 *
 * An image is good for the version of the library that made it, on the machine that did.
 * Whatever its bytes are, nothing beyond them is read and the flag can be evaluated.
 */
#ifndef FV_CODEC_IMAGE_H
#define FV_CODEC_IMAGE_H

#include "codec/compile.h"
#include "codec/records.h"

/* Append the image of a record, or nothing when it has none. 0 or FLAGVER_ENOMEM. */
int fv_image_write(const struct fv_record *record, struct fv_text *out);

/*
 * Make the flag of which `record->image` is.
 *
 * @return 0, FLAGVER_EPARSE (there is none, or it is damaged), FLAGVER_ENOMEM
 */
int fv_image_read(struct fv_compiling *compiling, const struct fv_record *record, uint32_t slot,
                  struct fv_flag **ret_flag);

#endif
