// SPDX-License-Identifier: Apache-2.0
#include <pcap/pcap.h>
#include <sys/socket.h>

// <asm-generic/socket.h>, <linux/filter.h>: libpcap's instructions are the kernel's `sock_filter`.
enum { linux_attach_filter_option = 26, linux_get_filter_option = 26 };
struct linux_filter_program {
    unsigned short count;
    struct bpf_insn *instructions;
};

// SO_GET_FILTER: how many instructions the socket's filter has, and as many of them as `room` takes; -1: none to be had.
static inline int linux_filter(int descriptor, struct bpf_insn *instructions, unsigned room) {
    socklen_t count = room;
    return getsockopt(descriptor, SOL_SOCKET, linux_get_filter_option, instructions, &count) == 0 ? (int)count : -1;
}

// SO_ATTACH_FILTER.
static inline int linux_attach(int descriptor, struct bpf_insn *instructions, unsigned short count) {
    struct linux_filter_program program = {count, instructions};
    return setsockopt(descriptor, SOL_SOCKET, linux_attach_filter_option, &program, sizeof program);
}
