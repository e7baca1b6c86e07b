-- Names and steps at the head of every script. KEYS[1] is the queue's prefix, with a hash tag: all keys of a
-- queue are in one slot. Only commands and replies that Redis 6.2 has. DESIGN.md has the layout.
local P = KEYS[1]
local G = 'workers'
local FORMAT = 1
local META, OPEN, LANES, WAKE = P .. ':meta', P .. ':open', P .. ':lanes', P .. ':wake'

local function job_key(id) return P .. ':job:' .. id end
local function key_key(key) return P .. ':key:' .. key end
local function lane_key(lane) return P .. ':lane:' .. lane end

-- Wakes up to n workers that sleep.
local function wake(n)
  local WAKE_MAX = 64
  local tokens = {}
  for i = 1, math.min(n, WAKE_MAX - redis.call('LLEN', WAKE)) do tokens[i] = '1' end
  if tokens[1] then redis.call('RPUSH', WAKE, unpack(tokens)) end
end

-- The answer for a queue of a newer version, by what its metadata say of its format.
local function newer(format)
  format = tonumber(format or FORMAT)
  if format > FORMAT then return {'newer', format} end
end
