-- GETs drawn at random from a file. arguments: a file with "path<TAB>token" in each line, and perhaps the mean pause of a
-- connection between two requests.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")

local requests = {}

function init(arguments)
    math.randomseed(number + 1)
    pace(arguments[2])
    for line in io.lines(arguments[1]) do
        local path, token = line:match("^(%S+)\t(%S+)$")
        requests[#requests + 1] = wrk.format("GET", path, { ["Authorization"] = "Bearer " .. token })
    end
end

function request()
    return requests[math.random(#requests)]
end
