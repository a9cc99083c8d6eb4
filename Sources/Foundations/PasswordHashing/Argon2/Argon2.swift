import CArgon2
internal import OpenSSLCrypto

/// All inputs of a tag but the password.
struct Argon2Request: Sendable, Equatable {
    var variant: PHCString.Variant
    var version: Int
    var parameters: Argon2Parameters
    var salt: [UInt8]
    var tagCount: Int
}

enum Argon2 {
    static func tag(
        of password: SecretBytes,
        _ request: Argon2Request,
        in arena: HashingArena
    ) -> Result<[UInt8], HashingError> {
        var tag = [UInt8](repeating: 0, count: request.tagCount)
        // The C structure has mutable pointers; libargon2 writes to `out` only, as no flag asks it to clear inputs.
        var salt = request.salt
        let code = unsafe password.withUnsafeBytes { password in
            unsafe tag.withUnsafeMutableBufferPointer { tag in
                unsafe salt.withUnsafeMutableBufferPointer { salt in
                    var context = unsafe argon2_context()
                    unsafe context.out = tag.baseAddress
                    unsafe context.outlen = UInt32(tag.count)
                    unsafe context.pwd = UnsafeMutablePointer(
                        mutating: password.bindMemory(to: UInt8.self).baseAddress
                    )
                    unsafe context.pwdlen = UInt32(password.count)
                    unsafe context.salt = salt.baseAddress
                    unsafe context.saltlen = UInt32(salt.count)
                    unsafe context.t_cost = UInt32(request.parameters.iterations)
                    unsafe context.m_cost = UInt32(request.parameters.memoryKiB)
                    unsafe context.lanes = UInt32(request.parameters.parallelism)
                    unsafe context.threads = UInt32(request.parameters.parallelism)
                    unsafe context.version = UInt32(request.version)
                    return unsafe arena.compute(&context, request.variant.type)
                }
            }
        }
        return code == Int32(ARGON2_OK.rawValue) ? .success(tag) : .failure(.failed(code: code))
    }
}

extension PHCString.Variant {
    fileprivate var type: argon2_type {
        switch self {
        case .argon2d: Argon2_d
        case .argon2i: Argon2_i
        case .argon2id: Argon2_id
        }
    }
}
