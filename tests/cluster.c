#define _GNU_SOURCE /* nftw(), initgroups() */
#include "cluster.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <glob.h>
#include <grp.h>
#include <libpq-fe.h>
#include <netinet/in.h>
#include <pwd.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define USUAL_PORT 5432
#define POOLER_PORT 6432
#define PATIENCE_MS 60000                  /* for what takes a moment */
#define ROOM ((unsigned long long)1 << 30) /* that a few clusters want */
#define NAME_SIZE 256

struct cluster {
    char root[NAME_SIZE - 64];
    char data[NAME_SIZE], socket[NAME_SIZE], log[NAME_SIZE];
    int port;
    bool tcp;
    pid_t pid;     /* the server's first process; 0: none of ours */
    pid_t starter; /* the process whose it is; 0: it is another program's */
};

struct pooler {
    char directory[NAME_SIZE], settings[NAME_SIZE + 16], log[NAME_SIZE + 16];
    pid_t pid;
};

/* One of eight places, in turn, for what is handed out. */
static char *next_place(void)
{
    static char places[8][4096];
    static unsigned turn;

    return places[turn++ % 8];
}
#define PLACE_SIZE 4096

static void copy_file_to_stderr(const char *path)
{
    FILE *file = fopen(path, "r");
    char line[512];

    while (file && fgets(line, sizeof line, file))
        fprintf(stderr, "    %s", line);
    if (file)
        fclose(file);
}

/* The test has failed; `log`, unless NULL, is a file that may say why. */
__attribute__((format(printf, 2, 3), noreturn)) static void give_up(const char *log,
                                                                    const char *format, ...)
{
    va_list arguments;

    fflush(stdout);
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    if (log)
        copy_file_to_stderr(log);
    exit(EXIT_FAILURE);
}

static void pause_briefly(void)
{
    nanosleep(&(struct timespec){ .tv_nsec = 5000000 }, NULL);
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- what is installed ---- */

static bool is_program(const char *directory, const char *name)
{
    char path[2 * NAME_SIZE];

    snprintf(path, sizeof path, "%s/%s", directory, name);
    return access(path, X_OK) == 0;
}

/* The folder that `pg_config --bindir` names, "" when there is no pg_config. */
static void ask_for_folder(char *folder, size_t size)
{
    FILE *answer = popen("pg_config --bindir 2>/dev/null", "r");

    folder[0] = '\0';
    if (answer && fgets(folder, (int)size, answer))
        folder[strcspn(folder, "\n")] = '\0';
    if (answer)
        pclose(answer);
}

static int version_of(const char *folder)
{
    return atoi(folder + strlen("/usr/lib/postgresql/"));
}

/* Where Debian keeps the programs: the newest of them. */
static void find_newest_folder(char *folder, size_t size)
{
    glob_t found;
    size_t i;

    if (glob("/usr/lib/postgresql/*/bin", 0, NULL, &found) != 0)
        return;
    for (i = 0; i < found.gl_pathc; i++)
        if (is_program(found.gl_pathv[i], "postgres") &&
            (!folder[0] || version_of(found.gl_pathv[i]) > version_of(folder)))
            snprintf(folder, size, "%s", found.gl_pathv[i]);
    globfree(&found);
}

/* The folder with PostgreSQL's programs, "" when there is no server. */
static const char *server_folder(void)
{
    static char folder[NAME_SIZE];
    static bool known;

    if (known)
        return folder;
    known = true;
    ask_for_folder(folder, sizeof folder);
    if (!is_program(folder, "postgres")) {
        folder[0] = '\0';
        find_newest_folder(folder, sizeof folder);
    }
    return folder;
}

bool cluster_wanted(void)
{
    const char *run_of = getenv("FLAGVER_TEST_CLUSTER");

    return !run_of || strcmp(run_of, "none") != 0;
}

bool cluster_possible(void)
{
    return cluster_wanted() && server_folder()[0] != '\0' &&
           (geteuid() != 0 || getpwnam("postgres"));
}

static const char *pooler_program(void)
{
    static const char *const places[] = { "/usr/sbin/pgbouncer", "/usr/bin/pgbouncer",
                                          "/usr/local/bin/pgbouncer" };
    size_t i;

    for (i = 0; i < sizeof places / sizeof *places; i++)
        if (access(places[i], X_OK) == 0)
            return places[i];
    return NULL;
}

bool pooler_possible(void)
{
    return cluster_possible() && pooler_program();
}

/* A child of Check's that ends so has passed. */
__attribute__((noreturn)) static void skip(const char *what)
{
    printf("SKIPPED: %s\n", what);
    fflush(stdout);
    _exit(EXIT_SUCCESS);
}

void cluster_skip(void)
{
    skip("no PostgreSQL server");
}

void pooler_skip(void)
{
    skip(cluster_possible() ? "no PgBouncer" : "no PostgreSQL server");
}

/* ---- programs ---- */

/* The user who runs servers when we are root; NULL: we are not. */
static const struct passwd *server_user(void)
{
    return geteuid() == 0 ? getpwnam("postgres") : NULL;
}

/*
 * Be a program that ends by `death` when our parent does, and writes what it says to `log`. PostgreSQL
 * does not start as root, nor where it may not look at the current directory.
 */
__attribute__((noreturn)) static void become(const char *const *words, const char *log, int death,
                                             pid_t parent, const struct passwd *user)
{
    int output = open(log, O_WRONLY | O_CREAT | O_APPEND, 0644),
        input = open("/dev/null", O_RDONLY), i;

    dup2(input, 0);
    dup2(output, 1);
    dup2(output, 2);
    for (i = 3; i < 1024; i++)
        close(i);
    if (user && (initgroups(user->pw_name, user->pw_gid) < 0 || setgid(user->pw_gid) < 0 ||
                 setuid(user->pw_uid) < 0))
        _exit(126);
    if (chdir("/") < 0)
        _exit(126);
    prctl(PR_SET_PDEATHSIG, death); /* changing the user takes it back: so not before */
    if (getppid() != parent)
        _exit(126);
    execv(words[0], (char *const *)(size_t)words);
    _exit(127);
}

static pid_t start(const char *const *words, const char *log, int death)
{
    const struct passwd *user = server_user();
    pid_t parent = getpid(), child;

    fflush(NULL);
    child = fork();
    if (child == 0)
        become(words, log, death, parent, user);
    if (child < 0)
        give_up(NULL, "%s cannot be started: %s", words[0], strerror(errno));
    return child;
}

static void run(const char *const *words, const char *log)
{
    pid_t child = start(words, log, SIGKILL);
    int status;

    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        give_up(log, "%s ended with status %d", words[0], status);
}

static const char *program(const char *name)
{
    char *path = next_place();

    snprintf(path, PLACE_SIZE, "%s/%s", server_folder(), name);
    return path;
}

/* Has it ended? Then it is no longer a child. */
static bool has_ended(pid_t child)
{
    return waitpid(child, NULL, WNOHANG) != 0;
}

static void end(pid_t child, int signal)
{
    kill(child, signal);
    while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
        ;
}

/* ---- directories ---- */

static int remove_entry(const char *path, const struct stat *status, int type, struct FTW *where)
{
    (void)status;
    (void)type;
    (void)where;
    remove(path);
    return 0;
}

static void remove_tree(const char *path)
{
    nftw(path, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Directories are named after the process that made them: of those that were killed some are left. */
static void remove_what_others_left(const char *place)
{
    char pattern[NAME_SIZE];
    glob_t found;
    size_t i;
    pid_t maker;

    snprintf(pattern, sizeof pattern, "%s/flagver-cluster-*-*", place);
    if (glob(pattern, 0, NULL, &found) != 0)
        return;
    for (i = 0; i < found.gl_pathc; i++) {
        maker = (pid_t)atol(strstr(found.gl_pathv[i], "/flagver-cluster-") + 17);
        if (maker > 0 && kill(maker, 0) < 0 && errno == ESRCH)
            remove_tree(found.gl_pathv[i]);
    }
    globfree(&found);
}

static const char *usual_place(void)
{
    struct statvfs room;

    if (statvfs("/dev/shm", &room) == 0 && access("/dev/shm", W_OK) == 0 &&
        (unsigned long long)room.f_bavail * room.f_frsize >= ROOM)
        return "/dev/shm";
    return "/tmp";
}

/* A directory of the servers' user. */
static void make_directory(const char *path)
{
    const struct passwd *user = server_user();

    if ((mkdir(path, 0700) < 0 && errno != EEXIST) ||
        (user && chown(path, user->pw_uid, user->pw_gid) < 0))
        give_up(NULL, "%s cannot be made: %s", path, strerror(errno));
}

static void name_parts(struct cluster *cluster)
{
    snprintf(cluster->data, sizeof cluster->data, "%s/data", cluster->root);
    snprintf(cluster->socket, sizeof cluster->socket, "%s/socket", cluster->root);
    snprintf(cluster->log, sizeof cluster->log, "%s/log", cluster->root);
}

static void make_root(struct cluster *cluster, const char *place)
{
    const struct passwd *user = server_user();
    FILE *log;

    if (!place) {
        place = usual_place();
        remove_what_others_left(place);
    }
    snprintf(cluster->root, sizeof cluster->root, "%s/flagver-cluster-%ld-XXXXXX", place,
             (long)getpid());
    if (!mkdtemp(cluster->root))
        give_up(NULL, "%s cannot be made: %s", cluster->root, strerror(errno));
    name_parts(cluster);
    make_directory(cluster->root);
    make_directory(cluster->socket);
    log = fopen(cluster->log, "w");
    if (!log || (user && fchown(fileno(log), user->pw_uid, user->pw_gid) < 0))
        give_up(NULL, "%s cannot be written: %s", cluster->log, strerror(errno));
    fclose(log);
}

/* ---- the server ---- */

/* Nobody else had it a moment ago. */
static int free_port(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET,
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);

    if (bind(listener, (struct sockaddr *)&address, length) < 0 ||
        getsockname(listener, (struct sockaddr *)&address, &length) < 0)
        give_up(NULL, "no free port on 127.0.0.1: %s", strerror(errno));
    close(listener);
    return ntohs(address.sin_port);
}

static void copy(const char *from, const char *to, const char *log)
{
    run((const char *[]){ "/bin/cp", "-R", "-p", from, to, NULL }, log);
}

/* What initdb makes is the same each time: where a run of tests keeps it, that is copied. */
static void make_data(const struct cluster *cluster, bool keep)
{
    const char *run_of = getenv("FLAGVER_TEST_CLUSTER"), *initdb = program("initdb");
    char kept[2 * NAME_SIZE];

    snprintf(kept, sizeof kept, "%.250s/template", run_of ? run_of : cluster->root);
    if (run_of) {
        copy(kept, cluster->data, cluster->log);
        return;
    }
    run((const char *[]){ initdb, "-D", cluster->data, "-U", "postgres", "-A", "trust", "-E",
                          "UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions", NULL },
        cluster->log);
    if (keep)
        copy(cluster->data, kept, cluster->log);
}

static void add_settings(const struct cluster *cluster, const char *settings)
{
    char path[NAME_SIZE + 32];
    FILE *file;

    snprintf(path, sizeof path, "%s/postgresql.conf", cluster->data);
    file = fopen(path, "a");
    if (!file || fprintf(file, "\n%s\n", settings) < 0 || fclose(file) != 0)
        give_up(NULL, "%s cannot be written: %s", path, strerror(errno));
}

/*
 * What tests of all kinds are content with. Vacuuming would be in the way of copying a database, and
 * shared memory outside of the directory would stay when the server is killed.
 */
#define COMMON_SETTINGS                   \
    "max_connections = 300\n"             \
    "shared_buffers = 64MB\n"             \
    "dynamic_shared_memory_type = mmap\n" \
    "autovacuum = off\n"                  \
    "checkpoint_timeout = 30min\n"        \
    "unix_socket_permissions = 0777\n"    \
    "log_line_prefix = '%m [%p] '\n"      \
    "lc_messages = 'C'\n"

static void configure(const struct cluster *cluster, const struct cluster_options *options)
{
    add_settings(cluster, COMMON_SETTINGS);
    if (!options->force)
        add_settings(cluster, "fsync = off\nfull_page_writes = off");
    if (options->settings)
        add_settings(cluster, options->settings);
}

static bool answers(const char *directory, int port, const char *database)
{
    char number[16];
    const char *const names[] = { "host", "port", "user", "dbname", NULL };
    const char *values[] = { directory, number, "postgres", database, NULL };

    snprintf(number, sizeof number, "%d", port);
    return PQpingParams(names, values, 0) == PQPING_OK;
}

static void launch(struct cluster *cluster)
{
    const char *server = program("postgres");
    char port[16];

    snprintf(port, sizeof port, "%d", cluster->port);
    cluster->pid = start((const char *[]){ server, "-D", cluster->data, "-k", cluster->socket, "-p",
                                           port, "-h", cluster->tcp ? "127.0.0.1" : "", NULL },
                         cluster->log, SIGQUIT);
}

/*
 * After a kill what is left of the server before may be there for a moment, and the new one ends
 * at once: it is started until it stays.
 */
static void start_server(struct cluster *cluster)
{
    long long end_of_patience = now_ms() + PATIENCE_MS;

    launch(cluster);
    while (!answers(cluster->socket, cluster->port, "postgres")) {
        if (now_ms() > end_of_patience)
            give_up(cluster->log, "the PostgreSQL server does not answer; it said:");
        pause_briefly();
        if (has_ended(cluster->pid))
            launch(cluster);
    }
}

struct cluster *cluster_start(const struct cluster_options *options)
{
    static const struct cluster_options usual = { .force = false };
    struct cluster *cluster = calloc(1, sizeof *cluster);

    if (!cluster || !cluster_possible())
        give_up(NULL, "there is no PostgreSQL server");
    options = options ? options : &usual;
    cluster->starter = getpid();
    cluster->tcp = options->tcp;
    cluster->port = options->tcp ? free_port() : USUAL_PORT;
    make_root(cluster, options->place);
    make_data(cluster, options->run);
    configure(cluster, options);
    start_server(cluster);
    if (!cluster_value(cluster, "postgres", "SELECT 1 FROM pg_roles WHERE rolname = 'app'")[0])
        cluster_sql(cluster, "postgres", "CREATE ROLE owner LOGIN CREATEDB; CREATE ROLE app LOGIN");
    return cluster;
}

void cluster_end(struct cluster *cluster, int signal)
{
    if (cluster->pid > 0 && cluster->starter == getpid())
        end(cluster->pid, signal);
    cluster->pid = 0;
}

void cluster_kill(struct cluster *cluster)
{
    cluster_end(cluster, SIGKILL);
}

void cluster_restart(struct cluster *cluster)
{
    cluster_end(cluster, SIGINT);
    start_server(cluster);
}

void cluster_stop(struct cluster *cluster)
{
    if (!cluster)
        return;
    if (cluster->starter == getpid()) {
        cluster_end(cluster, SIGQUIT); /* its data goes: there is nothing to be orderly about */
        remove_tree(cluster->root);
    }
    free(cluster);
}

/* ---- the cluster of a run ---- */

static struct cluster *shared;

static void stop_shared(void)
{
    cluster_stop(shared);
    shared = NULL;
}

static struct cluster *attach(const char *root)
{
    struct cluster *cluster = calloc(1, sizeof *cluster);

    if (!cluster)
        give_up(NULL, "no memory");
    snprintf(cluster->root, sizeof cluster->root, "%s", root);
    name_parts(cluster);
    cluster->port = USUAL_PORT;
    return cluster;
}

struct cluster *cluster_shared(void)
{
    const char *run_of = getenv("FLAGVER_TEST_CLUSTER");

    if (shared)
        return shared;
    shared = run_of ? attach(run_of) : cluster_start(NULL);
    atexit(stop_shared);
    return shared;
}

/* ---- standbys ---- */

struct cluster *cluster_standby(struct cluster *primary, const struct cluster_options *options)
{
    struct cluster *standby = calloc(1, sizeof *standby);
    const char *copier = program("pg_basebackup");
    char port[16];

    if (!standby)
        give_up(NULL, "no memory");
    standby->starter = getpid();
    standby->tcp = options && options->tcp;
    standby->port = standby->tcp ? free_port() : USUAL_PORT;
    make_root(standby, options ? options->place : NULL);
    snprintf(port, sizeof port, "%d", primary->port);
    run((const char *[]){ copier, "-h", primary->socket, "-p", port, "-U", "postgres", "-D",
                          standby->data, "-X", "stream", "-c", "fast", "-R", "--no-sync", NULL },
        standby->log);
    if (options && options->settings)
        add_settings(standby, options->settings);
    start_server(standby);
    return standby;
}

void cluster_wait_standby(struct cluster *primary, struct cluster *standby)
{
    long long end_of_patience = now_ms() + PATIENCE_MS;
    char question[256];

    snprintf(question, sizeof question, "SELECT 1 WHERE pg_last_wal_replay_lsn() >= '%s'",
             cluster_value(primary, "postgres", "SELECT pg_current_wal_lsn()"));
    while (!cluster_value(standby, "postgres", question)[0]) {
        if (now_ms() > end_of_patience)
            give_up(standby->log, "the standby does not catch up; it said:");
        pause_briefly();
    }
}

void cluster_promote(struct cluster *standby)
{
    if (strcmp(cluster_value(standby, "postgres", "SELECT pg_promote(true, 60)"), "t") != 0)
        give_up(standby->log, "the standby is not promoted; it said:");
}

/* ---- where it is ---- */

static const char *socket_uri(const char *directory, int port, const char *database,
                              const char *role)
{
    char *uri = next_place();

    snprintf(uri, PLACE_SIZE, "postgresql://%s@/%s?host=%s&port=%d", role, database, directory,
             port);
    return uri;
}

const char *cluster_uri(const struct cluster *cluster, const char *database, const char *role)
{
    return socket_uri(cluster->socket, cluster->port, database, role);
}

const char *cluster_tcp_uri(const struct cluster *cluster, const char *database, const char *role)
{
    char *uri = next_place();

    snprintf(uri, PLACE_SIZE, "postgresql://%s@127.0.0.1:%d/%s", role, cluster->port, database);
    return uri;
}

const char *cluster_root(const struct cluster *cluster)
{
    return cluster->root;
}

const char *cluster_directory(const struct cluster *cluster)
{
    return cluster->socket;
}

int cluster_port(const struct cluster *cluster)
{
    return cluster->port;
}

pid_t cluster_pid(const struct cluster *cluster)
{
    return cluster->pid;
}

const char *cluster_log(const struct cluster *cluster)
{
    return cluster->log;
}

/* ---- databases and SQL ---- */

static void ignore_notice(void *data, const PGresult *result)
{
    (void)data;
    (void)result;
}

static PGconn *connect_as(const struct cluster *cluster, const char *database, const char *role)
{
    PGconn *connection = PQconnectdb(cluster_uri(cluster, database, role));

    if (PQstatus(connection) == CONNECTION_OK)
        PQsetNoticeReceiver(connection, ignore_notice, NULL);
    return connection;
}

static bool is_fine(const PGresult *result)
{
    return PQresultStatus(result) == PGRES_COMMAND_OK || PQresultStatus(result) == PGRES_TUPLES_OK;
}

const char *cluster_value(struct cluster *cluster, const char *database, const char *sql)
{
    PGconn *connection = connect_as(cluster, database, "postgres");
    PGresult *result = PQexec(connection, sql);
    char *value = next_place();

    if (!is_fine(result))
        give_up(NULL, "%s: %s", sql, PQerrorMessage(connection));
    snprintf(value, PLACE_SIZE, "%s", PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    PQfinish(connection);
    return value;
}

void cluster_sql(struct cluster *cluster, const char *database, const char *sql)
{
    cluster_value(cluster, database, sql);
}

const char *cluster_try(struct cluster *cluster, const char *database, const char *role,
                        const char *sql)
{
    PGconn *connection = connect_as(cluster, database, role);
    PGresult *result = PQexec(connection, sql);
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    char *out = next_place();

    snprintf(out, PLACE_SIZE, "%s", is_fine(result) ? "" : state ? state : "08006");
    PQclear(result);
    PQfinish(connection);
    return out;
}

void cluster_database(struct cluster *cluster, const char *name, const char *template)
{
    char sql[512];

    snprintf(sql, sizeof sql, "CREATE DATABASE \"%s\" OWNER owner TEMPLATE \"%s\"", name,
             template ? template : "template1");
    cluster_sql(cluster, "postgres", sql);
}

void cluster_drop(struct cluster *cluster, const char *name)
{
    char sql[512];

    snprintf(sql, sizeof sql, "DROP DATABASE IF EXISTS \"%s\" WITH (FORCE)", name);
    cluster_sql(cluster, "postgres", sql);
}

/* ---- PgBouncer ---- */

static void write_file(const char *path, const char *words)
{
    const struct passwd *user = server_user();
    FILE *file = fopen(path, "w");

    if (!file || fputs(words, file) < 0 ||
        (user && fchown(fileno(file), user->pw_uid, user->pw_gid) < 0) || fclose(file) != 0)
        give_up(NULL, "%s cannot be written: %s", path, strerror(errno));
}

static void configure_pooler(const struct pooler *pooler, const struct cluster *cluster,
                             const char *settings)
{
    char users[NAME_SIZE + 16], words[4096];

    snprintf(users, sizeof users, "%s/users", pooler->directory);
    write_file(users, "\"postgres\" \"\"\n\"owner\" \"\"\n\"app\" \"\"\n");
    snprintf(words, sizeof words,
             "[databases]\n"
             "* = host=%s port=%d\n"
             "[pgbouncer]\n"
             "unix_socket_dir = %s\n"
             "listen_port = %d\n"
             "auth_type = trust\n"
             "auth_file = %s\n"
             "pool_mode = transaction\n"
             "max_client_conn = 1000\n"
             "ignore_startup_parameters = extra_float_digits\n"
             "%s\n",
             cluster->socket, cluster->port, pooler->directory, POOLER_PORT, users,
             settings ? settings : "");
    write_file(pooler->settings, words);
    write_file(pooler->log, "");
}

void pooler_restart(struct pooler *pooler)
{
    const char *words[] = { pooler_program(), "-q", pooler->settings, NULL };
    long long end_of_patience = now_ms() + PATIENCE_MS;

    if (pooler->pid > 0)
        end(pooler->pid, SIGTERM);
    pooler->pid = start(words, pooler->log, SIGKILL);
    while (!answers(pooler->directory, POOLER_PORT, "postgres")) {
        if (has_ended(pooler->pid) || now_ms() > end_of_patience)
            give_up(pooler->log, "PgBouncer does not answer; it said:");
        pause_briefly();
    }
}

struct pooler *pooler_start(const struct cluster *cluster, const char *settings)
{
    static unsigned number;
    struct pooler *pooler = calloc(1, sizeof *pooler);

    if (!pooler || !pooler_possible())
        give_up(NULL, "there is no PgBouncer");
    snprintf(pooler->directory, sizeof pooler->directory, "%s/pooler-%ld-%u", cluster->root,
             (long)getpid(), number++);
    make_directory(pooler->directory);
    snprintf(pooler->settings, sizeof pooler->settings, "%s/ini", pooler->directory);
    snprintf(pooler->log, sizeof pooler->log, "%s/log", pooler->directory);
    configure_pooler(pooler, cluster, settings);
    pooler_restart(pooler);
    return pooler;
}

void pooler_kill(struct pooler *pooler)
{
    end(pooler->pid, SIGKILL);
    pooler->pid = 0;
}

void pooler_stop(struct pooler *pooler)
{
    if (!pooler)
        return;
    if (pooler->pid > 0)
        end(pooler->pid, SIGTERM);
    remove_tree(pooler->directory);
    free(pooler);
}

const char *pooler_uri(const struct pooler *pooler, const char *database, const char *role)
{
    return socket_uri(pooler->directory, POOLER_PORT, database, role);
}
