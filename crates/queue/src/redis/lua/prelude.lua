-- What all scripts share. KEYS[1] is the queue's prefix, with a hash tag: all keys of a queue
-- are in one slot. Only commands and replies that Redis 6.2 has. DESIGN.md tells the layout.
local P = KEYS[1]
local G = 'workers'
-- The consumer that holds entries which wait: handed back, or between two deliveries.
local PARKED = '-'
local FORMAT = 1
-- Milliseconds of idleness after which an entry may be claimed. Longer than any lease: a lease
-- of L is begun by setting the entry's idle time to IDLE - L.
local IDLE = 90000000
local META, OPEN, LANES = P .. ':meta', P .. ':open', P .. ':lanes'
local DONE, DEAD, UNREPORTED = P .. ':done', P .. ':dead', P .. ':unreported'
local WORKERS, WAKE = P .. ':workers', P .. ':wake'
local WAKE_MAX = 64
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)

local function job_key(id) return P .. ':job:' .. id end
local function key_key(key) return P .. ':key:' .. key end
local function lane_key(lane) return P .. ':lane:' .. lane end
-- The next number of the one sequence of a queue.
local function next_seq() return redis.call('HINCRBY', META, 'seq', 1) end
local function add(field, by) redis.call('HINCRBY', META, field, by) end

-- Wakes up to n workers that sleep.
local function wake(n)
  local waiting = redis.call('LLEN', WAKE)
  for _ = waiting + 1, math.min(WAKE_MAX, waiting + n) do
    redis.call('RPUSH', WAKE, '1')
  end
end

-- Gives a job a new entry at the end of its lane.
local function enlist(id, lane)
  local entry = next_seq() .. '-0'
  redis.call('XADD', lane_key(lane), entry, 'id', id)
  redis.call('HSET', OPEN, entry, id)
  redis.call('HSET', job_key(id), 'state', 'submitted', 'entry', entry)
end

-- Takes a job's entry out of its lane.
local function delist(lane, entry)
  redis.call('XACK', lane_key(lane), G, entry)
  redis.call('XDEL', lane_key(lane), entry)
  redis.call('HDEL', OPEN, entry)
end

-- Removes a job that is in no lane, with all that belongs to it.
local function forget(id)
  local f = redis.call('HMGET', job_key(id), 'key', 'bytes')
  if f[1] then redis.call('DEL', key_key(f[1])) end
  redis.call('DEL', job_key(id))
  redis.call('ZREM', DONE, id)
  redis.call('ZREM', DEAD, id)
  redis.call('ZREM', UNREPORTED, id)
  if f[2] then add('bytes', -tonumber(f[2])) end
end

-- Adds a reason to a job; keeps the last few.
local function add_reason(id, attempt, why)
  local k = job_key(id)
  local lines = (redis.call('HGET', k, 'reasons') or '') .. 'lease ' .. attempt .. ': ' .. why .. '\n'
  local _, n = string.gsub(lines, '\n', '')
  while n > 8 do
    lines = string.sub(lines, string.find(lines, '\n', 1, true) + 1)
    n = n - 1
  end
  redis.call('HSET', k, 'reasons', lines)
end

-- Puts a job on the dead list.
local function bury(id, lane, entry)
  delist(lane, entry)
  redis.call('HSET', job_key(id), 'state', 'failed', 'dead', 1, 'finished', now)
  redis.call('ZADD', DEAD, next_seq(), id)
end

-- Records the one outcome of a job. What frees memory comes first: a server that is out of
-- memory refuses a script whose first write takes some.
local function record(id, lane, entry, state, outcome, report)
  local k = job_key(id)
  delist(lane, entry)
  redis.call('HDEL', k, 'record', 'canceled')
  local bytes = tonumber(redis.call('HGET', k, 'bytes') or 0)
  redis.call('HSET', k, 'state', state, 'outcome', outcome, 'finished', now, 'bytes', #outcome)
  local order = next_seq()
  redis.call('ZADD', DONE, order, id)
  if report then redis.call('ZADD', UNREPORTED, order, id) end
  add('bytes', #outcome - bytes)
  add('finished', 1)
end

-- Drops outcomes beyond their bounds, oldest first, never the newest, and not all at once.
local function trim(results_max, ttl, bytes_max)
  for _ = 1, 256 do
    local oldest = redis.call('ZRANGE', DONE, 0, 0)[1]
    if not oldest then return end
    local kept = redis.call('ZCARD', DONE)
    local bytes = tonumber(redis.call('HGET', META, 'bytes') or 0)
    local old = tonumber(redis.call('HGET', job_key(oldest), 'finished') or 0) + ttl < now
    if not (old or kept > results_max or (kept > 1 and bytes > bytes_max)) then return end
    forget(oldest)
    redis.call('ZREM', DONE, oldest)
    add('results_dropped', 1)
  end
end

-- Whether a queue of a newer version is here.
local function newer()
  local format = tonumber(redis.call('HGET', META, 'format') or FORMAT)
  if format > FORMAT then return {'newer', format} end
end
