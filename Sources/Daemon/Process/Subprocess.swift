// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Runs a program and waits for it.
///
/// Not `Foundation.Process`: that opens a socket on the loopback interface first, and hangs where that is down, as in a
/// fresh network namespace.
public enum Subprocess {
    /// What came of a program.
    public struct Result {
        /// The exit status; 127 if the program is not there.
        public var status: Int32
        /// What it wrote to standard output.
        public var output: [UInt8]
        /// What it wrote to standard error.
        public var errors: [UInt8]
    }

    /// Runs `words[0]`, found in PATH, with `input` to read.
    public static func run(_ words: [String], input: String) -> Result {
        // Everything in files without a name: no pipe can fill while we read another.
        let files = [file(Array(input.utf8)), file([]), file([])].compactMap(\.self)
        defer { for descriptor in files { close(descriptor) } }
        guard files.count == 3 else {
            return Result(status: 126, output: [], errors: Array("no temporary file".utf8))
        }
        let (output, errors) = (files[1], files[2])
        var actions = unsafe posix_spawn_file_actions_t()
        unsafe posix_spawn_file_actions_init(&actions)
        defer { unsafe posix_spawn_file_actions_destroy(&actions) }
        for (number, descriptor) in files.enumerated() {
            unsafe posix_spawn_file_actions_adddup2(&actions, descriptor, Int32(number))
        }
        var arguments = unsafe words.map { unsafe strdup($0) }
        unsafe arguments.append(nil)
        defer { for index in unsafe arguments.indices { unsafe free(arguments[index]) } }
        var child = pid_t()
        let code = unsafe posix_spawnp(&child, words.first ?? "", &actions, nil, &arguments, environ)
        guard code == 0 else {
            return Result(status: code == ENOENT ? 127 : 126, output: [], errors: Array(Output.message(code).utf8))
        }
        var status: Int32 = 0
        while unsafe waitpid(child, &status, 0) < 0, errno == EINTR {}
        // wait(2): the low seven bits tell a signal, the next eight the exit status.
        let exit = status & 0x7F == 0 ? status >> 8 & 0xFF : 128 + status & 0x7F
        return Result(status: exit, output: contents(output), errors: contents(errors))
    }

    /// A file without a name that holds `bytes`, to be read from its start.
    private static func file(_ bytes: [UInt8]) -> Int32? {
        var path = Array("/tmp/pgweir-XXXXXX".utf8CString)
        // The child gets duplicates, which lose the flag.
        let descriptor = unsafe mkstemp(&path)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        unsafe unlink(path)
        guard (try? Output.write(bytes, to: descriptor)) != nil, lseek(descriptor, 0, SEEK_SET) == 0 else {
            close(descriptor)
            return nil
        }
        return descriptor
    }

    private static func contents(_ descriptor: Int32) -> [UInt8] {
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { return [] }
        var result: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = unsafe read(descriptor, &buffer, buffer.count)
            guard count > 0 else { return result }
            result += buffer[..<count]
        }
    }
}
