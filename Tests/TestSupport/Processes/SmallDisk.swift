// A disk that can be full: a small tmpfs. A limit on the size of files (`ulimit -f`) would need no rights, but is
// another error (EFBIG) than a full disk (ENOSPC).
package import Foundation
internal import Glibc

package struct SmallDisk: Sendable {
    /// The mount point, writable for all users.
    package let folder: URL

    private var ballast: String { folder.appending(path: "ballast").path }

    /// Leaves `bytes` free.
    package func fill(leaving bytes: Int = 0) throws {
        let descriptor = open(ballast, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Failure(description: "open: \(errno)") }
        defer { close(descriptor) }
        let page = [UInt8](repeating: 0, count: 4096)
        while write(descriptor, page, page.count) == page.count {}
        guard errno == ENOSPC else { throw Failure(description: "filling the disk ended with \(errno)") }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size >= 0, ftruncate(descriptor, max(0, size - bytes)) == 0 else {
            throw Failure(description: "truncate: \(errno)")
        }
    }

    package func makeRoom() throws {
        try FileManager.default.removeItem(atPath: ballast)
    }

    struct Failure: Error, CustomStringConvertible {
        let description: String
    }
}

/// Runs `body` with a file system of `megabytes`, which is removed afterwards. Mounting needs root, or a `sudo` without
/// a password. Without either the test fails and says so.
package func withSmallDisk<T>(megabytes: Int, _ body: (SmallDisk) async throws -> T) async throws -> T {
    let parent = FileManager.default.temporaryDirectory.appending(path: "tessera-disk-\(UUID().uuidString)")
    let disk = parent.appending(path: "disk")
    try FileManager.default.createDirectory(at: disk, withIntermediateDirectories: true)
    defer { try? FileManager.default.removeItem(at: parent) }
    do {
        try await asRoot(
            ["mount", "-t", "tmpfs", "-o", "size=\(megabytes)m,mode=1777", "tmpfs", disk.path],
            in: parent
        )
    } catch {
        throw SmallDisk.Failure(
            description: "this test mounts a small tmpfs, and needs to be root or to have `sudo -n` for it: \(error)"
        )
    }
    do {
        let value = try await body(SmallDisk(folder: disk))
        try await asRoot(["umount", "--lazy", disk.path], in: parent)
        return value
    } catch {
        try? await asRoot(["umount", "--lazy", disk.path], in: parent)
        throw error
    }
}

private func asRoot(_ command: [String], in folder: URL) async throws {
    let arguments = geteuid() == 0 ? command : ["sudo", "-n"] + command
    try await ServerProcess(
        executable: URL(filePath: "/usr/bin/env"),
        arguments: arguments,
        environment: [:],
        folder: folder
    ).waitForSuccess()
}
