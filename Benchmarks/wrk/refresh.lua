-- POST /v1/token/refresh. arguments: a file of refresh tokens, the number of threads, and for a load below the greatest
-- one, for how many milliseconds a connection rests on average before its next request.
--
-- A token is good for one rotation and its answer holds the next, so tokens stand in a queue: a request takes the
-- first, its answer puts the successor at the end. There are more tokens than connections, so no token is on its
-- way twice and the sessions stay distinct.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")

local queue, first, last
-- All requests are one text but for the token, and all tokens have one length.
local before, after = "", '"}'
local length = 0

function init(arguments)
    queue = own_lines(arguments[1], tonumber(arguments[2]))
    first, last = 1, #queue
    length = #queue[1]
    local whole = wrk.format("POST", "/v1/token/refresh", { ["Content-Type"] = "application/json" },
        '{"refresh_token":"' .. queue[1] .. after)
    before = whole:sub(1, #whole - length - #after)
    local rest = tonumber(arguments[3] or 0)
    if rest > 0 then
        -- Never the same twice, so that connections do not come in step. wrk asks for it only where it is there.
        math.randomseed(number + 1)
        function delay() return math.random(0, 2 * rest) end
    end
end

function request()
    local token = queue[first]
    queue[first] = nil
    first = first + 1
    return before .. token .. after
end

local complaints = 0
function response(status, _, body)
    local _, place = body:find('"refresh_token":"', 1, true)
    if status == 200 and place then
        last = last + 1
        queue[last] = body:sub(place + 1, place + length)
    elseif complaints < 3 then
        complaints = complaints + 1
        io.write("refresh answered ", status, ": ", body, "\n")
    end
end
