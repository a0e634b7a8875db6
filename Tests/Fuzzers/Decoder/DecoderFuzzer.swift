// SPDX-License-Identifier: Apache-2.0
import Domain
import Packets

/// The first byte chooses the link type, the rest is a frame; a decoder is kept so that fragments meet.
nonisolated(unsafe) private var decoder = PacketDecoder(ports: PortSet([]), hash: .standard)
nonisolated(unsafe) private var clock: Int64 = 0

/// Decodes one frame.
@c(LLVMFuzzerTestOneInput)
public func fuzz(_ data: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    guard let data = unsafe data, count > 1 else { return 0 }
    let bytes = unsafe Array(UnsafeBufferPointer(start: data, count: count))
    let links = LinkType.allCases
    let frame = Array(bytes.dropFirst())
    var segment = Segment()
    unsafe clock += 1
    let time = unsafe Timestamp(nanoseconds: clock)
    let length = frame.count + Int(bytes[0] >> 4)
    let link = links[Int(bytes[0]) % links.count]
    let reason = unsafe decoder.decode(frame.rawSpan, link: link, length: length, at: time, into: &segment)
    guard reason == nil else { return 0 }
    let room = segment.isFromFragments ? unsafe decoder.reassembled.byteCount : frame.count
    precondition(segment.captured >= 0 && segment.captured <= segment.announced)
    precondition(segment.payloadOffset >= 0 && segment.payloadOffset + Int(segment.captured) <= room)
    return 0
}

#if UNGUIDED
import Unguided

@main struct Main {
    static func main() { unsafe runUnguided { unsafe fuzz($0, $1) } }
}
#endif
