/*
 * What tests of a driver's schema_verify() share: what it found and how much it has looked at. Whoever
 * includes it has a `driver` and a `store`.
 */
#ifndef FLAGVER_TESTS_VERIFYING_H
#define FLAGVER_TESTS_VERIFYING_H

#include "flagver/driver.h"
#include "support.h"

static char found_lines[262144];
static size_t found_count, checked_count;

static inline void note_found(void *data, const char *line)
{
    size_t used = strlen(found_lines);

    (void)data;
    ck_assert_msg(!strchr(line, '\n'), "%s", line);
    found_count++;
    snprintf(found_lines + used, sizeof found_lines - used, "%s\n", line);
}

static inline void note_checked(void *data, const char *line)
{
    (void)data;
    ck_assert_uint_gt(strlen(line), 0);
    checked_count++;
}

static inline void verify(void)
{
    found_lines[0] = 0;
    found_count = checked_count = 0;
    assert_ok(driver->schema_verify(store, note_found, note_checked, NULL, &error));
}

/* By the last verify(). */
#define assert_in_found(part) \
    ck_assert_msg(strstr(found_lines, part), "\"%s\" is not in:\n%s", part, found_lines)

#define assert_nothing_found() ck_assert_msg(found_count == 0, "%s", found_lines)

#endif
