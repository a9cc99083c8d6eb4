// What is mounted where.
import Hummingbird
package import ServiceKit
import TesseraVerifierHummingbird

extension ChatService {
    package func buildRouter() -> ServiceRouter<ChatRequestContext> {
        let router = ServiceRouter<ChatRequestContext>()
        router.add(middleware: RequestIDMiddleware(random: random))
        router.add(middleware: RequestLogMiddleware(service: "chat"))
        router.add(middleware: CORSMiddleware(origins: configuration.corsOrigins))
        router.add(middleware: ClientAddressMiddleware(trustedProxies: configuration.trustedProxies))
        let counters = RequestCounters(configuration.requests)
        router.add(middleware: RequestScopeMiddleware(memory: configuration.memory, counters: counters))
        router.add(middleware: ErrorMiddleware(routes: router.table))
        router.add(middleware: RequestRulesMiddleware())
        HealthRoutes(service: "chat", contract: contract, isReady: isReady).mount(on: router.group())

        let authenticated = verified(router.group("v1"), counters)
        DataRoutes(erasures: erasures).mount(on: authenticated)
        let admitted = authenticated.group().add(middleware: BlockedPrincipalsMiddleware(blocked: features.blocked))
        mountOwn(on: admitted)
        mountAdmin(
            on: admitted.group("chat/admin")
                .add(middleware: ClaimRequirementMiddleware(.role("admin"), failure: TokenRefusal.apiError))
        )
        mountChanges(
            on: verified(
                router.group("v1").add(middleware: StreamTicketMiddleware(tickets: features.streamTickets)),
                counters
            ).add(middleware: BlockedPrincipalsMiddleware(blocked: features.blocked))
        )
        return router
    }

    private func verified(
        _ group: RouteGroup<ChatRequestContext>,
        _ counters: RequestCounters
    ) -> RouteGroup<ChatRequestContext> {
        group
            .add(
                middleware: TokenVerifierMiddleware(
                    verifier: verifier,
                    mode: .required,
                    requireUser: true,
                    failure: TokenRefusal.apiError
                )
            )
            .add(middleware: RequestLimitMiddleware(counters: counters))
    }

    private func mountChanges(on group: RouteGroup<ChatRequestContext>) {
        ChangeRoutes(
            changes: features.changes,
            feed: features.changeFeed,
            tickets: features.streamTickets,
            verifier: verifier,
            blocked: features.blocked
        ).mount(on: group)
    }

    /// Routes of a person's own data.
    private func mountOwn(on group: RouteGroup<ChatRequestContext>) {
        ConversationRoutes(conversations: features.conversations, trash: features.trash).mount(on: group)
        TrashRoutes(trash: features.trash).mount(on: group)
        ForkRoutes(forks: features.forks).mount(on: group)
        MessageRoutes(messages: features.messages).mount(on: group)
        VoteRoutes(votes: features.votes).mount(on: group)
        TagRoutes(tags: features.tags).mount(on: group)
        SearchRoutes(search: features.search).mount(on: group)
        UsageRoutes(usage: features.usage, reservations: features.reservations).mount(on: group)
        ExportRoutes(
            read: export(of:),
            slots: ExportSlots(limits: configuration.exports),
            verifier: verifier,
            blocked: features.blocked
        ).mount(on: group)
    }

    private func mountAdmin(on group: RouteGroup<ChatRequestContext>) {
        let data = AdminData(database: features.database)
        AdminDataRoutes(data: data, erasures: erasures, logger: logger).mount(on: group)
    }
}
