// SPDX-License-Identifier: Apache-2.0
import ArgumentParser
import Daemon

/// Where the daemon's local socket is: the same for the daemon and the commands that ask it.
struct SocketOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The daemon's local socket (default: /run/pgweir/pgweir.sock, or $XDG_RUNTIME_DIR/pgweir.sock).",
            valueName: "path"
        )
    )
    var socket: String?

    var place: SocketPlace { SocketPlace(socket) }
    var path: String { place.path }
}
