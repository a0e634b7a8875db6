// SPDX-License-Identifier: Apache-2.0
/* normalize STATEMENTS COUNT
 *
 * CPU time that libpg_query's normalizer (PostgreSQL's own grammar) needs for the first COUNT statements of
 * orm_statements.py; reading the file is not counted. Prints JSON. */
#include <pg_query.h>
#include <time.h>

#include "pcap.h"

static double cpu_seconds(void) {
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv) {
    FILE *file = argc == 3 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL) {
        fprintf(stderr, "usage: normalize STATEMENTS COUNT\n");
        return 2;
    }
    int limit = atoi(argv[2]), count = 0, rejected = 0;
    unsigned long long bytes = 0;
    char **texts = grow(NULL, (size_t)limit * sizeof *texts);
    uint8_t head[7];
    while (count < limit && fread(head, 1, sizeof head, file) == sizeof head) {
        size_t length = get32(head);
        texts[count] = grow(NULL, length + 1);
        if (fread(texts[count], 1, length, file) != length) die(argv[1]);
        texts[count++][length] = 0;
        bytes += length;
    }
    double start = cpu_seconds();
    for (int i = 0; i < count; i++) {
        PgQueryNormalizeResult result = pg_query_normalize(texts[i]);
        if (result.error != NULL) {
            if (rejected++ == 0) fprintf(stderr, "normalize: %s: %s\n", result.error->message, texts[i]);
        }
        pg_query_free_normalize_result(result);
    }
    double seconds = cpu_seconds() - start;
    printf("{\"statements\": %d, \"rejected\": %d, \"sql_bytes\": %llu, \"cpu_seconds\": %.6f}\n", count, rejected,
           bytes, seconds);
    return 0;
}
