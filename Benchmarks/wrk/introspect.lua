-- POST /oauth2/introspect of tokens drawn at random from a file. arguments: a file with a token in each line, the caller's
-- credentials as HTTP Basic has them, and perhaps the mean pause of a connection between two requests.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")

local requests = {}

function init(arguments)
    math.randomseed(number + 1)
    pace(arguments[3])
    local headers = { ["Authorization"] = "Basic " .. arguments[2], ["Content-Type"] = "application/x-www-form-urlencoded" }
    for token in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("POST", "/oauth2/introspect", headers, "token=" .. token)
    end
end

function request()
    return requests[math.random(#requests)]
end
