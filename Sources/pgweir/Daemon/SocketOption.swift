// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Glibc

/// Where the daemon's local socket is: the same for the daemon and the commands that ask it.
struct SocketOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's local socket (default: /run/pgweir/pgweir.sock, or $XDG_RUNTIME_DIR/pgweir.sock).",
            valueName: "path"
        )
    )
    var socket: String?

    static let folder = "/run/pgweir"

    /// The path asked for, else the usual one of this user.
    var path: String {
        if let socket { return socket }
        if unsafe access(Self.folder, R_OK | X_OK) == 0 || geteuid() == 0 { return Self.folder + "/pgweir.sock" }
        if let runtime = Output.environment("XDG_RUNTIME_DIR"), runtime.hasPrefix("/") {
            return runtime + "/pgweir.sock"
        }
        return Self.folder + "/pgweir.sock"
    }
}
