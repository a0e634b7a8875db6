// SPDX-License-Identifier: Apache-2.0
import CZlib
import Glibc

/// The bytes of a capture: a file, a pipe or standard input, inflated on the way where they are gzip (RFC 1952).
@safe struct ByteSource: ~Copyable {
    let path: String
    private let descriptor: Int32
    private let ownsDescriptor: Bool
    private var inflater: UnsafeMutablePointer<z_stream>?
    private var compressed: UnsafeMutableRawBufferPointer?
    /// Bytes read before their format was known.
    private var peeked: [UInt8] = []
    private var peekedOffset = 0
    private(set) var isDamaged = false
    /// Bytes read from the descriptor, for the progress bar.
    private(set) var consumed: UInt64 = 0
    /// The size of a regular file; `nil` for pipes.
    let size: UInt64?

    /// Opens `path`; `-` is standard input.
    static func open(path: String) throws(CaptureError) -> ByteSource {
        let isStandardInput = path == "-"
        let descriptor = isStandardInput ? 0 : unsafe Glibc.open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw .cannotOpen(path: path, errno: errno) }
        var status = stat()
        let hasStatus = unsafe fstat(descriptor, &status) == 0
        if hasStatus, status.st_mode & S_IFMT == S_IFDIR {
            if !isStandardInput { Glibc.close(descriptor) }
            throw .cannotOpen(path: path, errno: EISDIR)
        }
        let isRegular = hasStatus && status.st_mode & S_IFMT == S_IFREG
        var source = ByteSource(
            path: isStandardInput ? "standard input" : path,
            descriptor: descriptor,
            ownsDescriptor: !isStandardInput,
            size: isRegular ? UInt64(max(0, status.st_size)) : nil
        )
        try source.peek()
        return source
    }

    private init(path: String, descriptor: Int32, ownsDescriptor: Bool, size: UInt64?) {
        self.path = path
        self.descriptor = descriptor
        self.ownsDescriptor = ownsDescriptor
        self.size = size
    }

    deinit {
        if let inflater = unsafe inflater {
            unsafe inflateEnd(inflater)
            unsafe inflater.deallocate()
        }
        unsafe compressed?.deallocate()
        if ownsDescriptor { Glibc.close(descriptor) }
    }

    /// Reads at most `buffer.count` bytes; 0 at the end.
    mutating func read(into buffer: UnsafeMutableRawBufferPointer) throws(CaptureError) -> Int {
        guard let inflater = unsafe inflater, let compressed = unsafe compressed else {
            return try unsafe readPlain(into: buffer)
        }
        unsafe inflater.pointee.next_out = buffer.baseAddress?.assumingMemoryBound(to: UInt8.self)
        unsafe inflater.pointee.avail_out = UInt32(clamping: buffer.count)
        let wanted = unsafe inflater.pointee.avail_out
        while unsafe inflater.pointee.avail_out == wanted, !isDamaged {
            if unsafe inflater.pointee.avail_in == 0 {
                let count = try unsafe readPlain(into: compressed)
                if count == 0 { break }
                unsafe inflater.pointee.next_in = compressed.baseAddress?.assumingMemoryBound(to: UInt8.self)
                unsafe inflater.pointee.avail_in = UInt32(count)
            }
            let result = unsafe inflate(inflater, Z_NO_FLUSH)
            if result == Z_STREAM_END {
                // Concatenated members are one file (RFC 1952 §2.2).
                unsafe inflateReset(inflater)
                continue
            }
            if result != Z_OK && result != Z_BUF_ERROR { isDamaged = true }
        }
        return unsafe Int(wanted - inflater.pointee.avail_out)
    }

    private mutating func readPlain(into buffer: UnsafeMutableRawBufferPointer) throws(CaptureError) -> Int {
        if peekedOffset < peeked.count {
            let count = min(buffer.count, peeked.count - peekedOffset)
            for index in 0..<count { unsafe buffer[index] = peeked[peekedOffset + index] }
            peekedOffset += count
            return count
        }
        while true {
            let count = unsafe Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            if count >= 0 {
                consumed += UInt64(count)
                return count
            }
            if errno != EINTR { throw .cannotRead(path: path, errno: errno) }
        }
    }

    /// Looks at the first two bytes to tell gzip.
    private mutating func peek() throws(CaptureError) {
        var first = [UInt8](repeating: 0, count: 2)
        var count = 0
        while count < 2 {
            let space = first.count - count
            let result: Int = unsafe first.withUnsafeMutableBytes { buffer in
                guard let base = buffer.baseAddress else { return 0 }
                return unsafe Glibc.read(descriptor, base + count, space)
            }
            if result == 0 { break }
            if result < 0 {
                if errno == EINTR { continue }
                throw .cannotRead(path: path, errno: errno)
            }
            count += result
        }
        consumed = UInt64(count)
        peeked = Array(first.prefix(count))
        guard peeked == [0x1F, 0x8B] else { return }
        let stream = UnsafeMutablePointer<z_stream>.allocate(capacity: 1)
        unsafe stream.initialize(to: z_stream())
        // 16: gzip framing only; 15: the largest window.
        guard unsafe inflateInit2_(stream, 16 + 15, ZLIB_VERSION, Int32(MemoryLayout<z_stream>.size)) == Z_OK else {
            unsafe stream.deallocate()
            throw .badCompression(path: path)
        }
        unsafe inflater = stream
        unsafe compressed = .allocate(byteCount: 1 << 18, alignment: 16)
    }
}
