/*
 * PostgreSQL for tests: clusters of their own, which no other program uses and which go with
 * the program that started them, also when it is killed.
 *
 * Each has a fresh directory on /dev/shm (or /tmp, where that is small), listens on a Unix socket in
 * it and runs the server of the distribution, as user `postgres` when we are root, which
 * PostgreSQL refuses to be. Roles: `postgres`, a superuser; `owner`, who may create databases;
 * `app`, who may log in and nothing else. None has a password.
 *
 * What a test asks for is there or the test has failed: the functions print why and end the
 * process. Where no server is installed, cluster_possible() is false, and tests say so by
 * cluster_skip(). Under valgrind there is to be none (FLAGVER_TEST_CLUSTER is "none"): test cases
 * that start one have the tag "postgres".
 *
 *     struct cluster *cluster = cluster_shared();
 *
 *     cluster_database(cluster, "one", NULL);
 *     flagver_open(cluster_uri(cluster, "one", "owner"), …);
 *     cluster_drop(cluster, "one");
 *
 * Who starts a cluster stops it: in the same process, whose thread that started it goes on.
 */
#ifndef FLAGVER_TESTS_CLUSTER_H
#define FLAGVER_TESTS_CLUSTER_H

#include <stdbool.h>
#include <sys/types.h>

struct cluster;

/*
 * force     changes are forced to disk as in production; else nothing is
 * tcp       listen on a free port of 127.0.0.1 as well
 * run       to be a run's cluster: others can be copied from it
 * settings  further lines of postgresql.conf, or NULL
 * place     a directory that exists, for the cluster's; NULL: /dev/shm or /tmp
 */
struct cluster_options {
    bool force, tcp, run;
    const char *settings, *place;
};

/* Are tests to start servers at all, or to say that there is none? */
bool cluster_wanted(void);

/* Is PostgreSQL's server installed? Else these tests print "SKIPPED: no PostgreSQL server". */
bool cluster_possible(void);

/* Say so for a test that began, and end its process as if it had passed. */
void cluster_skip(void);

/* ---- clusters ---- */

/* A cluster that answers; `options` NULL: all zero. */
struct cluster *cluster_start(const struct cluster_options *options);

/*
 * The cluster of all programs of this run (FLAGVER_TEST_CLUSTER, see with_cluster.c), or one
 * that this program starts when it is first asked for and stops at its end. Call it before
 * Check forks. For databases of one's own; who stops servers or changes settings starts one.
 */
struct cluster *cluster_shared(void);

/* Stop it and remove all there is of it. NULL is fine. */
void cluster_stop(struct cluster *cluster);

/*
 * End the server and keep its data: by SIGINT, which lets nobody in, takes open transactions back
 * and ends orderly; by SIGQUIT, without order; by SIGKILL, of its first process alone, which
 * the others notice. Returns when it has ended.
 */
void cluster_end(struct cluster *cluster, int signal);
void cluster_kill(struct cluster *cluster); /* by SIGKILL */

/* Start the server again, after ending it orderly if it runs; returns when it answers. */
void cluster_restart(struct cluster *cluster);

/*
 * A second cluster that follows this one by streaming replication and answers who reads.
 * Stop it before its primary, unless that is already gone.
 */
struct cluster *cluster_standby(struct cluster *primary, const struct cluster_options *options);
void cluster_wait_standby(struct cluster *primary, struct cluster *standby); /* it has all by now */
void cluster_promote(struct cluster *standby); /* returns when it takes writes */

/* ---- where it is ---- */

/*
 * "postgresql://ROLE@/DATABASE?host=…" and, with `tcp`, "postgresql://ROLE@127.0.0.1:PORT/…".
 * Good until the eighth call from here.
 */
const char *cluster_uri(const struct cluster *cluster, const char *database, const char *role);
const char *cluster_tcp_uri(const struct cluster *cluster, const char *database, const char *role);

const char *cluster_root(const struct cluster *cluster);      /* what FLAGVER_TEST_CLUSTER says */
const char *cluster_directory(const struct cluster *cluster); /* of the socket */
int cluster_port(const struct cluster *cluster);
pid_t cluster_pid(const struct cluster *cluster);       /* of the server's first process */
const char *cluster_log(const struct cluster *cluster); /* the file with what it says */

/* ---- databases and SQL ---- */

/* A fresh database that belongs to `owner`; a copy of `template` unless that is NULL. */
void cluster_database(struct cluster *cluster, const char *name, const char *template);
void cluster_drop(struct cluster *cluster, const char *name); /* also while it is used */

/* Statements as a superuser. */
void cluster_sql(struct cluster *cluster, const char *database, const char *sql);

/* The first column of the first row, "" when there is none; good until the eighth call from here. */
const char *cluster_value(struct cluster *cluster, const char *database, const char *sql);

/* As any role: the SQLSTATE of the first that failed, "" when none did, "08006" without a server. */
const char *cluster_try(struct cluster *cluster, const char *database, const char *role,
                        const char *sql);

/* ---- PgBouncer ---- */

struct pooler;

/* Is it installed? Else these tests print "SKIPPED: no PgBouncer". */
bool pooler_possible(void);
void pooler_skip(void);

/* In front of all databases of a cluster, in transaction mode; `settings`: of [pgbouncer]. */
struct pooler *pooler_start(const struct cluster *cluster, const char *settings);
void pooler_stop(struct pooler *pooler); /* before the cluster; NULL is fine */
void pooler_kill(struct pooler *pooler); /* by SIGKILL; its connections are gone */
void pooler_restart(struct pooler *pooler);
const char *pooler_uri(const struct pooler *pooler, const char *database, const char *role);

#endif
