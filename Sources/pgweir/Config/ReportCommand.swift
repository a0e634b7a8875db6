// SPDX-License-Identifier: Apache-2.0
import ArgumentParser

struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "report", abstract: "x")
}
