// SPDX-License-Identifier: Apache-2.0
// Linux calls that Swift's Glibc module does not show. Without _GNU_SOURCE: with it, structures would differ from those of
// the Glibc module in the names of their fields, so what only that declares is declared here.
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>

extern long syscall(long number, ...);
extern int memfd_create(const char *name, unsigned flags);
extern int accept4(int listener, struct sockaddr *address, socklen_t *size, int flags);

// <linux/netfilter_ipv4.h> and netfilter_ipv6's IP6T_SO_ORIGINAL_DST: the same number on both levels.
static const int linux_original_destination = 80;
// <linux/fcntl.h> and <linux/memfd.h>: F_ADD_SEALS; F_SEAL_SHRINK and F_SEAL_GROW; F_SEAL_FUTURE_WRITE (Linux 5.1);
// MFD_CLOEXEC and MFD_ALLOW_SEALING.
static const int linux_add_seals = 1033;
static const int linux_seals = 0x0002 | 0x0004;
static const int linux_seal_future_write = 0x0010;
static const unsigned linux_memory_file_flags = 0x0001 | 0x0002;
static const int linux_mapping_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
static const int linux_shut_writing = SHUT_WR;

// SOCK_NONBLOCK and SOCK_CLOEXEC, at once; and the peer's address.
static inline int linux_accept_from(int listener, struct sockaddr_storage *peer) {
    socklen_t size = sizeof *peer;
    return accept4(listener, (struct sockaddr *)peer, &size, SOCK_NONBLOCK | SOCK_CLOEXEC);
}

// The same, whoever it is.
static inline int linux_accept(int listener) {
    struct sockaddr_storage peer;
    return linux_accept_from(listener, &peer);
}

// sched_setattr(2) for the calling thread: a policy, its niceness as it is, and turns of so many ns (Linux 6.12; before,
// nothing changes), or the usual ones (0).
static inline int linux_set_turns(unsigned policy, unsigned long long nanoseconds) {
    struct {
        unsigned size, policy;
        unsigned long long flags;
        int nice;
        unsigned priority;
        unsigned long long runtime, deadline, period;
    } attributes = {.size = 48, .policy = policy, .nice = getpriority(PRIO_PROCESS, 0), .runtime = nanoseconds};
    return (int)syscall(SYS_sched_setattr, 0, &attributes, 0);
}

// SCHED_BATCH for the calling thread and those it starts, with turns of 100 ms, the longest there are: whoever wakes up with
// shorter ones goes first.
static inline int linux_give_way(void) { return linux_set_turns(3, 100000000); }

// The calling thread stays with its policy, and has turns of so many ns: shorter ones come sooner.
static inline int linux_take_turns(unsigned long long nanoseconds) {
    long policy = syscall(SYS_sched_getscheduler, 0);
    // Policies besides SCHED_OTHER and SCHED_BATCH have no turns of this kind.
    return policy == 0 || policy == 3 ? linux_set_turns((unsigned)policy, nanoseconds) : 0;
}

// PR_SET_DUMPABLE: neither cores nor other processes of the same user get at our memory.
static inline void linux_forbid_dump(void) { prctl(PR_SET_DUMPABLE, 0, 0, 0, 0); }

// pidfd_open(2): the number is the same on all architectures; close-on-exec.
static inline int linux_watch_process(int pid) { return (int)syscall(434, pid, 0u); }

// No capability is left, nor can one be had by executing a file: PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT_CLEAR_ALL, and capset(2)
// with three empty sets (_LINUX_CAPABILITY_VERSION_3).
static inline int linux_drop_rights(void) {
    struct { unsigned version; int pid; } header = {0x20080522, 0};
    unsigned sets[6] = {0};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
    return (int)syscall(SYS_capset, &header, sets);
}
