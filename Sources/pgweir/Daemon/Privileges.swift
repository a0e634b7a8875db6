// SPDX-License-Identifier: Apache-2.0
import Glibc

/// Gives up root's rights once what needs them is open.
enum Privileges {
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
