// SPDX-License-Identifier: Apache-2.0
#ifndef PGWEIR_CHECKSUM_H
#define PGWEIR_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t pgweir_eight_bytes(const unsigned char *address) {
    uint64_t word;
    memcpy(&word, address, sizeof word);
    return word;
}

/// Adds `sum` and the bytes as little-endian 16-bit numbers, the last of an odd number of them before a zero, in one's complement
/// (RFC 1071 §2: wide words may be added, and either byte order). Swift has no spelling for an addition with carry.
///
/// There must be at least 8 bytes.
static inline uint16_t pgweir_ones_sum(const void *bytes, size_t count, uint64_t sum) {
    const unsigned char *at = (const unsigned char *)bytes, *end = at + count;
    unsigned long long carry = 0, total = sum;
    while (end - at >= 32) {
        total = __builtin_addcll(total, pgweir_eight_bytes(at), 0, &carry);
        total = __builtin_addcll(total, pgweir_eight_bytes(at + 8), carry, &carry);
        total = __builtin_addcll(total, pgweir_eight_bytes(at + 16), carry, &carry);
        total = __builtin_addcll(total, pgweir_eight_bytes(at + 24), carry, &carry);
        // The first addition of the carry may carry itself, the second cannot.
        total = __builtin_addcll(total, 0, carry, &carry);
        total += carry;
        at += 32;
    }
    while (end - at >= 8) {
        total = __builtin_addcll(total, pgweir_eight_bytes(at), 0, &carry);
        total += carry;
        at += 8;
    }
    if (at < end) {
        // The last eight bytes without those that were added.
        total = __builtin_addcll(total, pgweir_eight_bytes(end - 8) >> (8 * (8 - (end - at))), 0, &carry);
        total += carry;
    }
    total += total << 32 | total >> 32;
    uint32_t half = (uint32_t)(total >> 32);
    half += half << 16 | half >> 16;
    return (uint16_t)(half >> 16);
}

#endif
