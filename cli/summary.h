/*
 * What a flag's definition comes to, in words: "2 beta users, 1 rule, 25 %".
 */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include <stdint.h>

#include <jansson.h>

#define CLI_SUMMARY_SIZE 256

/*
 * What decides about the flag; of one with nothing to decide, the variant that it
 * serves. `now_us` is the time that a schedule is told for.
 */
void cli_summarise(const json_t *definition, int64_t now_us, char text[CLI_SUMMARY_SIZE]);

#endif
