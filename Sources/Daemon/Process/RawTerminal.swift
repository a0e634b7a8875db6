// SPDX-License-Identifier: Apache-2.0
import Glibc

/// The terminal as a screen with keys: its other screen, no echo, no waiting for lines; `termios(3)`.
public struct RawTerminal: ~Copyable {
    private var before = termios()

    /// Takes the terminal of standard input.
    public init() {
        _ = unsafe tcgetattr(0, &before)
        var raw = before
        raw.c_lflag &= ~tcflag_t(ICANON | ECHO)
        _ = unsafe tcsetattr(0, TCSANOW, &raw)
        try? Output.write(Array("\u{1B}[?1049h\u{1B}[?25l\u{1B}[2J".utf8))
    }

    /// Gives the terminal back as it was.
    public func restore() {
        try? Output.write(Array("\u{1B}[?25h\u{1B}[?1049l".utf8))
        var before = before
        _ = unsafe tcsetattr(0, TCSANOW, &before)
    }

    /// A key, if one is pressed within so many milliseconds.
    public func key(milliseconds: Int32) -> Character? {
        var waiting = pollfd(fd: 0, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&waiting, 1, milliseconds) > 0 else { return nil }
        var byte: UInt8 = 0
        guard unsafe read(0, &byte, 1) == 1 else { return "q" }
        return Character(Unicode.Scalar(byte))
    }

    /// Rows and columns; 24 and 100 where they are not known.
    public static var size: (rows: Int, columns: Int) {
        var size = winsize()
        let isKnown = unsafe ioctl(1, UInt(TIOCGWINSZ), &size) == 0 && size.ws_row > 0
        return isKnown ? (max(8, Int(size.ws_row)), max(40, Int(size.ws_col))) : (24, 100)
    }
}
