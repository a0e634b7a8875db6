// SPDX-License-Identifier: Apache-2.0

/// The link-layer header types that can be read (numbers: tcpdump.org, "Link-layer header types").
public enum LinkType: UInt16, Sendable, BitwiseCopyable, CaseIterable {
    /// BSD loopback: 4 bytes of address family in the byte order of the capturing host.
    case null = 0
    case ethernet = 1
    /// Raw IP, as some systems number it.
    case rawBSD = 12
    /// Raw IP, as OpenBSD numbers it.
    case rawOpenBSD = 14
    case raw = 101
    /// OpenBSD loopback: as `null`, in network byte order.
    case loop = 108
    /// Linux cooked capture, `-i any` of older tools.
    case linuxCooked = 113
    case ipv4 = 228
    case ipv6 = 229
    /// Linux netfilter log messages.
    case nflog = 239
    /// Linux cooked capture v2, `-i any` of libpcap 1.10.
    case linuxCooked2 = 276
}
