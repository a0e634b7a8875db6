// SPDX-License-Identifier: Apache-2.0
internal import CVector

extension SlotTable {
    /// Brings the record of `handle` near, so that it is there when it is needed; handles of other tables do no harm.
    @inline(__always)
    public func prefetch(_ handle: Int32) {
        guard contains(handle) else { return }
        let address = unsafe UnsafeRawPointer(pointer(place(of: handle)))
        for offset in stride(from: 0, to: MemoryLayout<Element>.size, by: 64) {
            // Only a hint: nothing is read.
            unsafe pgweir_prefetch(address + offset)
        }
    }
}

extension Array where Element: BitwiseCopyable {
    /// Brings the element at `index` near; others do no harm.
    @inline(__always)
    public func prefetch(_ index: Int) {
        unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, index >= 0, index < count else { return }
            unsafe pgweir_prefetch(base + index &* MemoryLayout<Element>.stride)
        }
    }
}

extension RawSpan {
    /// Brings the two cache lines at `offset` near; offsets outside do no harm.
    @inline(__always)
    public func prefetch(at offset: Int) {
        unsafe withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress, offset >= 0, offset < bytes.count else { return }
            // Only a hint: nothing is read.
            unsafe pgweir_prefetch(base + offset)
            unsafe pgweir_prefetch(base + offset + 64)
        }
    }
}
