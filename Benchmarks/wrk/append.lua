-- POST of one message. arguments: a file with "path,path,…<TAB>token" for each owner, the number of threads, and how
-- many messages to append to a path before its owner's next one.
--
-- An owner has one path (a long conversation) or many (short ones, so that they stay short). Either way each owner
-- has one conversation that grows at a time.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")

local owners, turn, each = {}, 0, 1
local body = '{"role":"user","content":"How tall is the tallest of the trees, and how is its height known?"}'

function init(arguments)
    each = tonumber(arguments[3])
    for _, line in ipairs(own_lines(arguments[1], tonumber(arguments[2]))) do
        local paths, token = line:match("^(%S+)\t(%S+)$")
        local owner = { requests = {}, at = 0 }
        for path in paths:gmatch("[^,]+") do
            owner.requests[#owner.requests + 1] = wrk.format("POST", path, {
                ["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json" }, body)
        end
        owners[#owners + 1] = owner
    end
end

function request()
    turn = turn % #owners + 1
    local owner = owners[turn]
    local place = math.floor(owner.at / each) % #owner.requests + 1
    owner.at = owner.at + 1
    return owner.requests[place]
end
