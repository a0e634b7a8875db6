// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// What a crash may tell: nothing of what was in memory, which is queries and passwords of others.
public enum CrashPrivacy {
    /// Makes sure that neither Swift's own crash report, which prints memory around registers, nor a core is written.
    ///
    /// Swift reads how to report before `main`, so the program begins anew when it was not told; `SWIFT_BACKTRACE` in the
    /// environment says otherwise, for whoever looks for a fault.
    public static func begin() {
        var none = rlimit(rlim_cur: 0, rlim_max: 0)
        _ = unsafe setrlimit(__rlimit_resource_t(4), &none)
        linux_forbid_dump()
        guard Output.environment("SWIFT_BACKTRACE") == nil else { return }
        unsafe setenv("SWIFT_BACKTRACE", "enable=no", 1)
        var words: [UnsafeMutablePointer<CChar>?] = unsafe CommandLine.arguments.map { unsafe strdup($0) }
        unsafe words.append(nil)
        // By its own name, so that it keeps it; where that cannot be, it goes on as it is.
        guard let path = unsafe realpath("/proc/self/exe", nil) else { return }
        _ = unsafe execv(path, &words)
    }
}
