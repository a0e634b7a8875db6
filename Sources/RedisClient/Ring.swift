// SPDX-License-Identifier: Apache-2.0

/// A first-in, first-out queue that gives back no memory while it is in use.
struct Ring<Element> {
    private var storage: [Element?] = []
    private var head = 0
    private(set) var count = 0

    var isEmpty: Bool { count == 0 }
    var first: Element? { count > 0 ? storage[head] : nil }

    mutating func append(_ element: Element) {
        if count == storage.count { grow() }
        // The size is a power of two.
        storage[(head + count) & (storage.count - 1)] = element
        count += 1
    }

    mutating func popFirst() -> Element? {
        guard count > 0, let element = storage[head].take() else { return nil }
        head = (head + 1) & (storage.count - 1)
        count -= 1
        return element
    }

    /// Takes out all.
    mutating func removeAll() -> [Element] {
        var all: [Element] = []
        all.reserveCapacity(count)
        while let element = popFirst() { all.append(element) }
        return all
    }

    private mutating func grow() {
        var larger: [Element?] = []
        let size = max(16, storage.count * 2)
        larger.reserveCapacity(size)
        for offset in 0..<count { larger.append(storage[(head + offset) & (storage.count - 1)].take()) }
        while larger.count < size { larger.append(nil) }
        (storage, head) = (larger, 0)
    }
}
