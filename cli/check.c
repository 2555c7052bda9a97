#define _POSIX_C_SOURCE 200809L /* popen */

#include "check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include "json.h"
#include "output.h"

/* The first line. The rest is read as well, or the command would be killed while it prints it. */
static void read_line(FILE *output, char *words, size_t size)
{
    bool is_first = true;
    size_t length = 0;
    int c;

    while ((c = getc(output)) != EOF) {
        is_first = is_first && c != '\n';
        if (is_first && c && length + 1 < size)
            words[length++] = (char)c;
    }
    words[length] = '\0';
}

/* What is no text, or was cut off inside a character, is no string for JSON either. */
static void keep_text(char *words)
{
    char *c;

    if (cli_is_utf8(words))
        return;
    for (c = words; *c; c++)
        if (*c & 0x80)
            *c = '?';
}

static int judge(int status, char *words, size_t size)
{
    size_t length = strlen(words);

    if (!WIFEXITED(status)) {
        snprintf(words + length, size - length, "%skilled by signal %d", length ? "; " : "",
                 WTERMSIG(status));
        return FLAGVER_FINDING_ERROR;
    }
    if (!length && WEXITSTATUS(status))
        snprintf(words, size, "exit status %d, and nothing printed", WEXITSTATUS(status));
    return WEXITSTATUS(status) == 0   ? FLAGVER_FINDING_OK
           : WEXITSTATUS(status) == 1 ? FLAGVER_FINDING_WARNING
                                      : FLAGVER_FINDING_ERROR;
}

int cli_check_run(void *command, char *words, size_t size)
{
    FILE *output;
    int status;

    cli_flush(); /* what was found so far stands before what the command says on standard error */
    output = popen(command, "r");
    if (!output) {
        snprintf(words, size, "cannot be run: %s", strerror(errno));
        return FLAGVER_FINDING_ERROR;
    }
    read_line(output, words, size);
    status = pclose(output);
    cli_hide_passwords(words, size);
    keep_text(words);
    return judge(status, words, size);
}
