// SPDX-License-Identifier: Apache-2.0
import CLinux
import Glibc

/// Gives up root's rights once what needs them is open.
public enum Privileges {
    /// Leaves this process no capability and little memory: it only computes on text that strangers sent.
    public static func keepNone() {
        var memory = rlimit(rlim_cur: 2 << 30, rlim_max: 2 << 30)
        // RLIMIT_AS; a unit may forbid the call, and then has a limit of its own.
        _ = unsafe setrlimit(__rlimit_resource_t(9), &memory)
        _ = linux_drop_rights()
    }

    /// Becomes `user`, for good and in all threads; returns why not.
    static func become(_ user: String) -> String? {
        guard let entry = unsafe getpwnam(user) else {
            return "there is no user '\(user)': name one with --user that exists (`getent passwd`)."
        }
        let (uid, gid) = unsafe (entry.pointee.pw_uid, entry.pointee.pw_gid)
        guard setgroups(0, nil) == 0, setgid(gid) == 0, setuid(uid) == 0 else {
            return "cannot become '\(user)': \(Output.message(errno)). Only root can; without it leave --user out."
        }
        guard uid == 0 || setuid(0) != 0 else { return "root's rights could be taken back after becoming '\(user)'." }
        return nil
    }
}
