// SPDX-License-Identifier: Apache-2.0
/* Classic pcap files, and the header fields of Ethernet / IPv4 / TCP that the benchmark tools read and write.
 * Little-endian microsecond captures only (what tcpdump writes on the machines that run these benchmarks). */
#ifndef PGWEIR_BENCH_PCAP_H
#define PGWEIR_BENCH_PCAP_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

enum {
    FILE_HEADER = 24,
    RECORD_HEADER = 16,
    ETHERNET_HEADER = 14,
    IP_HEADER = 20,
    FIN = 1,
    SYN = 2,
    RST = 4,
    PSH = 8,
    ACK = 16,
};

struct record {
    uint32_t seconds, microseconds, captured, length;
};

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void *grow(void *memory, size_t bytes) {
    void *p = realloc(memory, bytes);
    if (p == NULL) die("out of memory");
    return p;
}

static inline uint16_t get16(const uint8_t *p) { return (uint16_t)(p[0] << 8 | p[1]); }

static inline uint32_t get32(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static inline void set16(uint8_t *p, uint16_t v) {
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

static inline void set32(uint8_t *p, uint32_t v) {
    set16(p, (uint16_t)(v >> 16));
    set16(p + 2, (uint16_t)v);
}

/* SplitMix64: the same numbers for the same seed on every machine. */
static inline uint64_t next_random(uint64_t *state) {
    uint64_t z = *state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline double next_fraction(uint64_t *state) { return (double)(next_random(state) >> 11) * 0x1p-53; }

/* Ones' complement sum of big-endian 16-bit words; add parts, then fold. */
static inline uint64_t sum16(const uint8_t *p, size_t n, uint64_t sum) {
    for (; n > 1; p += 2, n -= 2)
        sum += get16(p);
    return n ? sum + ((uint64_t)p[0] << 8) : sum;
}

static inline uint16_t fold16(uint64_t sum) {
    while (sum >> 16)
        sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)~sum;
}

/* Writes valid IPv4 and TCP checksums into the packet that starts at `ip` (a 20-byte IP header). */
static inline void set_checksums(uint8_t *ip) {
    uint8_t *tcp = ip + IP_HEADER;
    size_t length = get16(ip + 2) - (size_t)IP_HEADER;
    set16(ip + 10, 0);
    set16(ip + 10, fold16(sum16(ip, IP_HEADER, 0)));
    set16(tcp + 16, 0);
    set16(tcp + 16, fold16(sum16(tcp, length, sum16(ip + 12, 8, 6 + length))));
}

/* Maps a capture for reading and checks that it is one these tools understand. */
static inline const uint8_t *map_capture(const char *path, size_t *size) {
    int fd = open(path, O_RDONLY);
    struct stat info;
    if (fd < 0 || fstat(fd, &info) != 0) die(path);
    *size = (size_t)info.st_size;
    const uint8_t *bytes = mmap(NULL, *size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED) die(path);
    static const uint8_t magic[4] = {0xd4, 0xc3, 0xb2, 0xa1}, ethernet[4] = {1, 0, 0, 0};
    if (*size < FILE_HEADER || memcmp(bytes, magic, 4) != 0 || memcmp(bytes + 20, ethernet, 4) != 0) {
        fprintf(stderr, "%s: not a little-endian microsecond Ethernet pcap\n", path);
        exit(1);
    }
    return bytes;
}

/* The record at *offset, or false at the end (a record that the file cuts short is the end). Moves *offset on. */
static inline bool next_record(const uint8_t *file, size_t size, size_t *offset, struct record *r,
                               const uint8_t **frame) {
    if (*offset + RECORD_HEADER > size) return false;
    memcpy(r, file + *offset, RECORD_HEADER);
    if (r->captured > size - *offset - RECORD_HEADER) return false;
    *frame = file + *offset + RECORD_HEADER;
    *offset += RECORD_HEADER + (size_t)r->captured;
    return true;
}

/* True for a whole Ethernet / IPv4 (no options, not fragmented) / TCP frame. */
static inline bool is_tcp4(const uint8_t *frame, const struct record *r) {
    const uint8_t *ip = frame + ETHERNET_HEADER;
    return r->captured == r->length && r->captured >= ETHERNET_HEADER + IP_HEADER + 20 && get16(frame + 12) == 0x0800 &&
           ip[0] == 0x45 && ip[9] == 6 && (get16(ip + 6) & 0x3fff) == 0 &&
           get16(ip + 2) + ETHERNET_HEADER <= (int)r->captured;
}

static inline FILE *create_capture(const char *path) {
    static const uint8_t header[FILE_HEADER] = {0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0,
                                                0,    0,    0,    0,    0, 0, 0, 4, 0, 1};
    FILE *file = fopen(path, "wb");
    if (file == NULL) die(path);
    setvbuf(file, NULL, _IOFBF, 1 << 20);
    fwrite(header, 1, sizeof header, file);
    return file;
}

static inline void write_record(FILE *file, uint64_t microseconds, const uint8_t *frame, uint32_t length) {
    struct record r = {(uint32_t)(microseconds / 1000000), (uint32_t)(microseconds % 1000000), length, length};
    fwrite(&r, 1, RECORD_HEADER, file);
    fwrite(frame, 1, length, file);
}

static inline void close_capture(FILE *file, const char *path) {
    if (ferror(file) || fclose(file) != 0) die(path);
}

#endif
