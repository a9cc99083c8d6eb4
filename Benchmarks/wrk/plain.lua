-- GET of one address, as fast as wrk can: the yardstick of what the server does at all.
dofile(os.getenv("BENCH_WRK") .. "/done.lua")
