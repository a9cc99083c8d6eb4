// The wall clock, for who has no other.

#if canImport(Glibc)
import Glibc
#endif

/// The system's wall clock.
public enum SystemClock {
    /// Seconds since 1970.
    @Sendable public static func seconds() -> Int64 {
        Int64(time(nil))
    }
}
