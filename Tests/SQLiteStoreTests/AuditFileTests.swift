// SPDX-License-Identifier: Apache-2.0
import Foundation
import Glibc
import SQLiteStore
import Synchronization
import Testing

struct AuditFileTests {
    private func withPath(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("pgweir-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder.appendingPathComponent("audit.jsonl").path)
    }

    private static func line(_ number: Int) -> [UInt8] {
        Array("line \(number) \(String(repeating: "x", count: 80))\n".utf8)
    }

    private func bytes(_ path: String) -> [UInt8] { Array(FileManager.default.contents(atPath: path) ?? Data()) }

    /// The numbers of a file's lines; -1 for what is no line of ours.
    private func numbers(_ path: String) -> [Int] {
        String(decoding: bytes(path), as: UTF8.self).split(separator: "\n").map { text in
            let words = text.split(separator: " ")
            return words.count == 3 && words[2].count == 80 ? Int(words[1]) ?? -1 : -1
        }
    }

    private func files(_ path: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: (path as NSString).deletingLastPathComponent).sorted()
    }

    @Test func `a file that has grown is renamed, and the newest few are kept`() throws {
        try withPath { path in
            let file = AuditFile(path: path, largest: 1000, kept: 3)
            for number in 0..<100 { #expect(file.append([Self.line(number)]) == 0) }
            let found = try files(path)
            #expect(found == ["audit.jsonl", "audit.jsonl.1", "audit.jsonl.2", "audit.jsonl.3"])
            let all = ["\(path).3", "\(path).2", "\(path).1", path]
            for one in all { #expect((1...1000).contains(bytes(one).count)) }
            let kept = all.flatMap(numbers)
            #expect(kept.count > 30 && kept == Array(100 - kept.count..<100))
        }
    }

    @Test func `it goes on with the files of the run before`() throws {
        try withPath { path in
            for number in 0..<20 {
                let file = AuditFile(path: path, largest: 1000, kept: 3)
                #expect(file.append([Self.line(number)]) == 0)
            }
            #expect(["\(path).2", "\(path).1", path].flatMap(numbers) == Array(0..<20))
        }
    }

    @Test func `a line longer than a file is written all the same`() throws {
        try withPath { path in
            let file = AuditFile(path: path, largest: 10, kept: 3)
            for number in 0..<3 { #expect(file.append([Self.line(number)]) == 0) }
            #expect(numbers(path) == [2] && numbers("\(path).1") == [1] && numbers("\(path).2") == [0])
        }
    }

    @Test func `a file that logrotate moved, truncated or removed is followed`() throws {
        try withPath { path in
            let file = AuditFile(path: path)
            #expect(file.append([Self.line(1), Self.line(2)]) == 0)
            #expect(unsafe rename(path, path + "-20260131") == 0)
            #expect(file.append([Self.line(3)]) == 0)
            #expect(numbers(path + "-20260131") == [1, 2] && numbers(path) == [3])
            #expect(unsafe truncate(path, 0) == 0)
            #expect(file.append([Self.line(4)]) == 0 && numbers(path) == [4])
            #expect(unsafe unlink(path) == 0)
            #expect(file.append([Self.line(5)]) == 0 && numbers(path) == [5])
        }
    }

    @Test func `several that append to one file lose no line`() throws {
        try withPath { path in
            let left = Atomic<Int>(4)
            let lost = Atomic<Int>(0)
            for writer in 0..<4 {
                Thread.detachNewThread {
                    let file = AuditFile(path: path, largest: 5000, kept: 200)
                    for number in 0..<500 {
                        lost.add(file.append([Self.line(writer * 500 + number)]), ordering: .relaxed)
                    }
                    left.subtract(1, ordering: .acquiringAndReleasing)
                }
            }
            while left.load(ordering: .acquiring) > 0 { usleep(1000) }
            let all = try files(path).map { (path as NSString).deletingLastPathComponent + "/" + $0 }
            // How often depends on how long whoever renames is kept from it: the file grows meanwhile.
            #expect(all.count > 1 && lost.load(ordering: .relaxed) == 0)
            #expect(all.flatMap(numbers).sorted() == Array(0..<2000))
        }
    }

    @Test func `where it cannot be renamed it grows, which is told once`() throws {
        try withPath { path in
            let told = Mutex<[FileReport.Event]>([])
            let file = AuditFile(
                path: path,
                largest: 1000,
                kept: 1,
                report: FileReport { event, _ in told.withLock { $0.append(event) } }
            )
            try FileManager.default.createDirectory(atPath: path + ".1/x", withIntermediateDirectories: true)
            for number in 0..<30 { #expect(file.append([Self.line(number)]) == 0) }
            #expect(numbers(path) == Array(0..<30))
            guard case .overgrown = told.withLock({ $0.first }) else {
                Issue.record("it was not told")
                return
            }
            try FileManager.default.removeItem(atPath: path + ".1")
            #expect(file.append([Self.line(30)]) == 0 && numbers(path) == [30])
            #expect(told.withLock { $0.count == 2 && $0.last == .usable })
        }
    }

    @Test func `a folder that is not there costs the lines of that time, and no more`() throws {
        try withPath { path in
            let folder = (path as NSString).deletingLastPathComponent
            let told = Mutex<[FileReport.Event]>([])
            try FileManager.default.removeItem(atPath: folder)
            let file = AuditFile(path: path, report: FileReport { event, _ in told.withLock { $0.append(event) } })
            #expect(file.append([Self.line(1), Self.line(2)]) == 2 && told.withLock { $0.count } == 1)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            #expect(file.append([Self.line(3)]) == 0 && numbers(path) == [3])
            #expect(told.withLock { $0.last } == .usable)
        }
    }

    @Test func `a line that was cut does not spoil the next one`() throws {
        try withPath { path in
            try Data("line 0 cut".utf8).write(to: URL(fileURLWithPath: path))
            let file = AuditFile(path: path)
            #expect(file.append([Self.line(1), Self.line(2)]) == 0 && numbers(path) == [-1, 1, 2])
        }
    }
}
