// Names that the code had before each thing got its one term (docs/glossary.md). They must not come back.
import Testing

@Suite("Former names")
struct FormerNameTests {
    /// Identifiers, which no document or comment may name either.
    private static let identifiers: Set<Substring> = [
        "endHurry", "locksMet", "travelsAlone", "StopBell", "keepHouse", "forgetDeleted", "AppendNotingDatabase",
        "ChangeTellingDatabase", "AskedTokens", "FollowedRevocations", "FeedKnowledge", "LocalTrust", "RefreshGrant",
        "SessionOpening", "SessionEnds", "slideAfter", "UserStanding", "QuotaStanding", "letGo", "takeApart",
        "takeBack", "takeOff", "ConversationDeductions", "ConversationCounters", "RefusedPrincipals", "ExportPlaces",
        "ReaderPace", "isAdmitted",
    ]

    /// Words that are no identifiers any more. Names of statements and of fields of the log keep them.
    private static let words: Set<Substring> = [
        "lane", "hurry", "patience", "rope", "slide", "slid", "standing", "complaint", "told", "entomb", "abandon",
        "vouch", "Abuse", "Admission",
    ]

    @Test("are in no code of Sources, and the unmistakable ones in no text of Sources or docs either")
    func formerNames() throws {
        let files = Repository.swiftFiles(under: "Sources")
        #expect(files.count > 300)
        for file in files { #expect(Self.found(in: try Repository.text(file)) == [], "\(file)") }
        for file in Repository.documents() {
            #expect(Self.unmistakable(in: try Repository.text(file)) == [], "\(file)")
        }
    }

    @Test("would be noticed in code, in an interpolation and in a comment")
    func formerNamesAreNoticed() {
        #expect(Self.found(in: "let told = 1  // all are told") == ["told"])
        #expect(Self.found(in: #"let a = "told \(lane.count) of lane""#) == ["lane"])
        #expect(Self.found(in: "/// See `FeedKnowledge`.\nlet slides = 1") == ["FeedKnowledge"])
        #expect(Self.found(in: #"let a = "sessions.slide"; let b = vouched"#) == [])
    }

    private static func found(in source: String) -> [Substring] {
        let text = SourceText(source)
        let inCode = (Word.all(in: text.code) + Word.all(in: text.interpolations)).map(\.text)
        return unmistakable(in: source) + words.intersection(inCode).sorted()
    }

    private static func unmistakable(in text: String) -> [Substring] {
        identifiers.intersection(Word.all(in: text).map(\.text)).sorted()
    }
}
