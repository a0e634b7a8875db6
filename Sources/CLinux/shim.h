// SPDX-License-Identifier: Apache-2.0
// Linux calls that Swift's Glibc module does not show.
#ifndef _GNU_SOURCE
#define _GNU_SOURCE 1
#endif
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

// <linux/netfilter_ipv4.h> and netfilter_ipv6's IP6T_SO_ORIGINAL_DST: the same number on both levels.
static const int linux_original_destination = 80;
// <linux/fcntl.h>: F_SEAL_FUTURE_WRITE, of Linux 5.1, which older C libraries do not name.
static const int linux_seal_future_write = 0x0010;
static const int linux_add_seals = F_ADD_SEALS;
static const int linux_seals = F_SEAL_SHRINK | F_SEAL_GROW;
static const unsigned linux_memory_file_flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
static const int linux_mapping_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
static const int linux_shut_writing = SHUT_WR;

// accept4(2) takes a transparent union, which Swift cannot make.
static inline int linux_accept(int listener) { return accept4(listener, 0, 0, SOCK_NONBLOCK | SOCK_CLOEXEC); }
