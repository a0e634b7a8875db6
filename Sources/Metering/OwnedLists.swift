// SPDX-License-Identifier: Apache-2.0

/// Which owner holds which entries of a table, and how much room they take: a list for each owner, oldest first.
///
/// Handles and owners are small numbers from 0, which other tables give out.
struct OwnedLists {
    private struct Link: BitwiseCopyable {
        var previous: Int32 = -1
        var next: Int32 = -1
        var owner: Int32 = -1
        var weight: Int32 = 0
    }

    private struct List: BitwiseCopyable {
        var first: Int32 = -1
        var last: Int32 = -1
        var weight = 0
    }

    private var links: [Link] = []
    private var lists: [List] = []
    /// What all entries weigh together.
    private(set) var weight = 0
    /// How many owners hold something.
    private(set) var owners = 0

    /// Who holds an entry; `nil`: it is in no list.
    func owner(of handle: Int32) -> Int32? {
        guard links.indices.contains(Int(handle)), links[Int(handle)].owner >= 0 else { return nil }
        return links[Int(handle)].owner
    }

    /// What an owner's entries weigh together.
    func weight(of owner: Int32) -> Int {
        lists.indices.contains(Int(owner)) ? lists[Int(owner)].weight : 0
    }

    /// The entry of an owner that was added, or moved back, the longest ago.
    func first(of owner: Int32) -> Int32? {
        guard lists.indices.contains(Int(owner)), lists[Int(owner)].first >= 0 else { return nil }
        return lists[Int(owner)].first
    }

    /// Adds an entry, which must be in no list, behind the others of its owner.
    mutating func append(_ handle: Int32, to owner: Int32, weight: Int = 1) {
        guard handle >= 0, owner >= 0, self.owner(of: handle) == nil else { return }
        while links.count <= Int(handle) { links.append(Link()) }
        while lists.count <= Int(owner) { lists.append(List()) }
        let last = lists[Int(owner)].last
        links[Int(handle)] = Link(previous: last, next: -1, owner: owner, weight: Int32(clamping: max(1, weight)))
        if last >= 0 { links[Int(last)].next = handle } else { owners += 1 }
        if lists[Int(owner)].first < 0 { lists[Int(owner)].first = handle }
        lists[Int(owner)].last = handle
        lists[Int(owner)].weight += Int(links[Int(handle)].weight)
        self.weight += Int(links[Int(handle)].weight)
    }

    /// Takes an entry out of its list; nothing, if it is in none.
    mutating func remove(_ handle: Int32) {
        guard let owner = owner(of: handle) else { return }
        let link = links[Int(handle)]
        if link.previous >= 0 {
            links[Int(link.previous)].next = link.next
        } else {
            lists[Int(owner)].first = link.next
        }
        if link.next >= 0 {
            links[Int(link.next)].previous = link.previous
        } else {
            lists[Int(owner)].last = link.previous
        }
        lists[Int(owner)].weight -= Int(link.weight)
        weight -= Int(link.weight)
        if lists[Int(owner)].first < 0 { owners -= 1 }
        links[Int(handle)] = Link()
    }

    /// An owner's oldest entry becomes the newest.
    mutating func turn(_ owner: Int32) {
        guard let first = first(of: owner) else { return }
        let weight = Int(links[Int(first)].weight)
        remove(first)
        append(first, to: owner, weight: weight)
    }

    /// All that one owner holds goes to another; takes time for each entry.
    mutating func move(from owner: Int32, to other: Int32) {
        guard owner != other else { return }
        while let handle = first(of: owner) {
            let weight = Int(links[Int(handle)].weight)
            remove(handle)
            append(handle, to: other, weight: weight)
        }
    }

    /// What an owner may hold so that all of them together hold no more than `limit`: nobody who holds less has to give
    /// anything away for those who hold more.
    func share(of limit: Int) -> Int {
        guard weight > limit else { return limit }
        var (left, count) = (limit, owners)
        for held in lists.lazy.map(\.weight).filter({ $0 > 0 }).sorted() {
            if held * count >= left { return left / max(1, count) }
            left -= held
            count -= 1
        }
        return left
    }

    /// Owners that hold more than `share`.
    func owners(above share: Int) -> [Int32] {
        lists.indices.filter { lists[$0].weight > share }.map { Int32($0) }
    }

    /// Who holds most; `nil`: nobody holds anything.
    var largest: Int32? {
        guard let place = lists.indices.max(by: { lists[$0].weight < lists[$1].weight }), lists[place].weight > 0
        else { return nil }
        return Int32(place)
    }
}
