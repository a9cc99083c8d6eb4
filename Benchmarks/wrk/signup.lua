-- POST /v1/signup. arguments: a word that makes this run's addresses new, and how many of 100 use a taken one.
--
-- A duplicate is hashed like a new user before the database refuses it, so both streams cost the same hashing.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")

local word, duplicates, count = "", 0, 0
local headers = { ["Content-Type"] = "application/json" }

function init(arguments)
    word, duplicates = arguments[1], tonumber(arguments[2])
end

function request()
    count = count + 1
    local name = word .. "-" .. number .. "-" .. count
    -- Spread evenly: with 5 of 100, each 20th.
    if math.floor(count * duplicates / 100) > math.floor((count - 1) * duplicates / 100) then name = "taken" end
    return wrk.format("POST", "/v1/signup", headers,
        '{"email":"' .. name .. '@bench.example","password":"correct horse battery staple"}')
end
