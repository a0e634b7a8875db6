// SPDX-License-Identifier: Apache-2.0
import TestKit
import Testing

@testable import Daemon

struct ProcessMemoryTests {
    private func limit(_ files: [String: String]) throws -> Int? {
        let folder = try ScratchFolder()
        for (path, text) in files {
            var place = ""
            for part in path.split(separator: "/").dropLast() {
                place += (place.isEmpty ? "" : "/") + part
                try? folder.makeFolder(place)
            }
            try folder.write(text, to: String(path.dropFirst()))
        }
        return ProcessMemory.controlGroupLimit(root: folder.path)
    }

    @Test func `the least limit of the group and those above it counts`() throws {
        let files = [
            "/proc/self/cgroup": "0::/system.slice/pgweir.service\n",
            "/sys/fs/cgroup/system.slice/pgweir.service/memory.max": "max\n",
            "/sys/fs/cgroup/system.slice/memory.max": "1073741824\n",
            "/sys/fs/cgroup/memory.max": "4294967296\n",
        ]
        #expect(try limit(files) == 1 << 30)
    }

    @Test func `a container sees its own limit at the root`() throws {
        let files = ["/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/memory.max": "536870912\n"]
        #expect(try limit(files) == 512 << 20)
    }

    @Test func `version 1 has a hierarchy of memory, where a huge number stands for none`() throws {
        let groups = "12:cpu,cpuacct:/a\n7:memory:/docker/1\n0::/\n"
        let path = "/sys/fs/cgroup/memory/docker/1/memory.limit_in_bytes"
        #expect(try limit(["/proc/self/cgroup": groups, path: "268435456\n"]) == 256 << 20)
        #expect(try limit(["/proc/self/cgroup": groups, path: "9223372036854771712\n"]) == nil)
    }

    @Test(arguments: ["", "0::", "nonsense\n", "0::/a\n"])
    func `where there is no limit, or nothing that can be read, there is none`(_ groups: String) throws {
        #expect(try limit(["/proc/self/cgroup": groups]) == nil)
        #expect(try limit([:]) == nil)
    }

    @Test func `this process takes some memory`() {
        #expect(ProcessMemory.resident > 1 << 20)
    }
}
