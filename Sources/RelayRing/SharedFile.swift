// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc
import Platform
import Synchronization

/// Why shared memory is not to be had.
public enum RingError: Error, Equatable, CustomStringConvertible {
    /// A call of the system failed.
    case system(what: String, code: Int32)
    /// What the other process handed over is no ring of ours.
    case foreign(reason: String)

    /// What happened, and what to do.
    public var description: String {
        switch self {
        case .system(let what, let code):
            return "\(what): \(SystemError.text(code))"
        case .foreign(let reason):
            return "the relay's ring cannot be read: \(reason); are relay and daemon of the same version?"
        }
    }
}

/// A memory file (memfd_create(2)) and its mapping; unmapped and closed at its end.
///
/// All raw access to shared memory is here and in the two ends of the ring.
@safe struct SharedFile: ~Copyable, @unchecked Sendable {
    let descriptor: Int32
    /// Mapped bytes at `base`.
    let length: Int
    let base: UnsafeMutableRawPointer

    private init(descriptor: Int32, base: UnsafeMutableRawPointer, length: Int) {
        (self.descriptor, self.length) = (descriptor, length)
        unsafe self.base = unsafe base
    }

    deinit {
        _ = unsafe munmap(base, length)
        close(descriptor)
    }

    /// A new file of `size` bytes whose size nobody can change; what lies behind the first page is mapped twice.
    static func create(size: Int) throws(RingError) -> SharedFile {
        let descriptor = unsafe memfd_create("pgweir-ring", linux_memory_file_flags)
        guard descriptor >= 0 else { throw .system(what: "memfd_create", code: errno) }
        guard ftruncate(descriptor, off_t(size)) == 0 else {
            let code = errno
            close(descriptor)
            throw .system(what: "ftruncate", code: code)
        }
        let file = try map(descriptor, size: size, isWritable: true)
        // Or the other side could cut the file, and the next access here would be our end.
        guard fcntl(descriptor, linux_add_seals, linux_seals) == 0 else {
            throw .system(what: "F_ADD_SEALS", code: errno)
        }
        return file
    }

    /// Nobody who maps the file from now on can write to it, where the kernel knows that (Linux 5.1).
    func forbidFurtherWriting() { _ = fcntl(descriptor, linux_add_seals, linux_seal_future_write) }

    /// Maps a file that another process made; takes the descriptor.
    static func adopt(_ descriptor: Int32, isWritable: Bool) throws(RingError) -> SharedFile {
        var status = stat()
        let isKnown = unsafe fstat(descriptor, &status) == 0
        let size = Int(status.st_size)
        let seals = fcntl(descriptor, linux_add_seals + 1)
        guard isKnown, size >= RingLayout.page, size <= 1 << 31, size % RingLayout.page == 0,
            seals >= 0, seals & linux_seals == linux_seals
        else {
            close(descriptor)
            throw .foreign(reason: "its memory has not the right size, or is not sealed")
        }
        return try map(descriptor, size: size, isWritable: isWritable)
    }

    private static func map(_ descriptor: Int32, size: Int, isWritable: Bool) throws(RingError) -> SharedFile {
        let rest = size - RingLayout.page
        let length = size + rest
        let protection = isWritable ? PROT_READ | PROT_WRITE : PROT_READ
        let base = unsafe mmap(nil, length, PROT_NONE, linux_mapping_flags, -1, 0)
        guard let base = unsafe base, unsafe base != MAP_FAILED else {
            let code = errno
            close(descriptor)
            throw .system(what: "mmap", code: code)
        }
        let file = unsafe SharedFile(descriptor: descriptor, base: base, length: length)
        // Both lie inside of what was just reserved.
        let first = unsafe mmap(base, size, protection, MAP_SHARED | MAP_FIXED, descriptor, 0)
        let again =
            unsafe rest == 0
            ? first
            : mmap(base + size, rest, protection, MAP_SHARED | MAP_FIXED, descriptor, off_t(RingLayout.page))
        guard unsafe first != MAP_FAILED, unsafe again != MAP_FAILED else {
            throw .system(what: "mmap", code: errno)
        }
        return file
    }

    /// A word of the first page that both processes touch.
    @inline(__always)
    func word(_ offset: Int) -> SharedWord {
        unsafe SharedWord(
            pointer: UnsafePointer((base + offset).assumingMemoryBound(to: Atomic<UInt64>.self))
        )
    }
}

/// An atomic word in shared memory; valid as long as its ``SharedFile``.
@safe struct SharedWord: BitwiseCopyable {
    private let pointer: UnsafePointer<Atomic<UInt64>>

    init(pointer: UnsafePointer<Atomic<UInt64>>) { unsafe self.pointer = unsafe pointer }

    @inline(__always)
    func load() -> UInt64 { unsafe pointer.pointee.load(ordering: .acquiring) }

    @inline(__always)
    func store(_ value: UInt64) { unsafe pointer.pointee.store(value, ordering: .releasing) }
}
