/*
 * UUIDs of names (RFC 9562): version 5 from SHA-1, version 8 from SHA-256 in the same way.
 */
#ifndef FV_CRYPTO_NAMED_H
#define FV_CRYPTO_NAMED_H

#include "util/uuid.h"

/* The name's UUID of version 5 or 8 in the namespace; false: memory is short. */
bool fv_uuid_named(int version, const flagver_id *name_space, const void *name, size_t length,
                   flagver_id *ret_id);

#endif
