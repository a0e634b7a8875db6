// SPDX-License-Identifier: Apache-2.0
import Glibc
import Platform

/// How the program is to end; what went wrong was said already.
public struct ExitStatus: Error, Hashable {
    /// The exit code.
    public let code: Int32

    /// An end with this exit code.
    public init(_ code: Int32) { self.code = code }
}

/// Exit codes by sysexits(3).
public enum Sysexit {
    /// EX_USAGE: wrong options.
    public static let usage = ExitStatus(64)
    /// EX_DATAERR: bad input.
    public static let dataError = ExitStatus(65)
    /// EX_NOINPUT: no such file or interface.
    public static let noInput = ExitStatus(66)
    /// EX_UNAVAILABLE: something else does not answer, or is in the way.
    public static let unavailable = ExitStatus(69)
    /// EX_SOFTWARE: a fault of our own.
    static let software = ExitStatus(70)
    /// EX_OSERR: the system refused a thread or the like.
    public static let systemError = ExitStatus(71)
    /// EX_IOERR: reading or writing failed.
    public static let ioError = ExitStatus(74)
    /// EX_TEMPFAIL: not confirmed.
    public static let tryAgain = ExitStatus(75)
    /// EX_NOPERM: rights are missing.
    public static let noPermission = ExitStatus(77)
    /// EX_CONFIG: a bad configuration.
    public static let configuration = ExitStatus(78)
}

/// The program's own files: data to standard output, everything else to standard error.
public enum Output {
    /// Writes all of `bytes`.
    ///
    /// A reader that went away ends the program quietly, as with other filters.
    public static func write(_ bytes: [UInt8], to descriptor: Int32 = 1) throws(ExitStatus) {
        var offset = 0
        while offset < bytes.count {
            let start = offset
            let count = unsafe bytes.withUnsafeBytes { buffer in
                unsafe Glibc.write(descriptor, buffer.baseAddress.map { unsafe $0 + start }, buffer.count - start)
            }
            if count < 0 {
                if errno == EINTR { continue }
                if errno == EPIPE { throw ExitStatus(0) }
                complain("cannot write: \(message(errno))")
                throw Sysexit.ioError
            }
            offset += count
        }
    }

    /// A line on standard error with the program's name.
    public static func complain(_ text: String) {
        try? write(Array("pgweir: \(text)\n".utf8), to: 2)
    }

    /// Whether a descriptor is a terminal.
    public static func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

    /// The terminal's width in columns, or that of `COLUMNS`; `nil` where there is no terminal.
    public static func columns(_ descriptor: Int32) -> Int? {
        if let text = environment("COLUMNS"), let columns = Int(text), columns >= 40 { return min(columns, 1000) }
        var size = winsize()
        let isKnown = unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0
        return isKnown && size.ws_col >= 40 ? Int(size.ws_col) : nil
    }

    /// The terminal's width in columns; 100 where there is none.
    public static func width(_ descriptor: Int32) -> Int { columns(descriptor) ?? 100 }

    /// A variable of the environment.
    public static func environment(_ name: String) -> String? {
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

    /// What an error number of the system means.
    public static func message(_ code: Int32) -> String {
        SystemError.text(code)
    }
}
