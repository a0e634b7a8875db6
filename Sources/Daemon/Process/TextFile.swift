// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Settings

/// Small files that are read whole.
enum TextFile {
    private static let largest = 16 << 20

    /// The text of a file of at most `largest` bytes.
    ///
    /// A FIFO, a terminal or a device is refused and not waited for. With `allowsPipes`, a pipe is read to its end, as
    /// `<(command)` of a shell gives one.
    static func read(
        _ path: String,
        largest: Int = Self.largest,
        allowsPipes: Bool = false
    ) throws(SettingsError) -> String {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | (allowsPipes ? 0 : O_NONBLOCK))
        guard descriptor >= 0 else { throw SettingsError(file: path, message: Output.message(errno)) }
        defer { close(descriptor) }
        var status = stat()
        let isFound = unsafe fstat(descriptor, &status) == 0
        let isRegular = isFound && status.st_mode & S_IFMT == S_IFREG
        guard isRegular || allowsPipes && status.st_mode & S_IFMT == S_IFIFO else {
            throw SettingsError(file: path, message: "is no regular file.")
        }
        // Files of /proc say that they have no bytes, and have some.
        guard Int(status.st_size) <= largest else { throw tooLarge(path, largest) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = unsafe buffer.withUnsafeMutableBytes { unsafe Glibc.read(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw SettingsError(file: path, message: Output.message(errno)) }
            if count == 0 { break }
            bytes += buffer.prefix(count)
            guard bytes.count <= largest else { throw tooLarge(path, largest) }
        }
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw SettingsError(file: path, message: "is not UTF-8 text.")
        }
        return text
    }

    private static func tooLarge(_ path: String, _ largest: Int) -> SettingsError {
        SettingsError(file: path, message: "is larger than \(largest >> 10) KiB.")
    }

    /// Writes a new file for its owner alone, as a whole; one that is there already stays.
    static func make(_ path: String, _ text: String) throws(SettingsError) {
        let draft = "\(path).\(getpid())"
        unsafe unlink(draft)
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw SettingsError(file: path, message: Output.message(errno)) }
        defer { unsafe unlink(draft) }
        do throws(ExitStatus) {
            defer { close(descriptor) }
            try Output.write(Array(text.utf8), to: descriptor)
        } catch {
            throw SettingsError(file: path, message: "cannot be written.")
        }
        guard unsafe link(draft, path) == 0 || errno == EEXIST else {
            throw SettingsError(file: path, message: Output.message(errno))
        }
    }

    /// Writes a file as a whole: readers see the old one or the new one.
    ///
    /// `mode`: who may read it, whatever the umask says; `nil`: owner and group, as far as the umask lets them.
    static func replace(_ path: String, with bytes: [UInt8], mode: mode_t? = nil) throws(SettingsError) {
        let draft = "\(path).\(getpid())"
        let descriptor = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0o640)
        guard descriptor >= 0 else { throw SettingsError(file: path, message: Output.message(errno)) }
        if let mode { fchmod(descriptor, mode) }
        do throws(ExitStatus) {
            defer { close(descriptor) }
            try Output.write(bytes, to: descriptor)
        } catch {
            unsafe unlink(draft)
            throw SettingsError(file: path, message: "cannot be written.")
        }
        guard unsafe rename(draft, path) == 0 else {
            let code = errno
            unsafe unlink(draft)
            throw SettingsError(file: path, message: Output.message(code))
        }
    }

    /// A path as another file names it: relative ones begin where that file is.
    static func resolve(_ path: String, beside file: String) -> String {
        guard !path.hasPrefix("/"), let slash = file.lastIndex(of: "/") else { return path }
        return String(file[...slash]) + path
    }
}
