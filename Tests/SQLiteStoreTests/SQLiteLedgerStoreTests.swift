// SPDX-License-Identifier: Apache-2.0
import Foundation
import Quotas
import SQLiteStore
import TestKit
import Testing

struct SQLiteLedgerStoreTests {
    @Test func `a file keeps the contract of ledgers, for two processes at once`() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pgweir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.appendingPathComponent("ledger.sqlite").path
        try LedgerStoreContract.check(SQLiteLedgerStore(path: path)) { try SQLiteLedgerStore(path: path) }
    }

    @Test func `what is no file of ours is refused in words`() throws {
        #expect(throws: LedgerError.self) { try SQLiteLedgerStore(path: "/dev/null/ledger.sqlite") }
    }
}
