// SPDX-License-Identifier: Apache-2.0
#ifndef PGWEIR_CLASSIFY_H
#define PGWEIR_CLASSIFY_H

#include <stdint.h>

/// Which of 64 bytes are of which class: bit i of a mask speaks of byte i.
typedef struct {
    uint64_t word;          ///< letters, digits, '_', '$' and bytes above 127
    uint64_t digit;         ///< '0' to '9'
    uint64_t quote;         ///< apostrophes
    uint64_t inside;        ///< behind an odd number of apostrophes
    uint64_t double_quote;  ///< double quotes outside of strings
    uint64_t inside_double; ///< behind an odd number of these
    uint64_t rare;          ///< ';', '$', the first byte of "--" and "/*", and 'e' before a sign
} pgweir_classes;

#if defined(__x86_64__)
#include <immintrin.h>

/// Whether pgweir_classify may be called; Swift cannot compile one function for another processor than the rest.
static inline int pgweir_can_classify(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("pclmul");
}

#define PGWEIR_AVX2 __attribute__((target("avx2,pclmul")))

PGWEIR_AVX2 static inline uint64_t pgweir_bits(__m256i low, __m256i high) {
    return (uint32_t)_mm256_movemask_epi8(low) | (uint64_t)(uint32_t)_mm256_movemask_epi8(high) << 32;
}

/// Bytes from `first` on, `count` of them.
PGWEIR_AVX2 static inline __m256i pgweir_range(__m256i bytes, char first, char count) {
    __m256i shifted = _mm256_add_epi8(bytes, _mm256_set1_epi8((char)(0x80 - first)));
    return _mm256_cmpgt_epi8(_mm256_set1_epi8((char)(0x80 + count)), shifted);
}

PGWEIR_AVX2 static inline __m256i pgweir_equal(__m256i bytes, char byte) {
    return _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte));
}

PGWEIR_AVX2 static inline __m256i pgweir_or(__m256i left, __m256i right) { return _mm256_or_si256(left, right); }
PGWEIR_AVX2 static inline __m256i pgweir_and(__m256i left, __m256i right) { return _mm256_and_si256(left, right); }

PGWEIR_AVX2 static inline __m256i pgweir_rare(__m256i bytes, __m256i folded, __m256i after) {
    __m256i dash = pgweir_equal(after, '-');
    __m256i comment = pgweir_or(pgweir_and(pgweir_equal(bytes, '-'), dash),
                                pgweir_and(pgweir_equal(bytes, '/'), pgweir_equal(after, '*')));
    __m256i exponent = pgweir_and(pgweir_equal(folded, 'e'), pgweir_or(dash, pgweir_equal(after, '+')));
    return pgweir_or(pgweir_or(comment, exponent), pgweir_or(pgweir_equal(bytes, ';'), pgweir_equal(bytes, '$')));
}

PGWEIR_AVX2 static inline __m256i pgweir_word(__m256i bytes, __m256i folded, __m256i digit) {
    __m256i other = pgweir_or(pgweir_equal(bytes, '_'), pgweir_equal(bytes, '$'));
    // Only the top bit of each lane counts, and it is set in the bytes above 127.
    return pgweir_or(pgweir_or(pgweir_range(folded, 'a', 26), digit), pgweir_or(other, bytes));
}

/// Bit i of the result: whether an odd number of bits up to and with bit i are set.
PGWEIR_AVX2 static inline uint64_t pgweir_parity(uint64_t mask) {
    __m128i product = _mm_clmulepi64_si128(_mm_cvtsi64_si128((long long)mask), _mm_set1_epi8(-1), 0);
    return (uint64_t)_mm_cvtsi128_si64(product);
}

/// Classifies the 64 bytes at `address`, of which 65 are read; `in_string` is all ones if they begin in a string.
PGWEIR_AVX2 static inline void pgweir_classify(const void *address, uint64_t in_string, pgweir_classes *classes) {
    const char *text = (const char *)address;
    __m256i fold = _mm256_set1_epi8(0x20);
    __m256i low = _mm256_loadu_si256((const __m256i *)text);
    __m256i high = _mm256_loadu_si256((const __m256i *)(text + 32));
    __m256i low_folded = pgweir_or(low, fold), high_folded = pgweir_or(high, fold);
    __m256i low_digit = pgweir_range(low, '0', 10), high_digit = pgweir_range(high, '0', 10);
    classes->digit = pgweir_bits(low_digit, high_digit);
    classes->word = pgweir_bits(pgweir_word(low, low_folded, low_digit), pgweir_word(high, high_folded, high_digit));
    classes->quote = pgweir_bits(pgweir_equal(low, '\''), pgweir_equal(high, '\''));
    classes->inside = pgweir_parity(classes->quote) ^ in_string;
    classes->double_quote = pgweir_bits(pgweir_equal(low, '"'), pgweir_equal(high, '"')) & ~classes->inside;
    classes->inside_double = pgweir_parity(classes->double_quote);
    classes->rare = pgweir_bits(
        pgweir_rare(low, low_folded, _mm256_loadu_si256((const __m256i *)(text + 1))),
        pgweir_rare(high, high_folded, _mm256_loadu_si256((const __m256i *)(text + 33))));
}
#endif

#endif
