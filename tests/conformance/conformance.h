/*
 * The suite that every storage driver passes. It is installed with the library for
 * authors of drivers: compile these files with your program and link it with Check.
 *
 *     static const struct flagver_conformance target = {
 *         .size = sizeof target,
 *         .driver = &my_driver,
 *         .make_place = flagver_conformance_make_file,
 *         .remove_place = flagver_conformance_remove_file,
 *     };
 *
 *     SRunner *runner = srunner_create(flagver_conformance_suite(&target));
 *
 * The suite calls the driver's functions directly, as flagver/driver.h says the
 * library may. What a driver does not claim to be able to do is not asked of it: such
 * cases are left out, and a line "SKIPPED: …" says how many and why.
 *
 * One target in a program.
 */
#ifndef FLAGVER_CONFORMANCE_H
#define FLAGVER_CONFORMANCE_H

#include <check.h>

#include "flagver/driver.h"

/*
 * What is tested. Set `size`; what is zero is not there.
 *
 * driver        the table
 * make_place    writes the path of a fresh, empty place for a store: what stands behind
 *               "NAME:" in a URI. 0, or anything else when there is none to be had.
 * remove_place  removes it and what is in it; its stores are closed
 * lose_place    takes it away while stores are open; without it these cases are left out
 * data          handed to these functions
 * private_stores  each store that is opened is a store of its own, also on the same
 *               path, as in memory: what was written is gone when it is closed
 * readers_wait  transactions that read and one that writes wait for each other, as in a
 *               database without snapshots
 */
struct flagver_conformance {
    size_t size;
    const flagver_driver *driver;
    int (*make_place)(void *data, char *path, size_t size);
    void (*remove_place)(void *data, const char *path);
    void (*lose_place)(void *data, const char *path);
    void *data;
    bool private_stores, readers_wait;
};

/* The suite; `target` and what it points to must outlive it. */
Suite *flagver_conformance_suite(const struct flagver_conformance *target);

/*
 * Places for drivers that keep a file, or several whose names begin alike: a file
 * "store" in a fresh directory of /dev/shm, or of $TMPDIR or /tmp where that is not there.
 * Losing it renames whatever is in the directory. `data` is not used.
 */
int flagver_conformance_make_file(void *data, char *path, size_t size);
void flagver_conformance_remove_file(void *data, const char *path);
void flagver_conformance_lose_file(void *data, const char *path);

#endif
