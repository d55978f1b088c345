#include "runtime/io/uring.h"

#include <liburing.h>
#include <string.h>

enum { BLOCK = 4096 };

/* One request, waited for; the result must be the whole block. */
static status complete(struct io_uring *ring, const char *what)
{
    struct io_uring_cqe *cqe = NULL;
    int rc = io_uring_submit(ring);
    REQUIRE(rc == 1, ST_IO, "io_uring does not take a request: %s",
            strerror(rc < 0 ? -rc : 0));
    rc = io_uring_wait_cqe(ring, &cqe);
    REQUIRE(rc == 0, ST_IO, "io_uring does not complete a %s: %s", what,
            strerror(-rc));
    int res = cqe->res;
    io_uring_cqe_seen(ring, cqe);
    REQUIRE(res >= 0, ST_IO, "a %s through io_uring failed: %s", what,
            strerror(-res));
    REQUIRE(res == BLOCK, ST_IO, "a %s through io_uring was cut at %d of %d",
            what, res, (int)BLOCK);
    return ST_OK;
}

static status write_and_read(struct io_uring *ring, int fd)
{
    _Alignas(64) unsigned char out[BLOCK];
    _Alignas(64) unsigned char in[BLOCK] = {0};
    for (int i = 0; i < BLOCK; i++) {
        out[i] = (unsigned char)(i * 7 + 1);
    }
    struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
    io_uring_prep_write(sqe, fd, out, BLOCK, 0);
    TRY(complete(ring, "write"));
    sqe = io_uring_get_sqe(ring);
    io_uring_prep_read(sqe, fd, in, BLOCK, 0);
    TRY(complete(ring, "read"));
    REQUIRE(memcmp(in, out, BLOCK) == 0, ST_IO,
            "io_uring read other bytes than it wrote");
    return ST_OK;
}

status uring_try(int fd)
{
    struct io_uring ring;
    int rc = io_uring_queue_init(4, &ring, 0);
    REQUIRE(rc == 0, ST_SYSTEM, "no ring: %s", strerror(-rc));
    status st = write_and_read(&ring, fd);
    io_uring_queue_exit(&ring);
    return st;
}
