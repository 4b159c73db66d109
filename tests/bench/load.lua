-- wrk's requests: each one another user's, about one of that user's conversations.
--
-- Arguments: what to ask (below), whom (kith or peer), file of tokens (one per
-- user, by number), number of users, anon key.  The numbers are those of data.psql.

local requests = {}
local tokens = {}
local users, key, kith

-- What supabase-js sends from Node, but no Accept-Encoding: compressing is
-- nginx's work, and the peer does none.
local headers = "\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\nAccept: */*\r\nAccept-Language: *\r\nSec-Fetch-Mode: cors" ..
    "\r\nUser-Agent: node\r\nX-Client-Info: supabase-js-node/2.119.0\r\nAuthorization: Bearer "

local function request(user, method, path, more, body)
	local text = method .. " " .. path .. " HTTP/1.1" .. headers .. tokens[user] .. "\r\nApikey: " .. key ..
	    (method == "GET" and "\r\nAccept-Profile: public" or "\r\nContent-Profile: public") .. (more or "")
	if body then
		text = text .. "\r\nContent-Type: application/json\r\nContent-Length: " .. #body
	end
	return text .. "\r\n\r\n" .. (body or "")
end

local function conversation(number)
	return string.format("0c000000-0000-4000-8000-%d", 200000000000 + number)
end

local function newest(user, number)
	if not kith then
		return request(user, "GET", "/conversations/" .. conversation(number) .. "/messages?limit=20")
	end
	return request(user, "GET", "/rest/v1/messages?select=*&conversation_id=eq." .. conversation(number) ..
	    "&order=created_at.desc&limit=20")
end

local function message(number)
	return '{"conversation_id":"' .. conversation(number) .. '","role":"user","content":"I sat on the bench by the river ' ..
	    'for a while and watched the ducks, and thought of what you said yesterday."}'
end

local function append(user, number)
	if not kith then
		return request(user, "POST", "/conversations/" .. conversation(number) .. "/messages", nil, message(number))
	end
	return request(user, "POST", "/rest/v1/messages?select=*", "\r\nPrefer: return=representation", message(number))
end

local function anybody()
	local user = math.random(0, users - 1)

	return user, user * 20 + math.random(0, 19)
end

function requests.get()
	return newest(anybody())
end

function requests.post()
	return append(anybody())
end

-- The pairs that are compared: a long and a short conversation of one user,
-- twenty conversations of a user with many and all those of a user with twenty.
function requests.long()
	return newest(users, users * 20)
end

function requests.short()
	return newest(users, users * 20 + 1)
end

function requests.many()
	return newest(users + 1, users * 20 + 2 + math.random(0, 19) * 100)
end

function requests.few()
	return newest(0, math.random(0, 19))
end

-- A bit of everything, refusals included, over all programs.  No HEAD: wrk waits
-- for the body that its answer announces.
local rest = "/rest/v1/"
local broken = '{"content":"' .. string.rep("a", 65536)
local mixed = {
	newest,
	append,
	newest,
	function(user, number)
		return request(user, "GET", rest .. "messages?select=id&limit=1&conversation_id=eq." .. conversation(number),
		    "\r\nPrefer: count=exact")
	end,
	function(user)
		return request(user, "GET", rest .. "conversations?select=id,title,messages(id,content)&messages.limit=2&limit=5")
	end,
	function(user, number)
		return request(user, "PATCH", rest .. "conversations?select=id&id=eq." .. conversation(number),
		    "\r\nPrefer: return=representation", '{"title":"' .. math.random(1000000) .. '"}')
	end,
	function(user)
		return request(user, "POST", rest .. "memories?on_conflict=user_id,category,key",
		    "\r\nPrefer: resolution=merge-duplicates", '{"category":"work","key":"job","content":"gardener"}')
	end,
	function(user)
		return request(user, "GET", rest .. "memories?select=*&or=(importance.gte.0.5,content.ilike.*tea*)")
	end,
	function(user, number)
		return request(user, "POST", rest .. "rpc/append_session_message", nil,
		    '{"session_id":"' .. conversation(number) .. '","role":"assistant","content":"Yes."}')
	end,
	function(user)
		return request(user, "GET", rest .. "users?select=*", "\r\nAccept: application/vnd.pgrst.object+json")
	end,
	-- Of one conversation: without a filter, row-level security looks at everybody's.
	function(user, number)
		return request(user, "GET", rest .. "messages?select=id&limit=2&conversation_id=eq." .. conversation(number),
		    "\r\nAccept: text/csv")
	end,
	-- Refused: another user's, no uuid, no such column, no grammar, no JSON, no table, no filter.
	function(user, number)
		return append((user + 1) % users, number)
	end,
	function(user)
		return request(user, "GET", rest .. "messages?id=eq.nope")
	end,
	function(user)
		return request(user, "GET", rest .. "conversations?select=x" .. math.random(1000000))
	end,
	function(user)
		return request(user, "GET", rest .. "messages?select=id,(")
	end,
	function(user)
		return request(user, "POST", rest .. (math.random(2) == 1 and "messages" or "memories"), nil, broken)
	end,
	function(user)
		return request(user, "GET", rest .. "nothing" .. math.random(1000000))
	end,
	function(user)
		return request(user, "DELETE", rest .. "users")
	end,
}
local turn = 0

function requests.mixed()
	turn = turn % #mixed + 1
	return mixed[turn](anybody())
end

function init(args)
	local user = 0

	for token in io.lines(args[3]) do
		tokens[user] = token
		user = user + 1
	end
	kith = args[2] == "kith"
	users = tonumber(args[4])
	key = args[5]
	math.randomseed(os.time() + seed)
	_G.request = requests[args[1]]
end

local threads = 0

-- Each thread has a Lua of its own.
function setup(thread)
	threads = threads + 1
	thread:set("seed", threads * 1000003)
end

function done(summary, latency)
	local e = summary.errors

	print(string.format('{"requests":%d,"seconds":%.6f,"p50":%d,"p99":%d,' ..
	    '"refused":%d,"errors":{"connect":%d,"read":%d,"write":%d,"timeout":%d}}',
	    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
	    e.status, e.connect, e.read, e.write, e.timeout))
end
