import Foundation
import Testing

@Suite("The target graph")
struct GraphTests {
    @Test("Package.swift and docs/architecture.md name the same targets with the same imports, both ways")
    func packageAndDocumentAgree() async throws {
        let declared = try await TargetGraph.declared()
        let documented = TargetGraph(table: try Repository.text("docs/architecture.md"))
        #expect(declared.mayImport.count >= 15)
        #expect(Set(declared.mayImport.keys) == Set(documented.mayImport.keys))
        for (target, imports) in declared.mayImport {
            #expect(imports == documented.mayImport[target], "\(target)")
        }
    }

    @Test("every import of a project target or heavy package is allowed by the table")
    func importsAreAllowed() async throws {
        let folders = try await TargetGraph.declared().folders
        let documented = TargetGraph(table: try Repository.text("docs/architecture.md"))
        let watched = Set(documented.mayImport.keys).union(TargetGraph.heavy)
        var seen = 0
        for (target, allowed) in documented.mayImport {
            let folder = try #require(folders[target], "\(target) names no path in Package.swift")
            for file in Repository.swiftFiles(under: folder) {
                let imports = TargetGraph.imports(of: try Repository.text(file)).intersection(watched)
                seen += imports.count
                #expect(imports.subtracting(allowed) == [], "\(file)")
            }
        }
        #expect(seen > 0)
    }

    @Test("the graph has no cycle")
    func acyclic() throws {
        var rest = TargetGraph(table: try Repository.text("docs/architecture.md")).mayImport
        while !rest.isEmpty {
            let leaves = rest.filter { $0.value.isDisjoint(with: rest.keys) }.map(\.key)
            try #require(!leaves.isEmpty, "these import each other: \(rest.keys.sorted())")
            leaves.forEach { rest[$0] = nil }
        }
    }

    @Test("the check sees every form of import, and no comment")
    func importForms() {
        let source = """
            import Alpha
            package import Beta
            @testable import Gamma
            @preconcurrency internal import struct Delta.Thing
            // import Epsilon
            @_spi(inside) public import Zeta
            let text = "import Eta"
            """
        #expect(TargetGraph.imports(of: source) == ["Alpha", "Beta", "Gamma", "Delta", "Zeta"])
    }

    @Test("the check reads the table's rows and nothing else")
    func tableRows() {
        let table = TargetGraph(
            table: """
                | `Other` | `Thing` |

                | target | may import | why |
                |---|---|---|
                | `A` | – | alone |
                | `B` | `A`, `GRDB` | see `C` |

                | `D` | `E` | not in the table |
                """
        )
        #expect(table.mayImport == ["A": [], "B": ["A", "GRDB"]])
    }
}
