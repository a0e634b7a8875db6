// SPDX-License-Identifier: Apache-2.0
// Connections for Benchmarks/relay.
//   echo serve                 listens, prints its port, answers each byte with a byte
//   echo rate PORT SECONDS N   N at a time: connect, a byte there and back, close; prints connections a second
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static double now(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec + t.tv_nsec / 1e9; }

static void watch(int queue, int operation, int descriptor, unsigned events) {
    struct epoll_event event = {.events = events, .data.fd = descriptor};
    if (epoll_ctl(queue, operation, descriptor, &event)) { perror("epoll_ctl"); exit(1); }
}

static void serve(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), queue = epoll_create1(0);
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) { perror("listen"); exit(1); }
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    watch(queue, EPOLL_CTL_ADD, listener, EPOLLIN);
    struct epoll_event events[256];
    char bytes[4096];
    for (;;) {
        int count = epoll_wait(queue, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (descriptor == listener) {
                int client;
                while ((client = accept4(listener, 0, 0, SOCK_NONBLOCK)) >= 0) watch(queue, EPOLL_CTL_ADD, client, EPOLLIN);
                continue;
            }
            ssize_t got = recv(descriptor, bytes, sizeof bytes, 0);
            if (got <= 0 || send(descriptor, bytes, got, MSG_NOSIGNAL) < 0) close(descriptor);
        }
    }
}

static int begin(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int one = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (connect(one, (struct sockaddr *)&address, sizeof address) && errno != EINPROGRESS) { perror("connect"); exit(1); }
    return one;
}

static void rate(int port, double seconds, int width) {
    int queue = epoll_create1(0);
    struct linger hard = {1, 0};
    for (int i = 0; i < width; i++) watch(queue, EPOLL_CTL_ADD, begin(port), EPOLLOUT);
    struct epoll_event events[256];
    double start = now(), end = start + seconds;
    long done = 0;
    char byte = 'x';
    while (now() < end) {
        int count = epoll_wait(queue, events, 256, 1000);
        if (count <= 0) { fprintf(stderr, "nothing moves\n"); exit(1); }
        for (int i = 0; i < count; i++) {
            int descriptor = events[i].data.fd;
            if (events[i].events & EPOLLOUT) {
                if (send(descriptor, &byte, 1, MSG_NOSIGNAL) != 1) { perror("send"); exit(1); }
                watch(queue, EPOLL_CTL_MOD, descriptor, EPOLLIN);
                continue;
            }
            if (recv(descriptor, &byte, 1, 0) != 1) { perror("recv"); exit(1); }
            // A reset leaves no port behind that must wait.
            setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
            close(descriptor);
            done++;
            watch(queue, EPOLL_CTL_ADD, begin(port), EPOLLOUT);
        }
    }
    printf("%.0f\n", done / (now() - start));
}

int main(int count, char **words) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    if (count == 2 && !strcmp(words[1], "serve")) serve();
    else if (count == 5 && !strcmp(words[1], "rate")) rate(atoi(words[2]), atof(words[3]), atoi(words[4]));
    else return 64;
}
