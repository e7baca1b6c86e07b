-- Ids on the dead list, oldest first. ARGV: how many.
return redis.call('ZRANGE', DEAD, 0, tonumber(ARGV[1]) - 1)
