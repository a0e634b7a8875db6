// SPDX-License-Identifier: Apache-2.0
/* synthesize orm OUT CONNECTIONS SEED < STATEMENTS
 * synthesize idle OUT CONNECTIONS SEED
 *
 * Writes captures of conversations that no server could hold on a small machine: full TCP handshake, startup, and
 * replies with real PostgreSQL messages. The server is 10.255.0.10:5432.
 *
 * orm: STATEMENTS (from orm_statements.py) spread at random over CONNECTIONS; 60 % simple Query, 40 % Parse + Bind +
 *      Describe + Execute + Sync; at the end every client says Terminate and FIN.
 * idle: every connection logs in, asks once and stays open and silent.
 *
 * Prints the true counts as JSON. */
#include "pcap.h"

enum { SEGMENT = 1448, SIMPLE_PERCENT = 60, CLIENT_HOSTS = 250, USERS = 200, WINDOW = 256, SERVER_IP = 0x0aff000a };

/* A TCP connection: next sequence number of the client [0] and of the server [1], and what the client waits for. */
struct connection {
    uint32_t ip, next[2], number;
    uint16_t port;
    bool waiting, extended;
    uint8_t verb, columns, max_rows;
};

/* Bytes of protocol messages that wait to be sent in one go. */
static struct {
    uint8_t *bytes;
    size_t length, capacity, message;
} out;

static struct {
    unsigned long long packets, queries, executes, sql_bytes, rows;
} total;

static FILE *capture;
static uint64_t seed, clock_us = 1700000000000000u, mean_gap;

static uint32_t below(uint32_t n) { return (uint32_t)((next_random(&seed) >> 32) * n >> 32); }

/* Messages. */

static void put(const void *bytes, size_t n) {
    if (out.length + n > out.capacity) {
        out.capacity = (out.length + n) * 2;
        out.bytes = grow(out.bytes, out.capacity);
    }
    memcpy(out.bytes + out.length, bytes, n);
    out.length += n;
}

static void put8(uint8_t v) { put(&v, 1); }

static void put16(uint16_t v) {
    uint8_t b[2];
    set16(b, v);
    put(b, 2);
}

static void put32(uint32_t v) {
    uint8_t b[4];
    set32(b, v);
    put(b, 4);
}

static void put_string(const char *s) { put(s, strlen(s) + 1); }

static void begin(char type) {
    if (type != 0) put8((uint8_t)type);
    out.message = out.length;
    put32(0);
}

static void end(void) { set32(out.bytes + out.message, (uint32_t)(out.length - out.message)); }

static void put_startup(const char *user) {
    begin(0);
    put32(196608);
    put_string("user"), put_string(user);
    put_string("database"), put_string("app");
    put_string("application_name"), put_string("orm");
    put_string("client_encoding"), put_string("UTF8");
    put8(0);
    end();
}

static void put_welcome(const char *user, uint32_t number) {
    const char *parameters[][2] = {
        {"application_name", "orm"},     {"client_encoding", "UTF8"},
        {"DateStyle", "ISO, MDY"},       {"default_transaction_read_only", "off"},
        {"in_hot_standby", "off"},       {"integer_datetimes", "on"},
        {"IntervalStyle", "postgres"},   {"is_superuser", "off"},
        {"server_encoding", "UTF8"},     {"server_version", "15.18"},
        {"session_authorization", user}, {"standard_conforming_strings", "on"},
        {"TimeZone", "Etc/UTC"},
    };
    begin('R'), put32(0), end();
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++)
        begin('S'), put_string(parameters[i][0]), put_string(parameters[i][1]), end();
    begin('K'), put32(1000 + number), put32((uint32_t)next_random(&seed)), end();
    begin('Z'), put8('I'), end();
}

static void put_simple(const char *sql, size_t length) {
    begin('Q'), put(sql, length), put8(0), end();
    total.queries++;
    total.sql_bytes += length;
}

static void put_extended(const char *sql, size_t length) {
    begin('P'), put_string(""), put(sql, length), put8(0), put16(0), end();
    begin('B'), put_string(""), put_string(""), put16(0), put16(0), put16(0), end();
    begin('D'), put8('P'), put_string(""), end();
    begin('E'), put_string(""), put32(0), end();
    begin('S'), end();
    total.executes++;
    total.sql_bytes += length;
}

/* Result columns take turns: bigint, text, timestamptz, boolean. */
static const struct {
    uint32_t oid;
    uint16_t size;
} types[4] = {{20, 8}, {25, 0xffff}, {1184, 8}, {16, 1}};

static void put_row_description(unsigned columns) {
    begin('T'), put16((uint16_t)columns);
    for (unsigned i = 0; i < columns; i++) {
        char name[16];
        snprintf(name, sizeof name, "column_%u", i + 1);
        put_string(name), put32(16384), put16((uint16_t)(i + 1));
        put32(types[i % 4].oid), put16(types[i % 4].size), put32(0xffffffff), put16(0);
    }
    end();
}

static void put_data_row(unsigned columns) {
    begin('D'), put16((uint16_t)columns);
    for (unsigned i = 0; i < columns; i++) {
        char value[64];
        uint32_t r = below(1000000);
        int n = 0;
        switch (i % 4) {
        case 0: n = snprintf(value, sizeof value, "%u", r); break;
        case 1: n = snprintf(value, sizeof value, "value %u", r); break;
        case 2: n = snprintf(value, sizeof value, "2024-05-%02u 10:20:30.%06u+00", 1 + r % 28, r); break;
        case 3: n = snprintf(value, sizeof value, r % 2 ? "t" : "f"); break;
        }
        put32((uint32_t)n), put(value, (size_t)n);
    }
    end();
    total.rows++;
}

/* The server's whole answer to one statement, with a command tag that tells the truth. */
static void put_answer(const struct connection *c) {
    static const char *tags[] = {"SELECT", "INSERT 0", "UPDATE", "DELETE"};
    unsigned rows = c->verb == 0 ? below(c->max_rows + 1u) : c->verb == 1 ? 1 : below(3);
    char tag[32];
    if (c->extended) begin('1'), end(), begin('2'), end();
    if (c->columns > 0) {
        put_row_description(c->columns);
        for (unsigned i = 0; i < rows; i++)
            put_data_row(c->columns);
    } else if (c->extended) {
        begin('n'), end();
    }
    snprintf(tag, sizeof tag, "%s %u", tags[c->verb], rows);
    begin('C'), put_string(tag), end();
    begin('Z'), put8('I'), end();
}

/* Packets. */

static void packet(struct connection *c, bool server, uint8_t flags, const uint8_t *payload, size_t n) {
    static uint8_t frame[ETHERNET_HEADER + IP_HEADER + 60 + SEGMENT];
    uint8_t *ip = frame + ETHERNET_HEADER, *tcp = ip + IP_HEADER, *option = tcp + 20;
    static const uint8_t macs[2][6] = {{2, 0, 0, 0, 0, 1}, {2, 0, 0, 0, 0, 2}};
    memcpy(frame, macs[!server], 6);
    memcpy(frame + 6, macs[server], 6);
    set16(frame + 12, 0x0800);
    size_t options = 12;
    if (flags & SYN) {
        static const uint8_t syn[20] = {2, 4, 0x05, 0xb4, 4, 2, 8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3, 3, 7};
        memcpy(option, syn, options = sizeof syn);
        option += 8;
    } else {
        static const uint8_t timestamps[4] = {1, 1, 8, 10};
        memcpy(option, timestamps, sizeof timestamps);
        option += 4;
    }
    set32(option, (uint32_t)(clock_us / 1000));
    set32(option + 4, flags & ACK ? (uint32_t)(clock_us / 1000) : 0);
    size_t length = IP_HEADER + 20 + options + n;
    memset(ip, 0, IP_HEADER);
    ip[0] = 0x45, ip[6] = 0x40, ip[8] = 64, ip[9] = 6;
    set16(ip + 2, (uint16_t)length);
    set32(ip + 12, server ? SERVER_IP : c->ip);
    set32(ip + 16, server ? c->ip : SERVER_IP);
    set16(tcp, server ? 5432 : c->port);
    set16(tcp + 2, server ? c->port : 5432);
    set32(tcp + 4, c->next[server]);
    set32(tcp + 8, flags & ACK ? c->next[!server] : 0);
    tcp[12] = (uint8_t)((20 + options) << 2);
    tcp[13] = flags;
    set16(tcp + 14, 512);
    set16(tcp + 18, 0);
    memcpy(tcp + 20 + options, payload, n);
    set_checksums(ip);
    clock_us += 1 + below((uint32_t)mean_gap * 2 - 1);
    write_record(capture, clock_us, frame, (uint32_t)(ETHERNET_HEADER + length));
    total.packets++;
    c->next[server] += (uint32_t)n + ((flags & (SYN | FIN)) != 0);
}

static void acknowledge(struct connection *c, bool server) { packet(c, server, ACK, (const uint8_t *)"", 0); }

/* Sends what was put, in segments of at most 1448 bytes, and empties the buffer. */
static void flush(struct connection *c, bool server) {
    for (size_t at = 0; at < out.length; at += SEGMENT) {
        size_t n = out.length - at < SEGMENT ? out.length - at : SEGMENT;
        packet(c, server, at + n == out.length ? ACK | PSH : ACK, out.bytes + at, n);
    }
    out.length = 0;
}

static struct connection *make_connections(uint32_t n) {
    struct connection *all = calloc(n, sizeof *all);
    if (all == NULL) die("out of memory");
    for (uint32_t i = 0; i < n; i++)
        all[i] = (struct connection){
            .ip = 0x0a000001u + i % CLIENT_HOSTS,
            .port = (uint16_t)(20000 + i / CLIENT_HOSTS),
            .number = i,
            .next = {(uint32_t)next_random(&seed), (uint32_t)next_random(&seed)},
        };
    return all;
}

enum { LOGIN_STEPS = 5 };

/* One step of handshake and login; the steps of several connections may be interleaved. */
static void login(struct connection *c, int step) {
    char user[16];
    snprintf(user, sizeof user, "tenant_%03u", c->number % USERS);
    switch (step) {
    case 0: packet(c, false, SYN, (const uint8_t *)"", 0); break;
    case 1: packet(c, true, SYN | ACK, (const uint8_t *)"", 0); break;
    case 2: acknowledge(c, false); break;
    case 3: put_startup(user), flush(c, false); break;
    case 4: put_welcome(user, c->number), flush(c, true); break;
    }
}

static void log_all_in(struct connection *all, uint32_t count) {
    for (int step = 0; step < LOGIN_STEPS; step++)
        for (uint32_t i = 0; i < count; i++)
            login(&all[i], step);
}

static void hang_up(struct connection *c) {
    begin('X'), end(), flush(c, false);
    packet(c, false, FIN | ACK, (const uint8_t *)"", 0);
    packet(c, true, FIN | ACK, (const uint8_t *)"", 0);
    acknowledge(c, false);
}

/* The two kinds of capture. */

/* Reads one record of orm_statements.py: length, verb, columns, most rows, text. */
static char *read_statement(struct connection *c, size_t *length) {
    static char *text;
    uint8_t head[7];
    if (fread(head, 1, sizeof head, stdin) != sizeof head) return NULL;
    *length = get32(head);
    c->verb = head[4], c->columns = head[5], c->max_rows = head[6];
    text = grow(text, *length + 1);
    if (c->verb > 3 || fread(text, 1, *length, stdin) != *length) die("statement stream");
    return text;
}

static void answer(struct connection *c) {
    put_answer(c);
    flush(c, true);
    c->waiting = false;
    if (below(2)) acknowledge(c, false);
}

static void write_orm(struct connection *all, uint32_t count) {
    log_all_in(all, count);
    for (;;) {
        struct connection *c = &all[below(count)];
        if (c->waiting) {
            answer(c);
            continue;
        }
        size_t length;
        const char *sql = read_statement(c, &length);
        if (sql == NULL) break;
        c->extended = below(100) >= SIMPLE_PERCENT;
        if (c->extended)
            put_extended(sql, length);
        else
            put_simple(sql, length);
        flush(c, false);
        c->waiting = true;
    }
    for (uint32_t i = 0; i < count; i++)
        if (all[i].waiting) answer(&all[i]);
    for (uint32_t i = 0; i < count; i++)
        hang_up(&all[i]);
}

static void write_idle(struct connection *all, uint32_t count) {
    for (uint32_t first = 0; first < count; first += WINDOW) {
        uint32_t n = count - first < WINDOW ? count - first : WINDOW;
        struct connection *batch = all + first;
        log_all_in(batch, n);
        for (uint32_t i = 0; i < n; i++) {
            char sql[80];
            batch[i].verb = 0, batch[i].columns = 1, batch[i].max_rows = 1;
            int length = snprintf(sql, sizeof sql, "SELECT id FROM inbox WHERE owner_id = %u", batch[i].number);
            put_simple(sql, (size_t)length), flush(&batch[i], false);
        }
        for (uint32_t i = 0; i < n; i++)
            put_answer(&batch[i]), flush(&batch[i], true);
        for (uint32_t i = 0; i < n; i++)
            acknowledge(&batch[i], false);
    }
}

int main(int argc, char **argv) {
    bool orm = argc == 5 && strcmp(argv[1], "orm") == 0, idle = argc == 5 && strcmp(argv[1], "idle") == 0;
    if (!orm && !idle) {
        fprintf(stderr, "usage: synthesize orm|idle OUT CONNECTIONS SEED\n");
        return 2;
    }
    uint32_t count = (uint32_t)strtoul(argv[3], NULL, 10);
    if (count == 0 || count / CLIENT_HOSTS > 45000) {
        fprintf(stderr, "synthesize: 1 to 11,250,000 connections\n");
        return 2;
    }
    seed = strtoull(argv[4], NULL, 10);
    mean_gap = orm ? 4 : 2;
    capture = create_capture(argv[2]);
    struct connection *all = make_connections(count);
    if (orm)
        write_orm(all, count);
    else
        write_idle(all, count);
    close_capture(capture, argv[2]);
    printf("{\"packets\": %llu, \"connections\": %u, \"queries\": %llu, \"executes\": %llu, \"sql_bytes\": %llu, "
           "\"rows\": %llu}\n",
           total.packets, count, total.queries, total.executes, total.sql_bytes, total.rows);
    return 0;
}
