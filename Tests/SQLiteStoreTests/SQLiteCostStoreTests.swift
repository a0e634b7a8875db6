// SPDX-License-Identifier: Apache-2.0
import Costs
import Domain
import Foundation
import SQLiteStore
import TestKit
import Testing

struct SQLiteCostStoreTests {
    private func withFile(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pgweir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.appendingPathComponent("prices.sqlite").path)
    }

    @Test func `a file keeps the contract of stores`() throws {
        try withFile { path in try CostStoreContract.check(SQLiteCostStore(path: path)) }
    }

    @Test func `prices survive a restart`() throws {
        try withFile { path in
            try SQLiteCostStore(path: path).store([CostStoreContract.price(1)])
            let again = try SQLiteCostStore(path: path)
            #expect(try again.prices(of: [CostStoreContract.price(1).key]) == [CostStoreContract.price(1)])
        }
    }

    @Test func `a price is one process's to ask for`() throws {
        try withFile { path in
            let (one, two) = (try SQLiteCostStore(path: path), try SQLiteCostStore(path: path))
            let key = CostStoreContract.price(1).key
            #expect(try one.claim(key, seconds: 60))
            #expect(try !two.claim(key, seconds: 60))
            #expect(try two.claim(CostStoreContract.price(2).key, seconds: 0))
            #expect(try one.claim(CostStoreContract.price(2).key, seconds: 60))
        }
    }

    @Test func `what is no database is set aside, and what cannot be made is refused with its name`() throws {
        try withFile { path in
            try Data(repeating: 0x41, count: 9000).write(to: URL(fileURLWithPath: path))
            let store = try SQLiteCostStore(path: path)
            try store.store([CostStoreContract.price(1)])
            let names = try FileManager.default.contentsOfDirectory(
                atPath: (path as NSString).deletingLastPathComponent
            )
            #expect(names.contains { $0.hasPrefix("prices.sqlite.damaged-") })
        }
        #expect(throws: CostStoreError.self) { try SQLiteCostStore(path: "/nonexistent/prices.sqlite") }
    }
}
