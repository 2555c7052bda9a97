/*
 * The store that the command line or the environment names, and who acts in it.
 */
#ifndef CLI_STORE_H
#define CLI_STORE_H

#include <stdbool.h>

#include <flagver.h>

#include "request.h"

/*
 * --store, else FLAGVER_STORE, else sqlite:flagver.db.
 *
 * Returns 0, or CLI_USAGE after having said that it is no URI, or is one of a store that ends
 * with the program.
 */
int cli_store_uri(const struct cli_request *request, const char **ret_uri);

/* Does the text begin with "name:", as URIs of stores do? */
bool cli_is_uri(const char *text);

/* --tenant, else FLAGVER_TENANT; NULL: neither. */
const char *cli_store_tenant(const struct cli_request *request);

/*
 * The version of the schema that is there; 0: none, or no store. Returns 0 or a code:
 * FLAGVER_EUNAVAILABLE where there cannot be one, for want of a directory.
 */
int cli_store_version(const char *uri, uint32_t *ret_version, uint32_t *ret_wanted,
                      flagver_error *err);

/*
 * Open a store. Only what can succeed in a new one creates it: who reads in the wrong
 * directory, or throws a kill switch there, is told so and leaves no empty store behind.
 *
 * `options` may be NULL; its tenant and log are filled in. The first returns a
 * code, the others 0 or an exit status after having complained.
 */
int cli_store_open(const struct cli_request *request, const char *uri, bool create,
                   const flagver_options *options, flagver_client **ret_client, flagver_error *err);
int cli_store_read(const struct cli_request *request, const flagver_options *options,
                   flagver_client **ret_client);
int cli_store_write(const struct cli_request *request, bool create, flagver_client **ret_client);

/* Complains about what went wrong with a whole store; returns the exit status. */
int cli_store_fail(const char *uri, flagver_error *err);

/* --actor, else FLAGVER_ACTOR, else the login name; with each --role. */
struct cli_actor {
    flagver_actor actor;
    char room[FLAGVER_ACTOR_LIMIT + 1];
};

void cli_store_actor(const struct cli_request *request, struct cli_actor *ret_actor);

/* --note, --expect and --emergency. Returns 0 or CLI_USAGE. */
int cli_write_options(const struct cli_request *request, flagver_write_options *ret_options);

/* flagver_txn_run() by that actor under --idempotency-key. Returns a code. */
int cli_transact(const struct cli_request *request, flagver_client *client,
                 int (*run)(void *data, flagver_txn *txn, flagver_error *err), void *data,
                 flagver_error *err);

/* A version's number in the command line: digits, from `least` on. */
bool cli_parse_number(const char *text, uint32_t least, uint32_t *ret_number);

/* A share in the command line: digits and a point, 0 to 100 as the library will say. */
bool cli_parse_percentage(const char *text, double *ret_percentage);

#endif
