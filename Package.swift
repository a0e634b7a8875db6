// swift-tools-version: 6.3
// SPDX-License-Identifier: Apache-2.0
import PackageDescription

let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),  // SE-0458: every unsafe use says `unsafe`
    .treatAllWarnings(as: .error),  // SE-0480: own targets only
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .enableExperimentalFeature("Lifetimes"),  // views that outlive one call, as swift-nio uses them
    .unsafeFlags(["-cross-module-optimization"], .when(configuration: .release)),
]
/// Fuzzers check every use of a slot's handle, as debug builds do by themselves.
let common = strict + (Context.environment["PGWEIR_FUZZ"] == nil ? [] : [.define("SLOT_CHECKS")])

/// A stage: pure, synchronous, imports nothing but `Domain`; `Metering` joins others, too: it answers sessions in their words.
func stage(_ name: String, _ others: [Target.Dependency] = []) -> [Target] {
    [
        .target(
            name: name,
            dependencies: (name == "Domain" ? [] : ["Domain"]) + others
                + (["Domain", "Packets", "Fingerprints"].contains(name) ? ["CVector"] : []),
            swiftSettings: common
        ),
        .testTarget(
            name: name + "Tests",
            dependencies: [.byName(name: name), "TestKit"] + (name == "Domain" ? [] : ["Domain"]) + others,
            swiftSettings: common
        ),
    ]
}

/// An edge: owns one C library, one kind of file or one format for people.
func edge(_ name: String, _ dependencies: [Target.Dependency]) -> [Target] {
    [
        .target(name: name, dependencies: ["Domain", "Platform"] + dependencies, swiftSettings: common),
        .testTarget(
            name: name + "Tests",
            dependencies: [.byName(name: name), "TestKit", "Domain", "Platform"]
                + dependencies.filter { !isSystemLibrary($0) },
            swiftSettings: common
        ),
    ]
}

func isSystemLibrary(_ dependency: Target.Dependency) -> Bool {
    let own = ["Capture", "Control", "Costs"]
    if case .byNameItem(let name, _) = dependency { return name.first == "C" && !own.contains(name) }
    return false
}

/// A libFuzzer program; `Scripts/fuzz` builds it with `PGWEIR_FUZZ=1 swift build --sanitize=fuzzer`, or with
/// `PGWEIR_FUZZ=unguided` as one that tries random changes.
let isUnguided = Context.environment["PGWEIR_FUZZ"] == "unguided"
func fuzzer(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
    .executableTarget(
        name: name + "Fuzzer",
        dependencies: ["Domain"] + dependencies + (isUnguided ? ["Unguided"] : []),
        path: "Tests/Fuzzers/" + name,
        swiftSettings: common + [.unsafeFlags(["-parse-as-library"])] + (isUnguided ? [.define("UNGUIDED")] : []),
        linkerSettings: [.unsafeFlags(["-use-ld=lld"])]  // gold cannot link libFuzzer
    )
}
let fuzzers =
    Context.environment["PGWEIR_FUZZ"] == nil
    ? []
    : [
        fuzzer("Decoder", ["Packets"]),
        fuzzer("Reassembly", ["Packets"]),
        fuzzer("Protocol", ["PostgresWire"]),
        fuzzer("Lexer", ["Fingerprints"]),
        .target(name: "Unguided", path: "Tests/Fuzzers/Unguided", swiftSettings: common),
    ]

/// Times parts of the pipeline one by one; `Benchmarks/parts` builds it with `PGWEIR_BENCHMARKS=1`.
let benchmarks: [Target] =
    Context.environment["PGWEIR_BENCHMARKS"] == nil
    ? []
    : [
        .executableTarget(
            name: "pgweir-stages",
            dependencies: [
                "Domain", "Capture", "Packets", "PostgresWire", "Fingerprints", "Costs", "Metering", "Pipeline",
            ],
            path: "Benchmarks/Stages",
            swiftSettings: common + [.unsafeFlags(["-parse-as-library"])]
        ),
        .executableTarget(
            name: "pgweir-quota-bench",
            dependencies: [
                "Domain", "Quotas", "RedisClient", "RedisStore", "SQLiteStore",
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ],
            path: "Benchmarks/Quotas",
            swiftSettings: common
        ),
        .executableTarget(
            name: "pgweir-redis-bench",
            dependencies: ["RedisClient"],
            path: "Benchmarks/Redis",
            swiftSettings: common
        ),
    ]

let package = Package(
    name: "pgweir",
    products: [
        .executable(name: "pgweir", targets: ["pgweir"]),
        .executable(name: "pgweir-relay", targets: ["pgweir-relay"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/groue/GRDB.swift", from: "7.10.0"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/hummingbird-project/hummingbird", from: "2.28.1", traits: []),
        .package(url: "https://github.com/hummingbird-project/swift-mustache", from: "2.1.1"),
        // What hummingbird is made of, where it shows through.
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle", from: "2.13.0"),
    ],
    targets: [
        .systemLibrary(name: "CPcap", providers: [.apt(["libpcap-dev"])]),
        .systemLibrary(name: "CPostgres", providers: [.apt(["libpq-dev"])]),
        .systemLibrary(name: "CPgQuery", providers: [.apt(["libpg-query-dev"])]),
        .systemLibrary(name: "CHiredis", providers: [.apt(["libhiredis-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CVector"),
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CCrypt"),
        .systemLibrary(name: "COpenSSL", providers: [.apt(["libssl-dev"])]),
        .target(
            name: "TestKit",
            dependencies: ["Domain", "Costs", "Quotas", "Analytics"],
            path: "Tests/TestKit",
            swiftSettings: common
        ),
    ]
        + stage("Domain")
        + [
            // Threads, wake-ups, clocks, errors and Unix sockets of Linux, once for all edges; no stage imports it.
            .target(name: "Platform", dependencies: ["Domain", "CLinux"], swiftSettings: common),
            .testTarget(name: "PlatformTests", dependencies: ["Platform", "TestKit", "Domain"], swiftSettings: common),
        ]
        + ["Packets", "PostgresWire", "Fingerprints", "Costs", "Quotas", "Analytics"].flatMap { stage($0) }
        + stage("Metering", ["PostgresWire", "Fingerprints", "Costs", "Quotas"])
        + edge("Capture", ["CPcap", "CZlib"])
        + edge("Mirrors", [])
        + edge("RelayRing", ["CLinux"])
        + edge(
            "Relay",
            ["RelayRing", "CLinux", "COpenSSL", .product(name: "DequeModule", package: "swift-collections")]
        )
        + edge("Control", [])
        + edge("Systemd", [])
        + edge("PostgresClient", ["CPostgres"])
        + edge("RedisClient", ["CHiredis"])
        + edge("Attribution", ["PostgresClient"])
        + edge("Verification", ["Fingerprints", "PostgresClient"])
        + edge("RedisStore", ["Costs", "Quotas", "RedisClient"])
        + edge("SQLiteStore", ["Costs", "Quotas", "Analytics", .product(name: "GRDB", package: "GRDB.swift")])
        + edge("PgBouncer", ["Quotas", "PostgresClient"])
        + edge("RoleLimit", ["Quotas", "PostgresClient"])
        + edge("Explain", ["Costs", "Fingerprints", "PostgresClient", "CPgQuery"])
        + edge(
            "Settings",
            [
                "Quotas", "Costs", "COpenSSL", .product(name: "Yams", package: "Yams"),
            ]
        )
        + edge(
            "Pipeline",
            [
                "CLinux", "Packets", "PostgresWire", "Fingerprints", "Costs", "Quotas", "Metering", "Capture",
                "RelayRing",
            ]
        )
        + edge("Telemetry", [])
        + edge(
            "Web",
            [
                "CCrypt",
                .product(name: "Hummingbird", package: "hummingbird"),
                .product(name: "HummingbirdCore", package: "hummingbird"),
                .product(name: "Logging", package: "swift-log"),
                .product(name: "HTTPTypes", package: "swift-http-types"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOPosix", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
            ]
        )
        + edge(
            "Dashboard",
            [
                .product(name: "Mustache", package: "swift-mustache")
            ]
        )
        + edge("Reports", ["Packets", "PostgresWire", "Costs", "Quotas", "Metering", "Pipeline"])
        // The one place that joins stages and edges to a program: services, and their order.
        + edge(
            "Daemon",
            [
                "CLinux", "Settings", "Capture", "RelayRing", "Mirrors", "Control", "Systemd", "PostgresClient",
                "Attribution", "Explain", "SQLiteStore", "RedisStore", "RedisClient", "PgBouncer", "RoleLimit",
                "Packets", "PostgresWire", "Costs", "Quotas", "Analytics", "Fingerprints", "Metering", "Pipeline",
                "Reports", "Telemetry", "Verification", "Web", "Dashboard",
                .product(name: "ServiceLifecycle", package: "swift-service-lifecycle"),
                .product(name: "UnixSignals", package: "swift-service-lifecycle"),
                .product(name: "Logging", package: "swift-log"),
                // The compiler wants to see what the store is built on.
                .product(name: "GRDBSQLite", package: "GRDB.swift"),
            ]
        )
        + [
            // Commands alone: what they do is in `Daemon`.
            .executableTarget(
                name: "pgweir",
                dependencies: [
                    "Daemon", "Domain", "Platform", "Settings", "Capture", "Mirrors", "Control", "Explain",
                    "SQLiteStore", "Costs",
                    "Quotas", "Analytics", "Fingerprints", "Packets", "Metering", "Pipeline", "Reports", "Telemetry",
                    "Verification", "Web", "Dashboard", "PostgresClient",
                    .product(name: "ArgumentParser", package: "swift-argument-parser"),
                    // The compiler wants to see what the store is built on.
                    .product(name: "GRDBSQLite", package: "GRDB.swift"),
                ],
                swiftSettings: common
            )
        ]
        + [
            // The proxy's data path: a process of its own, with no stage in it.
            .executableTarget(
                name: "pgweir-relay",
                dependencies: [
                    "Domain", "Platform", "Relay", "Systemd", "Telemetry",
                    .product(name: "ArgumentParser", package: "swift-argument-parser"),
                ],
                swiftSettings: common
            )
        ]
        + fuzzers
        + benchmarks
)
