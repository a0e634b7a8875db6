// SPDX-License-Identifier: Apache-2.0
import Metering
import Pipeline
import PostgresWire
import ServiceLifecycle
import Settings

/// Prints the report once packets are no longer looked at, and says what was lost; its life before is nothing but waiting.
final class FinalReport: Service {
    private let capture: CaptureService
    private let form: ReportForm?
    private let file: String?
    private let runner = Runner()
    private let isWritten = OneTime()
    private let failures = FailureBox()
    private let print: @Sendable ([UInt8]) throws(ExitStatus) -> Void

    /// - Parameters:
    ///   - form: how the report looks; `nil`: none is printed.
    ///   - file: where it is written, too.
    ///   - print: writes it to standard output.
    init(
        _ capture: CaptureService,
        form: ReportForm?,
        file: String?,
        print: @escaping @Sendable ([UInt8]) throws(ExitStatus) -> Void = { bytes throws(ExitStatus) in
            try Output.write(bytes)
        }
    ) {
        (self.capture, self.form, self.file, self.print) = (capture, form, file, print)
    }

    /// How the program is to end because the report could not be written.
    var failure: ExitStatus? { failures.code }

    func run() async {
        // Standard output may be a pipe that somebody reads slowly.
        await runner.run("no thread for the report: it is written all the same.") { [self] in
            while !runner.isFinished { runner.rest(3600) }
            write()
        }
        write()
    }

    private func write() {
        guard !isWritten.raise(), capture.failure.code == nil, let outcome = capture.outcome else { return }
        do throws(ExitStatus) {
            if let form {
                let bytes = form.render(outcome.result)
                try print(bytes)
                if let file { try keep(bytes, in: file) }
            }
        } catch {
            failures.code = error
            return
        }
        say(outcome.result)
        warn(outcome.result)
    }

    private func keep(_ bytes: [UInt8], in path: String) throws(ExitStatus) {
        do throws(SettingsError) {
            try TextFile.replace(path, with: bytes)
        } catch {
            Log.error("report.not_written", "the report is not written: \(error.description)")
            throw Sysexit.ioError
        }
    }

    /// What was drained, and where it is.
    private func say(_ result: ReplayResult) {
        let totals = result.totals
        Log.info(
            "daemon.stopped",
            "stopped: \(result.capture.packets) packets, \(totals.started) statements of \(result.sessions.total) sessions "
                + "are in the report; \(totals.uncertain) statements were still running or in doubt."
        )
    }

    private func warn(_ result: ReplayResult) {
        if result.capture.relayDroppedBytes > 0 {
            Log.warning(
                "relay.dropped",
                "the relay forwarded \(result.capture.relayDroppedBytes) bytes without a copy; see --ring."
            )
        }
        guard result.capture.kernelDropped > 0 else { return }
        Log.warning(
            "capture.dropped",
            "the kernel dropped \(result.capture.kernelDropped) packets; give it a larger --buffer."
        )
    }
}
