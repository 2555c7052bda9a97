#define _GNU_SOURCE /* dup3 */

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include "driver/postgres_internal.h"

/*
 * A child of fork() has descriptors of its parent's connections. It never uses them, nor says goodbye
 * to the server, which would end the parent's sessions. But as long as it has them open the server
 * does not notice that the parent is gone, whose transactions then keep what they have locked. So it
 * lets go of its descriptors at once; neither the parent nor the server notices.
 *
 * In their place is something that nobody has any use for: the numbers are still in what the child
 * has inherited, and must not come to be those of its own files.
 *
 * Nothing is locked around a fork: others that are would have to be locked before, and we do not know
 * them. The child finds the list as it is between any two steps of a thread that was changing it,
 * which is whole at each.
 */
static _Atomic(struct fv_pg *) ours;                     /* the connections that may be open */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* held by whoever changes it */

static pthread_once_t prepared = PTHREAD_ONCE_INIT;

/* A number that has come to be another file's meanwhile stays that. */
static void let_go(int descriptor, const struct fv_pg *conn, int instead)
{
    struct stat file;

    if (descriptor >= 0 && fstat(descriptor, &file) == 0 && file.st_dev == conn->device &&
        file.st_ino == conn->inode)
        dup3(instead, descriptor, O_CLOEXEC);
}

static void in_child(void)
{
    int instead = eventfd(0, EFD_CLOEXEC);
    const struct fv_pg *conn;

    for (conn = ours; conn && instead >= 0; conn = conn->next_ours) {
        let_go(conn->socket, conn, instead);
        let_go(conn->ear, conn, instead);
    }
    if (instead >= 0)
        close(instead);
    ours = NULL;
    lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
}

/* Where that cannot be had, a child keeps what it has inherited. */
static void prepare(void)
{
    (void)pthread_atfork(NULL, NULL, in_child);
}

void fv_pg_note_socket(struct fv_pg *conn)
{
    int socket = PQsocket(conn->pq);
    struct stat file;

    if (socket < 0 || fstat(socket, &file) < 0)
        return;
    conn->device = file.st_dev;
    conn->inode = file.st_ino;
    conn->socket = socket;
}

void fv_pg_count_in(struct fv_pg *conn)
{
    pthread_once(&prepared, prepare);
    conn->socket = conn->ear = -1;
    pthread_mutex_lock(&lock);
    conn->next_ours = ours;
    ours = conn;
    pthread_mutex_unlock(&lock);
}

void fv_pg_count_out(const struct fv_pg *conn)
{
    struct fv_pg *before;

    pthread_mutex_lock(&lock);
    if (ours == conn)
        ours = conn->next_ours;
    for (before = ours; before; before = before->next_ours)
        if (before->next_ours == conn)
            before->next_ours = conn->next_ours;
    pthread_mutex_unlock(&lock);
}
