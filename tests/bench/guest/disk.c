// Loads a disk: `disk DEVICE read|write random|sequential BLOCK_BYTES DEPTH SECONDS`.
// Past the page cache (O_DIRECT), by io_uring, with DEPTH requests in flight all the time. Prints how
// many were finished and in how many microseconds.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/fs.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>

enum { MOST_DEPTH = 256 };

struct Load {
    int fd;
    int writes;
    int is_random;
    uint32_t block_bytes;
    uint64_t block_count;
    uint64_t next_block;
    uint64_t seed;
    char* buffers;
    struct io_uring ring;
};

static void fail(const char* what, int error) {
    fprintf(stderr, "disk: %s: %s\n", what, strerror(error));
    exit(1);
}

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t choose_block(struct Load* load) {
    if (!load->is_random) {
        return load->next_block++ % load->block_count;
    }
    // xorshift64
    load->seed ^= load->seed << 13;
    load->seed ^= load->seed >> 7;
    load->seed ^= load->seed << 17;
    return load->seed % load->block_count;
}

static void start_one(struct Load* load, uint64_t slot) {
    struct io_uring_sqe* sqe = io_uring_get_sqe(&load->ring);
    char* buffer = load->buffers + slot * load->block_bytes;
    uint64_t offset = choose_block(load) * load->block_bytes;
    if (load->writes) {
        io_uring_prep_write(sqe, load->fd, buffer, load->block_bytes, offset);
    } else {
        io_uring_prep_read(sqe, load->fd, buffer, load->block_bytes, offset);
    }
    io_uring_sqe_set_data64(sqe, slot);
}

// Takes what is finished, each slot to its next request unless the time is over. How many.
static uint64_t collect(struct Load* load, int is_over) {
    uint64_t finished = 0;
    struct io_uring_cqe* cqe;
    while (io_uring_peek_cqe(&load->ring, &cqe) == 0) {
        if (cqe->res != (int)load->block_bytes) {
            fail("a request", cqe->res < 0 ? -cqe->res : EIO);
        }
        uint64_t slot = io_uring_cqe_get_data64(cqe);
        io_uring_cqe_seen(&load->ring, cqe);
        finished++;
        if (!is_over) {
            start_one(load, slot);
        }
    }
    return finished;
}

static void run(struct Load* load, uint64_t depth, uint64_t seconds) {
    uint64_t begin = now_us();
    uint64_t now = begin;
    uint64_t finished = 0;
    for (uint64_t slot = 0; slot < depth; slot++) {
        start_one(load, slot);
    }
    for (uint64_t in_flight = depth; in_flight > 0;) {
        int result = io_uring_submit_and_wait(&load->ring, 1);
        if (result < 0 && result != -EINTR) {
            fail("io_uring_enter", -result);
        }
        now = now_us();
        int is_over = now - begin >= seconds * 1000000;
        uint64_t count = collect(load, is_over);
        finished += count;
        in_flight -= is_over ? count : 0;
    }
    printf("%llu %llu\n", (unsigned long long)finished, (unsigned long long)(now_us() - begin));
}

int main(int argc, char** argv) {
    if (argc != 7) {
        fprintf(stderr, "disk DEVICE read|write random|sequential BLOCK_BYTES DEPTH SECONDS\n");
        return 2;
    }
    uint64_t depth = strtoull(argv[5], NULL, 10);
    struct Load load = {.writes = strcmp(argv[2], "write") == 0,
                        .is_random = strcmp(argv[3], "random") == 0,
                        .block_bytes = (uint32_t)strtoul(argv[4], NULL, 10),
                        .seed = 88172645463325252u};
    uint64_t device_bytes = 0;
    load.fd = open(argv[1], (load.writes ? O_RDWR : O_RDONLY) | O_DIRECT);
    if (load.fd < 0 || ioctl(load.fd, BLKGETSIZE64, &device_bytes) != 0) {
        fail(argv[1], errno);
    }
    if (load.block_bytes == 0 || depth == 0 || depth > MOST_DEPTH) {
        fail("BLOCK_BYTES or DEPTH", EINVAL);
    }
    load.block_count = device_bytes / load.block_bytes;
    load.buffers = aligned_alloc(4096, depth * load.block_bytes);
    if (load.block_count == 0 || load.buffers == NULL) {
        fail("the buffers", ENOMEM);
    }
    memset(load.buffers, 0x5a, depth * load.block_bytes);
    int result = io_uring_queue_init((unsigned)depth, &load.ring, 0);
    if (result < 0) {
        fail("io_uring_setup", -result);
    }
    run(&load, depth, strtoull(argv[6], NULL, 10));
    return 0;
}
