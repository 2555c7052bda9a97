/*
 * A main for a fuzz target without libFuzzer: hands every file that is named,
 * and every file below a folder that is named, to the target once. Prints how
 * many inputs ran; to run none is a failure.
 */
#define _POSIX_C_SOURCE 200809L

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long inputs;

static void die(const char *path)
{
    fprintf(stderr, "replay: %s: %s\n", path, strerror(errno));
    exit(EXIT_FAILURE);
}

static void replay_file(const char *path, size_t size)
{
    /* Exactly as long as the input, so that a sanitizer sees a read behind it. */
    uint8_t *data = malloc(size ? size : 1);
    FILE *file = fopen(path, "rb");

    if (!data || !file)
        die(path);
    if (fread(data, 1, size, file) != size) {
        errno = EIO;
        die(path);
    }
    fclose(file);

    /* When the target dies, this is the input that killed it. */
    fprintf(stderr, "%s\n", path);
    LLVMFuzzerTestOneInput(data, size);
    free(data);
    inputs++;
}

static void replay(const char *path);

static void replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    size_t room;
    char *below;

    if (!folder)
        die(path);
    while ((entry = readdir(folder))) {
        if (entry->d_name[0] == '.')
            continue;
        room = strlen(path) + strlen(entry->d_name) + 2;
        below = malloc(room);
        if (!below)
            die(path);
        snprintf(below, room, "%s/%s", path, entry->d_name);
        replay(below);
        free(below);
    }
    closedir(folder);
}

static void replay(const char *path)
{
    struct stat status;

    if (stat(path, &status) != 0)
        die(path);
    if (S_ISDIR(status.st_mode))
        replay_folder(path);
    else
        replay_file(path, (size_t)status.st_size);
}

int main(int argc, char **argv)
{
    int i;

    for (i = 1; i < argc; i++)
        replay(argv[i]);

    printf("%lu inputs\n", inputs);
    return inputs ? EXIT_SUCCESS : EXIT_FAILURE;
}
