// SPDX-License-Identifier: Apache-2.0
public import Mirrors

/// Runs the commands of a plan.
public enum MirrorRunner {
    /// What the command printed.
    ///
    /// - Throws: the exit code for the whole program, after saying what failed.
    public static func run(_ command: MirrorCommand) throws -> String {
        let result = Subprocess.run(command.words, input: command.input ?? "")
        guard result.status == 0 || command.mayFail else {
            let reason =
                String(decoding: result.errors, as: UTF8.self).split(separator: "\n").first ?? "no reason given"
            Output.complain(
                "`\(command.words.joined(separator: " "))` failed: \(reason). It needs root (CAP_NET_ADMIN), the program, "
                    + "and a kernel that can do it; `pgweir mirror plan` shows all commands."
            )
            throw result.status == 127 ? Sysexit.unavailable : ExitStatus(1)
        }
        return String(decoding: result.output, as: UTF8.self)
    }
}
