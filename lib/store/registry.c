#include "store/registry.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include "util/fail.h"

/* The table as it was first, and what it has grown by: looked at where `size` has it. */
static const size_t sizes[] = { offsetof(flagver_driver, examine), offsetof(flagver_driver, hold) };
#define DRIVER_LIMIT 32
#define NAME_LIMIT 32

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static const flagver_driver *drivers[DRIVER_LIMIT];
static size_t driver_count;

static const flagver_driver *find(const char *name, size_t length)
{
    size_t i;

    for (i = 0; i < driver_count; i++)
        if (strlen(drivers[i]->name) == length && memcmp(drivers[i]->name, name, length) == 0)
            return drivers[i];
    return NULL;
}

static bool valid_name(const char *name)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789+-.";
    size_t length = name ? strlen(name) : 0;

    return length >= 1 && length <= NAME_LIMIT && strspn(name, allowed) == length &&
           strcmp(name, "file") != 0 && strcmp(name, "definitions") != 0;
}

static bool complete(const flagver_driver *driver)
{
    return driver->open && driver->close && driver->abandon && driver->ping && driver->describe &&
           driver->schema_version && driver->schema_migrate && driver->schema_verify &&
           driver->begin && driver->commit && driver->rollback && driver->outcome && driver->lock &&
           driver->lock_log && driver->apply && driver->scan && driver->next && driver->end_scan &&
           driver->changes && !(driver->capabilities & FLAGVER_DRIVER_ENLIST && !driver->adopt);
}

static bool valid_size(size_t size)
{
    size_t i;

    for (i = 0; i < sizeof sizes / sizeof *sizes; i++)
        if (size == sizes[i])
            return true;
    return size >= sizeof(flagver_driver);
}

static int check(const flagver_driver *driver, flagver_error *err)
{
    if (!driver)
        return fv_fail(err, FLAGVER_EINVAL, "driver is NULL");
    if (driver->abi != FLAGVER_DRIVER_ABI)
        return fv_fail(err, FLAGVER_EINVAL, "the driver was made for ABI %u; this is ABI %u",
                       (unsigned)driver->abi, FLAGVER_DRIVER_ABI);
    if (!valid_size(driver->size))
        return fv_fail(err, FLAGVER_EINVAL, "the driver's table is %u bytes; %zu are needed",
                       (unsigned)driver->size, sizeof *driver);
    if (!valid_name(driver->name))
        return fv_fail(err, FLAGVER_EINVAL,
                       "\"%.64s\" is no driver's name: 1 to %d of a-z 0-9 + - . and not \"file\" "
                       "or \"definitions\"",
                       driver->name ? driver->name : "", NAME_LIMIT);
    if (!complete(driver))
        return fv_fail(err, FLAGVER_EINVAL, "driver \"%s\" lacks a required function",
                       driver->name);
    return 0;
}

static int add(const flagver_driver *driver, flagver_error *err)
{
    const flagver_driver *present = find(driver->name, strlen(driver->name));

    if (present == driver)
        return 0;
    if (present)
        return fv_fail(err, FLAGVER_EEXIST, "there is another driver \"%s\"", driver->name);
    if (driver_count == DRIVER_LIMIT)
        return fv_fail(err, FLAGVER_EBUSY, "there are %d drivers already", DRIVER_LIMIT);
    drivers[driver_count++] = driver;
    return 0;
}

int fv_driver_register(const flagver_driver *driver, flagver_error *err)
{
    int r = check(driver, err);

    if (r < 0)
        return r;
    pthread_mutex_lock(&lock);
    r = add(driver, err);
    pthread_mutex_unlock(&lock);
    return r;
}

const flagver_driver *fv_driver_find(const char *uri, const char **ret_path)
{
    const char *colon = strchr(uri, ':');
    const flagver_driver *driver;

    if (!colon)
        return NULL;
    pthread_mutex_lock(&lock);
    driver = find(uri, (size_t)(colon - uri));
    pthread_mutex_unlock(&lock);
    if (driver)
        *ret_path = colon + 1;
    return driver;
}
