/*
 * Run a program with one PostgreSQL cluster for all tests below it:
 *
 *     with_cluster COMMAND [ARGUMENT…]
 *
 * FLAGVER_TEST_CLUSTER names the directory. Clusters that tests start themselves are copied from what
 * is in it instead of being made. Without a server the command runs all the same.
 */
#define _POSIX_C_SOURCE 200809L /* fork(), setenv() */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cluster.h"

static volatile sig_atomic_t command;

/* The command is ended, and we when it has: the cluster is to go, too. */
static void pass_on(int signal)
{
    if (command > 0)
        kill((pid_t)command, signal);
}

static void listen_for(int signal, void (*handler)(int))
{
    struct sigaction action = { .sa_handler = handler };

    sigemptyset(&action.sa_mask);
    sigaction(signal, &action, NULL);
}

static int run(char **words)
{
    int status = 0;

    command = (sig_atomic_t)fork();
    if (command == 0) {
        execvp(words[0], words);
        fprintf(stderr, "with_cluster: %s: %s\n", words[0], strerror(errno));
        _exit(127);
    }
    listen_for(SIGTERM, pass_on);
    listen_for(SIGHUP, pass_on);
    listen_for(SIGINT, SIG_IGN); /* a terminal's reaches the command as well */
    while (waitpid((pid_t)command, &status, 0) < 0)
        if (errno != EINTR)
            return EXIT_FAILURE;
    return WIFEXITED(status) ? WEXITSTATUS(status) : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
    struct cluster *cluster = NULL;
    int status;

    if (argc < 2) {
        fprintf(stderr, "usage: with_cluster COMMAND [ARGUMENT…]\n");
        return 2;
    }
    if (cluster_possible() && !getenv("FLAGVER_TEST_CLUSTER")) {
        cluster = cluster_start(&(struct cluster_options){ .run = true });
        setenv("FLAGVER_TEST_CLUSTER", cluster_root(cluster), 1);
    }
    status = run(argv + 1);
    cluster_stop(cluster);
    return status;
}
