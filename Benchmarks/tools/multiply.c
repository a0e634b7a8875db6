// SPDX-License-Identifier: Apache-2.0
/* multiply BASE OUT COPIES SERVER_PORT SEED
 *
 * Makes a big capture of a small real one: every TCP connection of BASE appears COPIES times, each time with its own
 * client address, port and sequence numbers, and all of them interleaved on one new time line. Order inside a
 * connection, flags, lengths and payload stay as captured. The server becomes 10.255.0.10:5432.
 *
 * Long connections (over 50 packets) all open within the first 0.4 % of the time line and last to its end; short ones
 * come and go. Prints {"packets":…, "connections":…, "max_open":…} for the manifest. */
#include "pcap.h"

enum { LONG = 50, FIRST_CLIENT_PORT = 20000, CLIENT_HOSTS = 120, SERVER_IP = 0x0aff000a, SERVER_PORT = 5432 };
static const double MICROSECONDS_PER_PACKET = 4, CHURN_GAP = 40, OPENING_SHARE = 0.004;

/* One connection of BASE: the offsets of its records. */
struct connection {
    size_t *records;
    uint32_t count, capacity;
    uint32_t isn;
};

/* One copy of a connection on the new time line. */
struct copy {
    double due, gap;
    const struct connection *from;
    uint32_t at, client_ip, client_shift, server_shift;
    uint16_t client_port;
};

static struct connection *connections;
static uint32_t connection_count;

static void append_record(struct connection *c, size_t offset) {
    if (c->count == c->capacity) {
        c->capacity = c->capacity ? c->capacity * 2 : 16;
        c->records = grow(c->records, c->capacity * sizeof *c->records);
    }
    c->records[c->count++] = offset;
}

/* Sorts the records of BASE by connection; a client port may serve several connections, one after the other. */
static void index_connections(const uint8_t *file, size_t size, uint16_t server_port) {
    static int64_t current[65536];
    memset(current, 0xff, sizeof current);
    size_t offset = FILE_HEADER, start = offset, strays = 0;
    struct record r;
    const uint8_t *frame;
    for (; next_record(file, size, &offset, &r, &frame); start = offset) {
        const uint8_t *tcp = frame + ETHERNET_HEADER + IP_HEADER;
        if (!is_tcp4(frame, &r)) {
            strays++;
            continue;
        }
        bool to_server = get16(tcp + 2) == server_port;
        uint16_t port = get16(tcp + (to_server ? 0 : 2));
        if (to_server && (tcp[13] & (SYN | ACK)) == SYN &&
            (current[port] < 0 || connections[current[port]].isn != get32(tcp + 4))) {
            connections = grow(connections, (connection_count + 1) * sizeof *connections);
            connections[connection_count] = (struct connection){.isn = get32(tcp + 4)};
            current[port] = connection_count++;
        }
        if (current[port] < 0)
            strays++;
        else
            append_record(&connections[current[port]], start);
    }
    if (strays) fprintf(stderr, "multiply: %zu packets left out (no SYN seen, or not plain TCP over IPv4)\n", strays);
}

/* SACK blocks name sequence numbers of the other direction. */
static void shift_sack(uint8_t *tcp, uint32_t shift) {
    uint8_t *p = tcp + 20, *end = tcp + (tcp[12] >> 4) * 4;
    while (p < end && *p != 0) {
        if (*p == 1) {
            p++;
            continue;
        }
        if (end - p < 2 || p[1] < 2 || p[1] > end - p) return;
        if (*p == 5)
            for (uint8_t *edge = p + 2; edge + 4 <= p + p[1]; edge += 4)
                set32(edge, get32(edge) + shift);
        p += p[1];
    }
}

static void rewrite(uint8_t *frame, const struct copy *c, uint16_t base_port) {
    static const uint8_t client_mac[6] = {2, 0, 0, 0, 0, 1}, server_mac[6] = {2, 0, 0, 0, 0, 2};
    uint8_t *ip = frame + ETHERNET_HEADER, *tcp = ip + IP_HEADER;
    bool to_server = get16(tcp + 2) == base_port;
    memcpy(frame, to_server ? server_mac : client_mac, 6);
    memcpy(frame + 6, to_server ? client_mac : server_mac, 6);
    set32(ip + 12, to_server ? c->client_ip : SERVER_IP);
    set32(ip + 16, to_server ? SERVER_IP : c->client_ip);
    set16(tcp, to_server ? c->client_port : SERVER_PORT);
    set16(tcp + 2, to_server ? SERVER_PORT : c->client_port);
    uint32_t own = to_server ? c->client_shift : c->server_shift, other = to_server ? c->server_shift : c->client_shift;
    set32(tcp + 4, get32(tcp + 4) + own);
    if (tcp[13] & ACK) set32(tcp + 8, get32(tcp + 8) + other);
    shift_sack(tcp, other);
    set_checksums(ip);
}

/* A binary heap of copies, the earliest packet first. */
static void sift_down(struct copy *heap, size_t n, size_t i) {
    struct copy moved = heap[i];
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && heap[child + 1].due < heap[child].due) child++;
        if (moved.due <= heap[child].due) break;
        heap[i] = heap[child];
    }
    heap[i] = moved;
}

static struct copy *plan_copies(uint32_t copies, uint64_t *seed, size_t *count) {
    uint64_t packets = 0;
    for (uint32_t i = 0; i < connection_count; i++)
        packets += connections[i].count;
    double span = (double)packets * copies * MICROSECONDS_PER_PACKET;
    *count = (size_t)connection_count * copies;
    struct copy *plan = grow(NULL, *count * sizeof *plan);
    for (size_t i = 0; i < *count; i++) {
        const struct connection *from = &connections[i % connection_count];
        bool lasting = from->count > LONG;
        plan[i] = (struct copy){
            .due = next_fraction(seed) * span * (lasting ? OPENING_SHARE : 0.99),
            .gap = lasting ? span * (1 - 2 * OPENING_SHARE) / from->count : CHURN_GAP,
            .from = from,
            .client_ip = 0x0a000001u + (uint32_t)(i % CLIENT_HOSTS / 60) * 65536 + (uint32_t)(i % 60),
            .client_port = (uint16_t)(FIRST_CLIENT_PORT + i / CLIENT_HOSTS),
            .client_shift = (uint32_t)next_random(seed),
            .server_shift = (uint32_t)next_random(seed),
        };
    }
    if (FIRST_CLIENT_PORT + *count / CLIENT_HOSTS > 65535) {
        fprintf(stderr, "multiply: too many connections for the client address range\n");
        exit(1);
    }
    for (size_t i = *count / 2; i-- > 0;)
        sift_down(plan, *count, i);
    return plan;
}

int main(int argc, char **argv) {
    if (argc != 6) {
        fprintf(stderr, "usage: multiply BASE OUT COPIES SERVER_PORT SEED\n");
        return 2;
    }
    size_t size, left;
    const uint8_t *file = map_capture(argv[1], &size);
    uint16_t base_port = (uint16_t)atoi(argv[4]);
    uint64_t seed = strtoull(argv[5], NULL, 10), packets = 0, open = 0, max_open = 0;
    index_connections(file, size, base_port);
    struct copy *heap = plan_copies((uint32_t)atoi(argv[3]), &seed, &left);
    size_t total = left;
    FILE *out = create_capture(argv[2]);
    static uint8_t frame[1 << 18];
    while (left > 0) {
        struct copy *c = heap;
        if (c->at == 0 && ++open > max_open) max_open = open;
        size_t offset = c->from->records[c->at++];
        struct record r;
        const uint8_t *source;
        if (!next_record(file, size, &offset, &r, &source) || r.captured > sizeof frame) die("unreadable record");
        memcpy(frame, source, r.captured);
        rewrite(frame, c, base_port);
        write_record(out, 1700000000000000u + (uint64_t)c->due, frame, r.captured);
        packets++;
        c->due += c->gap * (0.2 + 1.6 * next_fraction(&seed));
        if (c->at == c->from->count) {
            *c = heap[--left];
            open--;
        }
        sift_down(heap, left, 0);
    }
    close_capture(out, argv[2]);
    printf("{\"packets\": %llu, \"connections\": %zu, \"max_open\": %llu}\n", (unsigned long long)packets, total,
           (unsigned long long)max_open);
    return 0;
}
