import Foundation

enum StatementSources {
    static func names(in service: String) throws -> Set<String> {
        let folder = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "../../../Sources/\(service)").standardized
        let files =
            FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)?.compactMap { $0 as? URL } ?? []
        var names: Set<String> = []
        for file in files where file.pathExtension == "swift" {
            let source = try String(contentsOf: file, encoding: .utf8)
            for match in source.matches(of: /Statement\(\s*"([a-z0-9_.]+)"/) { names.insert(String(match.1)) }
        }
        return names
    }
}
