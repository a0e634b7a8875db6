// SPDX-License-Identifier: Apache-2.0
import Foundation

/// Runs a fuzz target on random changes of the inputs that coverage-guided runs collected.
///
/// Without the instrumentation that guides libFuzzer a target runs several times as often in the same time: guided runs find
/// inputs of every kind, these try very many neighbours of each. Arguments: how often, the seed of the random numbers, and
/// folders of inputs. An input that traps is left in the file `crash-input` of the working directory, written before it is
/// run.
public func runUnguided(_ target: (UnsafePointer<UInt8>?, Int) -> CInt) {
    let arguments = CommandLine.arguments.dropFirst()
    guard arguments.count >= 3, let count = arguments.first.flatMap({ UInt64($0) }),
        let seed = arguments.dropFirst().first.flatMap({ UInt64($0) })
    else {
        stop("usage: FUZZER COUNT SEED FOLDER…\n", 64)
    }
    let corpus = arguments.dropFirst(2).flatMap { folder in
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.sorted().compactMap { FileManager.default.contents(atPath: folder + "/" + $0).map { [UInt8]($0) } }
    }.filter { !$0.isEmpty && $0.count <= Changes.longest }
    guard !corpus.isEmpty else {
        stop("no inputs in \(arguments.dropFirst(2).joined(separator: ", "))\n", 66)
    }
    // Mapped, so that the input is in the file whatever ends the process.
    let file = unsafe open("crash-input", O_RDWR | O_CREAT | O_TRUNC, 0o600)
    let size = Changes.longest + 8
    guard file >= 0, ftruncate(file, off_t(size)) == 0,
        let shown = unsafe mmap(nil, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0), unsafe shown != MAP_FAILED
    else {
        stop("crash-input: cannot be written\n", 73)
    }
    var changes = Changes(seed: seed)
    for _ in 0..<count {
        let input = changes.input(from: corpus)
        unsafe input.withUnsafeBufferPointer { bytes in
            unsafe shown.storeBytes(of: UInt64(bytes.count), as: UInt64.self)
            if let base = bytes.baseAddress { unsafe (shown + 8).copyMemory(from: base, byteCount: bytes.count) }
            _ = unsafe target(bytes.baseAddress, bytes.count)
        }
    }
    unsafe unlink("crash-input")
    print("stat::number_of_executed_units: \(count)")
}

private func stop(_ why: String, _ code: CInt) -> Never {
    FileHandle.standardError.write(Data(why.utf8))
    exit(code)
}

/// Random changes of known inputs: bytes set, put in and taken out, parts repeated, and two inputs joined.
private struct Changes {
    /// The longest input, bytes.
    static let longest = 192
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    /// SplitMix64 (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
    private mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    private mutating func below(_ bound: Int) -> Int { bound > 0 ? Int(next() % UInt64(bound)) : 0 }

    mutating func input(from corpus: [[UInt8]]) -> [UInt8] {
        var bytes = corpus[below(corpus.count)]
        if below(3) == 0 {
            let other = corpus[below(corpus.count)]
            bytes = Array(bytes[..<below(bytes.count + 1)]) + other[below(other.count)...]
        }
        for _ in 0...below(6) { change(&bytes, corpus) }
        return Array(bytes.prefix(Self.longest))
    }

    private mutating func change(_ bytes: inout [UInt8], _ corpus: [[UInt8]]) {
        let place = below(bytes.count + 1)
        switch below(7) {
        case 0: bytes.insert(UInt8(truncatingIfNeeded: next()), at: place)
        case 1: bytes.insert(contentsOf: part(of: corpus[below(corpus.count)]), at: place)
        case 2: bytes.insert(contentsOf: part(of: bytes), at: place)
        case 3: bytes.insert(0, at: place)
        case 4 where place < bytes.count: bytes[place] = UInt8(truncatingIfNeeded: next())
        case 5 where place < bytes.count: bytes[place] ^= 1 << UInt8(below(8))
        case 6 where place < bytes.count:
            bytes.removeSubrange(place..<min(bytes.count, place + 1 + below(8)))
        default: break
        }
    }

    private mutating func part(of bytes: [UInt8]) -> [UInt8] {
        guard !bytes.isEmpty else { return [] }
        let start = below(bytes.count)
        return Array(bytes[start..<min(bytes.count, start + 1 + below(12))])
    }
}
