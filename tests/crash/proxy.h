/*
 * A proxy between a client and a PostgreSQL server on Unix sockets, in a process of its own, which
 * passes everything on in both directions, and cuts the connection that commits next when it is
 * told to.
 *
 *     proxy_start(cluster_directory(cluster));
 *     flagver_open("postgresql://app@/one?host=PROXY.PLACE.DIRECTORY", …);
 *     proxy_cut(CUT_AFTER, false);
 *     flagver_txn_commit(…);
 *     proxy_assert_cut();
 *     proxy_stop();
 */
#ifndef FLAGVER_TESTS_PROXY_H
#define FLAGVER_TESTS_PROXY_H

#include <poll.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "driver/postgres_internal.h"
#include "place.h"
#include "seed.h"

enum cut {
    NO_CUT,
    CUT_BEFORE,    /* the commit does not reach the server */
    CUT_REQUEST,   /* half of it does */
    CUT_BEHIND,    /* it does, and nobody waits for the answer */
    CUT_ANSWER,    /* half of the answer reaches the client */
    CUT_AFTER,     /* none of it does */
    CUT_LATE,      /* it reaches the server when the client is long gone */
    CUT_ONE_SIDED, /* it does not, nor does the server hear that the client is gone */
};

#define LANES 32
#define LATE_MS 100

/* What the test tells the proxy, and the proxy it. */
struct proxy_orders {
    atomic_int cut;                  /* at the next commit */
    atomic_bool refuse, refuse_then; /* nobody gets through: now, and from the next cut on */
    atomic_int cuts;                 /* made so far */
};

struct lane {
    int client, server; /* -1: closed */
    bool answer_awaited, half_answer;
    char late[1024];
    size_t late_length;
    double late_at;
};

static struct {
    struct place place; /* of its socket */
    char server[108];   /* the directory of the server's */
    int listener;
    struct proxy_orders *orders;
    struct lane lanes[LANES];
    pid_t process;
} proxy;

static inline struct sockaddr_un address_in(const char *directory)
{
    struct sockaddr_un address = { .sun_family = AF_UNIX };

    must((size_t)snprintf(address.sun_path, sizeof address.sun_path, "%s/.s.PGSQL.5432",
                          directory) < sizeof address.sun_path,
         "%s is too long", directory);
    return address;
}

static inline void close_one(int *descriptor)
{
    if (*descriptor >= 0)
        close(*descriptor);
    *descriptor = -1;
}

static inline void close_lane(struct lane *lane)
{
    close_one(&lane->client);
    close_one(&lane->server);
    *lane = (struct lane){ .client = -1, .server = -1 };
}

static inline void send_on(int to, const char *bytes, size_t length)
{
    ssize_t sent;

    for (; to >= 0 && length > 0; bytes += sent, length -= (size_t)sent)
        if ((sent = send(to, bytes, length, MSG_NOSIGNAL)) <= 0)
            return;
}

static inline void let_in(void)
{
    struct sockaddr_un address = address_in(proxy.server);
    int i, client_side = accept(proxy.listener, NULL, NULL);
    struct lane *lane;

    for (i = 0; i < LANES && proxy.lanes[i].client + proxy.lanes[i].server != -2; i++)
        ;
    if (i == LANES || atomic_load(&proxy.orders->refuse)) {
        close(client_side);
        return;
    }
    lane = &proxy.lanes[i];
    lane->client = client_side;
    lane->server = socket(AF_UNIX, SOCK_STREAM, 0);
    if (connect(lane->server, (struct sockaddr *)&address, sizeof address) < 0)
        close_lane(lane);
}

/* The prepared COMMIT is bound, and with it executed. */
static inline bool has_commit(const char *bytes, size_t length)
{
    char name[32];
    int size = snprintf(name, sizeof name, "%cflagver_%d", 0, FV_PG_COMMIT);

    return memmem(bytes, length, name, (size_t)size + 1) != NULL;
}

static inline void turn_all_away(const struct lane *but)
{
    int i;

    atomic_store(&proxy.orders->refuse, true);
    for (i = 0; i < LANES; i++)
        if (&proxy.lanes[i] != but)
            close_lane(&proxy.lanes[i]);
}

static inline void cut_at_commit(struct lane *lane, const char *bytes, size_t length)
{
    enum cut cut = (enum cut)atomic_exchange(&proxy.orders->cut, NO_CUT);

    if (atomic_exchange(&proxy.orders->refuse_then, false))
        turn_all_away(lane);
    atomic_fetch_add(&proxy.orders->cuts, 1);
    switch (cut) {
    case CUT_REQUEST:
        send_on(lane->server, bytes, length / 2);
        close_lane(lane);
        break;
    case CUT_BEHIND:
        send_on(lane->server, bytes, length);
        close_lane(lane);
        break;
    case CUT_ANSWER:
    case CUT_AFTER:
        send_on(lane->server, bytes, length);
        lane->answer_awaited = true;
        lane->half_answer = cut == CUT_ANSWER;
        break;
    case CUT_LATE:
        memcpy(lane->late, bytes, length);
        lane->late_length = length;
        lane->late_at = now_ms() + LATE_MS;
        close_one(&lane->client);
        break;
    case CUT_ONE_SIDED:
        close_one(&lane->client);
        break;
    default:
        close_lane(lane);
    }
}

static inline void pass_request(struct lane *lane)
{
    char bytes[65536];
    ssize_t got = recv(lane->client, bytes, sizeof bytes, 0);

    if (got <= 0)
        close_lane(lane);
    else if (atomic_load(&proxy.orders->cut) != NO_CUT && got <= (ssize_t)sizeof lane->late &&
             has_commit(bytes, (size_t)got))
        cut_at_commit(lane, bytes, (size_t)got);
    else
        send_on(lane->server, bytes, (size_t)got);
}

static inline void pass_answer(struct lane *lane)
{
    char bytes[65536];
    ssize_t got = recv(lane->server, bytes, sizeof bytes, 0);

    if (got > 0 && !lane->answer_awaited) {
        send_on(lane->client, bytes, (size_t)got);
        return;
    }
    if (got > 0 && lane->half_answer)
        send_on(lane->client, bytes, (size_t)got / 2);
    close_lane(lane);
}

static inline void send_late(struct lane *lane)
{
    if (!lane->late_length || now_ms() < lane->late_at)
        return;
    send_on(lane->server, lane->late, lane->late_length);
    close_lane(lane);
}

static inline bool pass_some(void)
{
    struct pollfd entries[1 + 2 * LANES] = { { .fd = proxy.listener, .events = POLLIN } };
    int i;

    for (i = 0; i < LANES; i++) {
        entries[1 + 2 * i] = (struct pollfd){ proxy.lanes[i].client, POLLIN, 0 };
        entries[2 + 2 * i] = (struct pollfd){ proxy.lanes[i].server, POLLIN, 0 };
    }
    if (poll(entries, 1 + 2 * LANES, 5) < 0)
        return false;
    for (i = 0; i < LANES; i++) {
        if (entries[1 + 2 * i].revents)
            pass_request(&proxy.lanes[i]);
        if (entries[2 + 2 * i].revents && proxy.lanes[i].server >= 0)
            pass_answer(&proxy.lanes[i]);
        send_late(&proxy.lanes[i]);
    }
    if (entries[0].revents)
        let_in();
    return true;
}

static inline int pass_on(void *unused)
{
    int i;

    (void)unused;
    for (i = 0; i < LANES; i++)
        proxy.lanes[i].client = proxy.lanes[i].server = -1;
    while (pass_some())
        ;
    return 1;
}

/* In front of the server whose socket is in this directory. Its own is in proxy.place. */
static inline void proxy_start(const char *server)
{
    struct sockaddr_un address;

    proxy.orders = shared(sizeof *proxy.orders);
    proxy.place = place_new();
    snprintf(proxy.server, sizeof proxy.server, "%s", server);
    address = address_in(proxy.place.directory);
    proxy.listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(proxy.listener, (struct sockaddr *)&address, sizeof address), 0);
    ck_assert_int_eq(listen(proxy.listener, LANES), 0);
    proxy.process = start(pass_on, NULL);
    close(proxy.listener);
}

static inline void proxy_stop(void)
{
    kill(proxy.process, SIGKILL);
    finish(proxy.process);
    place_remove(&proxy.place);
}

/* Cut the connection that commits next; `refuse`: and let nobody through from then on. */
static inline void proxy_cut(enum cut cut, bool refuse)
{
    atomic_store(&proxy.orders->refuse_then, refuse);
    atomic_store(&proxy.orders->cut, cut);
}

/* It has cut one connection since it was told to. Whoever was refused may come again. */
static inline void proxy_assert_cut(void)
{
    ck_assert_int_eq(atomic_exchange(&proxy.orders->cuts, 0), 1);
    atomic_store(&proxy.orders->refuse, false);
}

#endif
