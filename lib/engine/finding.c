#include "engine/finding.h"

#include <stdio.h>
#include <string.h>

#define LINE_SIZE 1536

void fv_found(struct fv_findings *findings, const char *format, ...)
{
    char line[LINE_SIZE] = "", *c;
    va_list arguments;
    size_t length;

    findings->count++;
    if (!findings->found)
        return;
    if (findings->tenant)
        snprintf(line, sizeof line, "tenant \"%s\": ", findings->tenant);
    length = strlen(line);
    va_start(arguments, format);
    vsnprintf(line + length, sizeof line - length, format, arguments);
    va_end(arguments);
    for (c = line; *c; c++)
        if ((unsigned char)*c < 0x20 || *c == 0x7f)
            *c = '?';
    findings->found(findings->data, line);
}
