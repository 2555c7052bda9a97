/*
 * Transactions that are the same for the same serial number, so that everybody knows what one was
 * to write. Who includes it has name_of(), the name of a subject by its number.
 */
#ifndef FLAGVER_TESTS_SERIAL_H
#define FLAGVER_TESTS_SERIAL_H

#include "crash/holds.h"

static const char *name_of(uint32_t subject, char name[16]);

struct operation {
    uint32_t subject, no; /* the version that came of it */
};

/* Those with even numbers have an idempotency key: they are run again when they were cut off. */
static inline bool is_keyed(uint32_t serial)
{
    return serial % 2 == 0;
}

/* One of five ways to change a flag. */
static inline int change_flag(flagver_txn *txn, const char *name, uint32_t way, uint32_t value,
                              const flagver_write_options *options, uint32_t *ret_no,
                              flagver_error *err)
{
    char text[128];
    const char *users[] = { text };

    switch (way) {
    case 0:
        snprintf(text, sizeof text, "{\"type\":\"boolean\",\"percentage\":%u}", value);
        return flagver_flag_put(txn, name, text, strlen(text), options, ret_no, err);
    case 1:
        snprintf(text, sizeof text, "user%u", value);
        return flagver_flag_beta_add(txn, name, users, 1, options, ret_no, err);
    case 2:
        return flagver_flag_enable(txn, name, options, ret_no, err);
    case 3:
        return flagver_flag_disable(txn, name, options, ret_no, err);
    default:
        return flagver_flag_ramp(txn, name, value, options, ret_no, err);
    }
}

/* Did one of these make that version? */
static inline bool is_among(const struct operation *operations, uint32_t count, const char *name,
                            uint32_t no)
{
    uint32_t i;
    char other[16];

    for (i = 0; i < count; i++)
        if (operations[i].no == no && strcmp(name_of(operations[i].subject, other), name) == 0)
            return true;
    return false;
}

#endif
