// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc

/// Exit codes by sysexits(3).
enum Sysexit {
    static let usage = ExitCode(64)
    static let dataError = ExitCode(65)
    static let noInput = ExitCode(66)
    static let unavailable = ExitCode(69)
    static let systemError = ExitCode(71)
    static let ioError = ExitCode(74)
    static let tryAgain = ExitCode(75)
    static let noPermission = ExitCode(77)
    static let configuration = ExitCode(78)
}

/// The program's own files: data to standard output, everything else to standard error.
enum Output {
    /// Writes all of `bytes`.
    ///
    /// A reader that went away ends the program quietly, as with other filters.
    static func write(_ bytes: [UInt8], to descriptor: Int32 = 1) throws(ExitCode) {
        var offset = 0
        while offset < bytes.count {
            let start = offset
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + start }, buffer.count - start)
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { throw ExitCode(0) }
                complain("cannot write: \(message(errno))")
                throw Sysexit.ioError
            }
            offset += count
        }
    }

    /// A line on standard error with the program's name.
    static func complain(_ text: String) {
        try? write(Array("pgweir: \(text)\n".utf8), to: 2)
    }

    /// Whether a descriptor is a terminal.
    static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// The terminal's width in columns; 100 where there is none.
    static func width(_ descriptor: Int32) -> Int {
        if let text = environment("COLUMNS"), let columns = Int(text), columns >= 40 { return min(columns, 400) }
        var size = winsize()
        let isKnown = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
        return isKnown && size.ws_col >= 40 ? Int(size.ws_col) : 100
    }

    /// A variable of the environment.
    static func environment(_ name: String) -> String? {
        guard let value = unsafe getenv(name) else { return nil }
        return unsafe String(cString: value)
    }

    /// All variables of the environment.
    static var variables: [String: String] {
        var found: [String: String] = [:]
        var next = unsafe environ
        while let entry = unsafe next.pointee {
            let text = unsafe String(cString: entry)
            if let cut = text.firstIndex(of: "=") {
                found[String(text[..<cut])] = String(text[text.index(after: cut)...])
            }
            unsafe next += 1
        }
        return found
    }

    static func message(_ code: Int32) -> String {
        guard let text = unsafe strerror(code) else { return "error \(code)" }
        return unsafe String(cString: text)
    }
}
