-- wrk sends what files hold, each a whole request, in turn.
--
-- Arguments: the files.

local requests = {}
local turn = 0

function init(args)
	for i = 1, #args do
		local file = assert(io.open(args[i], "rb"))

		requests[i] = file:read("*a")
		file:close()
	end
end

function request()
	turn = turn % #requests + 1
	return requests[turn]
end

function done(summary, latency)
	local e = summary.errors

	print(string.format('{"requests":%d,"bytes":%d,"seconds":%.6f,"p50":%d,"p99":%d,"failed":%d}',
	    summary.requests, summary.bytes, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
	    e.status + e.connect + e.read + e.write + e.timeout))
end
