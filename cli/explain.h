/*
 * An explanation as people read it.
 */
#ifndef CLI_EXPLAIN_H
#define CLI_EXPLAIN_H

/*
 * Prints the steps of what flagver_flag_explain() gave, one line each, indented
 * below the evaluation they belong to.
 */
void cli_explain_print(const char *json);

#endif
