// SPDX-License-Identifier: Apache-2.0
// Sixteen bytes at once: what Swift cannot spell is a mask of the bytes of a comparison. Header only.
#pragma once
#include <stdint.h>
#include <string.h>

/// One bit for each of 16 bytes: letters, digits, `_`, `$` and bytes above 127.
static inline uint32_t cvector_word_mask(const uint8_t *bytes);
/// One bit for each of 16 bytes: digits.
static inline uint32_t cvector_digit_mask(const uint8_t *bytes);
/// Copies 16 bytes, ASCII upper case as lower case.
static inline void cvector_fold(uint8_t *target, const uint8_t *bytes);

#if defined(__SSE2__)
#include <emmintrin.h>
static inline __m128i cvector_range(__m128i x, uint8_t low, uint8_t count) {
    // x - low as unsigned is below count: signed comparison after moving the range to the lower end.
    __m128i moved = _mm_add_epi8(x, _mm_set1_epi8((char)(0x80 - low)));
    return _mm_cmplt_epi8(moved, _mm_set1_epi8((char)(0x80 + count)));
}
static inline uint32_t cvector_word_mask(const uint8_t *bytes) {
    __m128i x = _mm_loadu_si128((const __m128i *)bytes);
    __m128i letters = cvector_range(_mm_or_si128(x, _mm_set1_epi8(0x20)), 'a', 26);
    __m128i digits = cvector_range(x, '0', 10);
    __m128i others = _mm_or_si128(_mm_cmpeq_epi8(x, _mm_set1_epi8('_')), _mm_cmpeq_epi8(x, _mm_set1_epi8('$')));
    // The sign bit of x itself marks the bytes above 127; `x | 0x20` of those is no letter.
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(letters, digits), _mm_or_si128(others, x)));
}
static inline uint32_t cvector_digit_mask(const uint8_t *bytes) {
    return (uint32_t)_mm_movemask_epi8(cvector_range(_mm_loadu_si128((const __m128i *)bytes), '0', 10));
}
static inline void cvector_fold(uint8_t *target, const uint8_t *bytes) {
    __m128i x = _mm_loadu_si128((const __m128i *)bytes);
    __m128i upper = _mm_and_si128(cvector_range(x, 'A', 26), _mm_set1_epi8(0x20));
    _mm_storeu_si128((__m128i *)target, _mm_or_si128(x, upper));
}
#else
static inline uint32_t cvector_word_mask(const uint8_t *bytes) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++) {
        uint8_t c = bytes[i], l = c | 0x20;
        mask |= (uint32_t)((uint8_t)(l - 'a') < 26 || (uint8_t)(c - '0') < 10 || c == '_' || c == '$' || c > 127) << i;
    }
    return mask;
}
static inline uint32_t cvector_digit_mask(const uint8_t *bytes) {
    uint32_t mask = 0;
    for (int i = 0; i < 16; i++) mask |= (uint32_t)((uint8_t)(bytes[i] - '0') < 10) << i;
    return mask;
}
static inline void cvector_fold(uint8_t *target, const uint8_t *bytes) {
    for (int i = 0; i < 16; i++) target[i] = (uint8_t)(bytes[i] - 'A') < 26 ? bytes[i] | 0x20 : bytes[i];
}
#endif
