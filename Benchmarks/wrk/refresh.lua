-- POST /v1/token/refresh. arguments: a file of refresh tokens, the number of threads.
--
-- A token is good for one rotation and its answer holds the next, so tokens stand in a queue: a request takes the
-- first, its answer puts the successor at the end. There are more tokens than connections, so no token is on its
-- way twice and the sessions stay distinct.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")

local queue, first, last
local headers = { ["Content-Type"] = "application/json" }

function init(arguments)
    queue = own_lines(arguments[1], tonumber(arguments[2]))
    first, last = 1, #queue
end

function request()
    local token = queue[first]
    queue[first] = nil
    first = first + 1
    return wrk.format("POST", "/v1/token/refresh", headers, '{"refresh_token":"' .. token .. '"}')
end

local complaints = 0
function response(status, _, body)
    local token = status == 200 and body:match('"refresh_token":"([^"]+)"')
    if token then
        last = last + 1
        queue[last] = token
    elseif complaints < 3 then
        complaints = complaints + 1
        io.write("refresh answered ", status, ": ", body, "\n")
    end
end
