// SPDX-License-Identifier: Apache-2.0
/* count FILE [MAX_PACKETS]
 *
 * A second opinion on what a capture holds: follows both directions of every connection to port 5432 in sequence order,
 * frames the PostgreSQL messages and prints their counts as JSON. It does not reorder: a hole in a direction is counted
 * ("gaps") and that direction is given up. It is the yardstick for the manifest and shares nothing with pgweir. */
#include "pcap.h"

enum { SERVER_PORT = 5432, STASH = 64 };

/* One direction: where its next byte is, and how far into a message we are. */
struct direction {
    uint32_t next;
    bool synced, lost, startup_done;
    uint8_t head[STASH];
    uint32_t have, skip;
};

struct flow {
    uint32_t ip;
    uint16_t port;
    bool used, open;
    uint64_t rows;
    struct direction client, server;
};

static struct {
    unsigned long long packets, bytes, connections, closed, max_open, gaps, retransmitted, queries, parses, binds,
        executes, terminates, sql_bytes, completed, row_mismatches, errors, ready, longest_segment;
} total;

static struct flow *flows;
static size_t flow_slots, flow_count;

static struct flow *find_flow(uint32_t ip, uint16_t port) {
    size_t i = (((uint64_t)ip << 16 | port) * 0x9e3779b97f4a7c15u >> 20) & (flow_slots - 1);
    while (flows[i].used && (flows[i].ip != ip || flows[i].port != port))
        i = (i + 1) & (flow_slots - 1);
    return &flows[i];
}

static void grow_flows(void) {
    struct flow *old = flows;
    size_t n = flow_slots;
    flow_slots = n ? n * 2 : 1024;
    flows = calloc(flow_slots, sizeof *flows);
    if (flows == NULL) die("out of memory");
    for (size_t i = 0; i < n; i++)
        if (old[i].used) *find_flow(old[i].ip, old[i].port) = old[i];
    free(old);
}

static void client_message(uint8_t type, uint32_t length, const uint8_t *body, uint32_t have) {
    switch (type) {
    case 'Q':
        total.queries++;
        total.sql_bytes += length - 5;
        break;
    case 'P': // name, text, parameter count, parameter types; all we know here is a name of at most STASH bytes
        total.parses++;
        total.sql_bytes += length - 4 - strnlen((const char *)body, have) - 1 - 1 - 2;
        break;
    case 'B': total.binds++; break;
    case 'E': total.executes++; break;
    case 'X': total.terminates++; break;
    }
}

static void server_message(struct flow *f, uint8_t type, uint32_t have, const uint8_t *body) {
    switch (type) {
    case 'D': f->rows++; break;
    case 'C':
        total.completed++;
        if (have > 7 && memcmp(body, "SELECT ", 7) == 0 && strtoull((const char *)body + 7, NULL, 10) != f->rows)
            total.row_mismatches++;
        f->rows = 0;
        break;
    case 'E': total.errors++; break;
    case 'Z': total.ready++; break;
    }
}

/* Feeds the bytes of one direction. Messages are judged by their first STASH bytes; the rest is skipped. */
static void feed(struct flow *f, bool from_client, const uint8_t *p, uint32_t n) {
    struct direction *d = from_client ? &f->client : &f->server;
    while (n > 0) {
        if (d->skip > 0) {
            uint32_t k = d->skip < n ? d->skip : n;
            d->skip -= k;
            p += k;
            n -= k;
            continue;
        }
        bool untyped = from_client && !d->startup_done;
        if (!from_client && !d->startup_done) { // one-byte answer to SSLRequest
            d->startup_done = true;
            if (*p == 'N') {
                p++;
                n--;
                d->startup_done = false;
                continue;
            }
        }
        uint32_t prefix = untyped ? 8 : 5;
        if (d->have < prefix) {
            d->head[d->have++] = *p++;
            n--;
            if (d->have < prefix) continue;
        }
        uint32_t length = get32(d->head + (untyped ? 0 : 1)) + (untyped ? 0 : 1);
        if (length < 4) {
            d->lost = true;
            total.gaps++;
            return;
        }
        uint32_t want = length < STASH ? length : STASH;
        while (d->have < want && n > 0) {
            d->head[d->have++] = *p++;
            n--;
        }
        if (d->have < want) return;
        if (untyped)
            d->startup_done = get32(d->head + 4) == 196608;
        else if (from_client)
            client_message(d->head[0], length - 1, d->head + 5, want - 5);
        else
            server_message(f, d->head[0], want - 5, d->head + 5);
        d->skip = length - want;
        d->have = 0;
    }
}

static void segment(struct flow *f, bool from_client, uint8_t flags, uint32_t sequence, const uint8_t *p, uint32_t n) {
    struct direction *d = from_client ? &f->client : &f->server;
    if (flags & SYN) {
        *d = (struct direction){.next = sequence + 1, .synced = true};
        return;
    }
    if (n > total.longest_segment) total.longest_segment = n;
    if (!d->synced || d->lost || n == 0) return;
    int32_t behind = (int32_t)(d->next - sequence);
    if (behind < 0) {
        d->lost = true;
        total.gaps++;
        return;
    }
    if (behind > 0) total.retransmitted++;
    if ((uint32_t)behind >= n) return;
    d->next = sequence + n;
    feed(f, from_client, p + behind, n - (uint32_t)behind);
}

int main(int argc, char **argv) {
    if (argc < 2 || argc > 3) {
        fprintf(stderr, "usage: count FILE [MAX_PACKETS]\n");
        return 2;
    }
    size_t size, offset = FILE_HEADER;
    const uint8_t *file = map_capture(argv[1], &size), *frame;
    unsigned long long limit = argc > 2 ? strtoull(argv[2], NULL, 10) : UINT64_MAX, open = 0;
    struct record r, first = {0}, last = {0};
    while (total.packets < limit && next_record(file, size, &offset, &r, &frame)) {
        if (total.packets++ == 0) first = r;
        last = r;
        total.bytes += RECORD_HEADER + r.captured;
        if (!is_tcp4(frame, &r)) continue;
        const uint8_t *ip = frame + ETHERNET_HEADER, *tcp = ip + IP_HEADER;
        bool from_client = get16(tcp + 2) == SERVER_PORT;
        if (!from_client && get16(tcp) != SERVER_PORT) continue;
        if (flow_count * 2 >= flow_slots) grow_flows();
        struct flow *f = find_flow(get32(ip + (from_client ? 12 : 16)), get16(tcp + (from_client ? 0 : 2)));
        if (!f->used) {
            *f = (struct flow){
                .ip = get32(ip + (from_client ? 12 : 16)), .port = get16(tcp + (from_client ? 0 : 2)), .used = true};
            flow_count++;
        }
        if (from_client && (tcp[13] & SYN) && !f->open) {
            total.connections++;
            f->open = true;
            f->rows = 0;
            if (++open > total.max_open) total.max_open = open;
        }
        uint32_t header = (uint32_t)(tcp[12] >> 4) * 4;
        segment(f, from_client, tcp[13], get32(tcp + 4), tcp + header, get16(ip + 2) - IP_HEADER - header);
        if (from_client && (tcp[13] & (FIN | RST)) && f->open) {
            f->open = false;
            open--;
            total.closed++;
        }
    }
    double span = (double)last.seconds - first.seconds + ((double)last.microseconds - first.microseconds) * 1e-6;
    printf(
        "{\"packets\": %llu, \"bytes\": %llu, \"seconds\": %.6f, \"connections\": %llu, \"closed\": %llu, "
        "\"max_open\": %llu,"
        " \"gaps\": %llu, \"retransmitted\": %llu, \"queries\": %llu, \"parses\": %llu, \"binds\": %llu, \"executes\": "
        "%llu,"
        " \"terminates\": %llu, \"sql_bytes\": %llu, \"completed\": %llu, \"row_mismatches\": %llu, \"errors\": %llu,"
        " \"ready\": %llu, \"longest_segment\": %llu}\n",
        total.packets, total.bytes + FILE_HEADER, span, total.connections, total.closed, total.max_open, total.gaps,
        total.retransmitted, total.queries, total.parses, total.binds, total.executes, total.terminates,
        total.sql_bytes, total.completed, total.row_mismatches, total.errors, total.ready, total.longest_segment);
    return 0;
}
