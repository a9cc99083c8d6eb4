-- Forward authentication for HAProxy (2.6 or later, with Lua):
--
--     http-request lua.tessera http://127.0.0.1:8080/v1/validate
--
-- Tessera's 200 adds who is asking to the request; its 401 or 403 goes to the client; anything else is 503. Fields of
-- the same names that the client sent must be gone by then (haproxy.cfg).

local identity = {
    "x-auth-user", "x-auth-session", "x-auth-client", "x-auth-role", "x-auth-kind", "x-auth-scope",
    "x-auth-email-verified",
}
-- What Tessera needs to know of the request; origin and sec-fetch-site count where a cookie is used.
local asked = { "authorization", "cookie", "origin", "sec-fetch-site" }

local function refuse(txn, status, challenge)
    local reply = txn:reply({ status = status })
    if challenge then reply:add_header("www-authenticate", challenge) end
    reply:add_header("cache-control", "no-store")
    txn:done(reply)
end

core.register_action("tessera", { "http-req" }, function(txn, url)
    local sent = txn.http:req_get_headers()
    local headers = { ["x-original-method"] = { txn.sf:method() } }
    for _, name in ipairs(asked) do
        if sent[name] then
            headers[name] = {}
            -- HAProxy counts from 0.
            for number = 0, #sent[name] do table.insert(headers[name], sent[name][number]) end
        end
    end

    local answer = core.httpclient():get({ url = url, headers = headers, timeout = 2000 })
    if answer.status == 200 then
        for _, name in ipairs(identity) do
            local value = answer.headers[name] and answer.headers[name][0]
            if value and value ~= "" then txn.http:req_set_header(name, value) end
        end
    elseif answer.status == 401 or answer.status == 403 then
        local challenge = answer.headers["www-authenticate"]
        refuse(txn, answer.status, challenge and challenge[0])
    else
        refuse(txn, 503)
    end
end, 1)
