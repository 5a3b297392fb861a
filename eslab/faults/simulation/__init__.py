"""The simulator (docs/simulator.md): the unchanged core in a virtual world, and a search for schedules that break it.

Read in this order:

    world       a virtual clock; plain code runs as processes that can be paused and killed
    cql replica cluster driver     a Cassandra in that world: cells, quorums, hints, and what stands for the driver
    parted      regions that a person parts by hand, with links as long as real ones, and hints that can die
    stepwise    any other store, a call at a time
    story       what happens in one schedule
    explore     thousands of schedules, and the smallest one that breaks a promise
    duels       all interleavings of two short processes
    variants    broken cores, which the search must catch

    eslab simulate --schedules 1000
"""
