// RSA moduli that are long enough and still can be factored.
//
// Infineon's library for smart cards and TPMs made primes of the form k·M + (65537^a mod M), with M the product of the
// first primes (Nemec et al., "The Return of Coppersmith's Attack", 2017; CVE-2017-15361, "ROCA"). So a modulus, the
// product of two, is a power of 65537 modulo each of these primes. Any other modulus passes for all of them once in
// 2^27 times.

enum WeakModulus {
    /// Primes for which the powers of 65537 do not reach every non-zero remainder.
    private static let primes: [Int] = [11, 13, 17, 19, 37, 53, 61, 71, 73, 79, 97, 103, 107, 109, 127, 151, 157]

    static func isOfInfineon(_ modulus: [UInt8]) -> Bool {
        primes.allSatisfy { prime in
            isPowerOf65537(modulus.reduce(0) { ($0 << 8 | Int($1)) % prime }, modulo: prime)
        }
    }

    private static func isPowerOf65537(_ remainder: Int, modulo prime: Int) -> Bool {
        var power = 1
        repeat {
            if power == remainder { return true }
            power = power * 65_537 % prime
        } while power != 1
        return false
    }
}
