// SPDX-License-Identifier: Apache-2.0
import Testing

@testable import RedisClient

struct RedisOptionsTests {
    @Test(arguments: [
        ("redis://localhost", Topology.single(.tcp(host: "localhost", port: 6379)), 0),
        ("REDIS://localhost/", .single(.tcp(host: "localhost", port: 6379)), 0),
        ("redis://10.0.0.1:7000/12", .single(.tcp(host: "10.0.0.1", port: 7000)), 12),
        ("redis://u:p@[::1]:7000/3", .single(.tcp(host: "::1", port: 7000)), 3),
        ("redis://[fe80::1%25eth0]", .single(.tcp(host: "fe80::1%eth0", port: 6379)), 0),
        ("unix:///run/redis.sock", .single(.unix(path: "/run/redis.sock")), 0),
        ("redis+unix:///run/a%20b.sock?db=4", .single(.unix(path: "/run/a b.sock")), 4),
        ("unix://:secret@/run/redis.sock", .single(.unix(path: "/run/redis.sock")), 0),
        (
            "redis+sentinel://:p@a,b:1,[::2]:3/mymaster/5",
            .sentinel(
                [.tcp(host: "a", port: 26_379), .tcp(host: "b", port: 1), .tcp(host: "::2", port: 3)],
                master: "mymaster"
            ), 5
        ),
        (
            "redis+sentinel://a/my%2Fmaster",
            .sentinel([.tcp(host: "a", port: 26_379)], master: "my/master"), 0
        ),
        (
            "redis+cluster://a,b:7001",
            .cluster([.tcp(host: "a", port: 6379), .tcp(host: "b", port: 7001)]), 0
        ),
        ("redis+cluster://a/0", .cluster([.tcp(host: "a", port: 6379)]), 0),
    ])
    func `a URL names servers and a database`(
        _ url: String,
        _ topology: Topology,
        _ database: Int
    )
        throws
    {
        let options = try RedisOptions(url: url)
        #expect(options.topology == topology)
        #expect(options.database == database)
    }

    @Test(
        arguments: [
            ("redis://h", nil, nil),
            ("redis://:p%40%3a%2F%25@h", nil, "p@:/%"),
            ("redis://us%65r:p:q@h", "user", "p:q"),
            ("redis://user:p@ss@h", "user", "p@ss"),
            ("redis://:@h", nil, nil),
        ] as [(String, String?, String?)]
    )
    func `user and password are decoded`(_ url: String, _ user: String?, _ password: String?) throws {
        let options = try RedisOptions(url: url)
        #expect(options.user == user)
        #expect(options.password == password)
    }

    @Test(arguments: [
        ("", RedisOptionsError.unknownScheme), ("localhost:6379", .unknownScheme),
        ("http://h", .unknownScheme),
        ("redis:/h", .unknownScheme), ("rediss://h", .noTLS), ("redis+tls://h", .noTLS),
        ("redis://", .missingHost), ("redis://:6379", .missingHost), ("redis://u:p@", .missingHost),
        ("redis+cluster://a,,b", .missingHost), ("redis://a b", .badHost), ("redis://[::1]x", .badHost),
        ("redis://h:", .badPort), ("redis://h:0", .badPort), ("redis://h:65536", .badPort),
        ("redis://h:x", .badPort),
        ("redis://h:1:2", .badPort), ("redis://[::1", .openBracket), ("redis://a,b", .severalHosts),
        ("redis://h/x", .badDatabase), ("redis://h/-1", .badDatabase),
        ("redis://h/1000001", .badDatabase),
        ("redis://h/1/2", .longPath), ("redis+cluster://h/1", .clusterDatabase),
        ("redis+sentinel://a,b", .missingMaster), ("redis+sentinel://a//1", .missingMaster),
        ("redis+sentinel://a/m/1/2", .longPath), ("unix://run/x.sock", .badSocketPath),
        ("unix:///", .badSocketPath),
        ("unix:///" + String(repeating: "x", count: 108), .badSocketPath),
        ("unix:///x?dbs=1", .unknownOption),
        ("unix:///x?db=1&a=2", .unknownOption), ("unix:///x?db=a", .badDatabase),
        ("redis://h?db=1", .unknownOption),
        ("redis://:%zz@h", .badEscape), ("redis://:%4@h", .badEscape), ("redis://:%+4@h", .badEscape),
        ("redis://:%ff@h", .badEscape), ("redis://h%00", .badEscape),
        ("redis://:a/b@h", .unescapedPassword),
        ("redis://:a?b@h", .unescapedPassword), ("redis://:a#b@h", .unescapedPassword),
        ("redis://user@h", .userWithoutPassword),
    ])
    func `what is wrong is named`(_ url: String, _ error: RedisOptionsError) {
        #expect(throws: error) { _ = try RedisOptions(url: url) }
        #expect(error.description.count > 40)
    }

    @Test func `a password given beside the URL replaces that in it`() throws {
        #expect(try RedisOptions(url: "redis://:old@h", password: "new").password == "new")
        let options = try RedisOptions(url: "redis://ann@h", password: "new")
        #expect(options.user == "ann" && options.password == "new")
    }

    @Test(arguments: [
        ("redis://ann:secret@h:1/2", "redis://h:1/2"),
        ("unix://ann:secret@/x.sock?db=2", "unix:///x.sock?db=2"),
        ("redis+sentinel://ann:secret@a,[::1]/m/2", "redis+sentinel://a:26379,[::1]:26379/m/2"),
        ("redis+cluster://ann:secret@a,b", "redis+cluster://a:6379,b:6379"),
    ])
    func `no description shows user or password`(_ url: String, _ shown: String) throws {
        let options = try RedisOptions(url: url)
        #expect(options.description == shown)
        var dumped = ""
        dump(options, to: &dumped)
        for text in [String(reflecting: options), "\(options)", dumped] {
            #expect(!text.contains("secret") && !text.contains("ann"))
        }
    }

    @Test func `values out of range are brought into it`() throws {
        var options = try RedisOptions(url: "redis://h")
        options.connectTimeout = .nan
        options.replyTimeout = -1
        options.batch = 0
        options.batchDelay = .infinity
        options.queueLimit = .max
        let clamped = options.clamped
        #expect(clamped.connectTimeout == 0.01 && clamped.replyTimeout == 0.01 && clamped.batch == 1)
        #expect(clamped.batchDelay == 1 && clamped.queueLimit == 10_000_000)
    }
}
