// SPDX-License-Identifier: Apache-2.0
import Domain
import Foundation
import Glibc
import Platform
import Synchronization
import TestKit
import Testing

@testable import Platform

struct WakeUpTests {
    @Test func `a wake-up that came before the wait ends it, once`() {
        let wakeUp = WakeUp()
        wakeUp.wake()
        wakeUp.wake()
        #expect(wakeUp.wait(60))
        #expect(!wakeUp.wait(0))
    }

    @Test func `one that comes while it waits ends it, also where there is no end`() {
        let wakeUp = WakeUp()
        let isOver = Mutex(false)
        let thread = WorkerThread {
            wakeUp.wait(nil)
            isOver.withLock { $0 = true }
        }
        wakeUp.wake()
        thread?.join()
        #expect(isOver.withLock { $0 })
    }

    @Test func `what is not cleared is seen by all who wait`() {
        let wakeUp = WakeUp()
        #expect(!wakeUp.isWoken(within: 0))
        wakeUp.wake()
        #expect(wakeUp.isWoken(within: 60) && wakeUp.isWoken(within: 60))
        wakeUp.clear()
        #expect(!wakeUp.isWoken(within: 0))
    }

    @Test func `no descriptor is left behind`() throws {
        func count() throws -> Int { try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count }
        let before = try count()
        for _ in 0..<1000 { WakeUp().wake() }
        #expect(try count() <= before + 50)
    }
}

struct ProcessWatchTests {
    private func spawn(_ words: [String]) throws -> pid_t {
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var pid = pid_t()
        try #require(unsafe posix_spawnp(&pid, words[0], nil, nil, &arguments, nil) == 0)
        return pid
    }

    @Test func `the end of a process ends the wait for it, and the process can be asked how it ended`() throws {
        let pid = try spawn(["sleep", "1000"])
        let watch = ProcessWatch(pid)
        let before = watch.hasEnded(within: 0.01)
        kill(pid, SIGKILL)
        let (end, again) = (watch.hasEnded(within: 600), watch.hasEnded(within: 0))
        #expect(!before && end && again, "what ended stays ended")
        var status: Int32 = 0
        #expect(unsafe waitpid(pid, &status, 0) == pid && status & 0x7F == SIGKILL)
    }

    @Test func `of a process that is none the time is waited for`() {
        let start = SystemClock.now()
        let hasEnded = ProcessWatch(-1).hasEnded(within: 0.02)
        #expect(!hasEnded)
        #expect(SystemClock.now() - start >= 0.02)
    }
}

struct WorkerThreadTests {
    @Test func `signals are blocked where that is asked for, and nowhere else`() {
        func blocks(_ isAsked: Bool) -> Bool? {
            let found = Mutex<Bool?>(nil)
            WorkerThread(blocksSignals: isAsked) {
                var mask = sigset_t()
                unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
                let isBlocked = unsafe sigismember(&mask, SIGTERM) == 1
                found.withLock { $0 = isBlocked }
            }?.join()
            return found.withLock { $0 }
        }
        #expect(blocks(true) == true)
        var own = sigset_t()
        unsafe pthread_sigmask(SIG_BLOCK, nil, &own)
        #expect(blocks(false) == (unsafe sigismember(&own, SIGTERM) == 1), "the mask is that of whoever starts it")
    }
}

struct SystemClockTests {
    @Test func `the clock that never goes back does not, and both agree about a second`() {
        let first = SystemClock.nanoseconds()
        #expect(SystemClock.nanoseconds() >= first)
        #expect(abs(SystemClock.now() - Double(first) / 1e9) < 60)
        #expect(SystemClock.time().nanoseconds > 1_700_000_000_000_000_000)
        #expect(SystemClock.uptime() >= 0 && SystemClock.threadCPU() >= 0)
    }

    @Test func `a pause lasts at least its time, also where signals come`() {
        signal(SIGUSR2) { _ in }
        let isOver = Mutex(false)
        let slept = Mutex(0.0)
        let own = Mutex<pthread_t?>(nil)
        let thread = WorkerThread {
            own.withLock { $0 = pthread_self() }
            let start = SystemClock.now()
            SystemClock.sleep(seconds: 0.1)
            let end = SystemClock.now()
            slept.withLock { $0 = end - start }
            isOver.withLock { $0 = true }
        }
        while !isOver.withLock({ $0 }) {
            if let thread = own.withLock({ $0 }) { pthread_kill(thread, SIGUSR2) }
            sched_yield()
        }
        thread?.join()
        #expect(slept.withLock { $0 } >= 0.1)
    }

    @Test(arguments: [0, -1, -Double.infinity, .nan]) func `no time is no pause`(_ seconds: Double) {
        SystemClock.sleep(seconds: seconds)
    }
}

struct SystemErrorTests {
    @Test func `a number is said in words, whatever it is`() {
        #expect(SystemError(ENOENT).description == "No such file or directory")
        for code in [0, -1, 4711, Int32.max, Int32.min] { #expect(!SystemError.text(code).isEmpty) }
    }
}

struct UnixAddressTests {
    private func socket() -> Int32 {
        Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
    }

    private func received(_ descriptor: Int32) -> String {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = unsafe recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
        return String(decoding: buffer.prefix(max(0, count)), as: UTF8.self)
    }

    @Test func `a path and a name reach who is bound there`() throws {
        let folder = try ScratchFolder()
        let name = Array("pgweir-test-\(getpid())-\(UInt64.random(in: 0 ... .max))".utf8)
        let addresses = [UnixAddress(path: folder.file("socket")), UnixAddress(abstract: name)]
        for address in try addresses.map({ try #require($0) }) {
            let (listener, sender) = (socket(), socket())
            defer {
                close(listener)
                close(sender)
            }
            #expect(address.bind(listener))
            #expect(address.send(Array("word".utf8), from: sender))
            #expect(received(listener) == "word")
            #expect(address.connect(sender))
        }
    }

    @Test(arguments: 0...120) func `a path that is too long is refused, and the longest one is not`(_ length: Int) {
        let path = String(repeating: "x", count: length)
        #expect((UnixAddress(path: path) == nil) == (length == 0 || length > 107))
        #expect((UnixAddress(abstract: Array(path.utf8)) == nil) == (length > 107))
    }

    @Test func `a zero ends no path silently`() {
        #expect(UnixAddress(path: "/tmp/a\0b") == nil)
    }
}
