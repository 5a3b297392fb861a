"""A simulator: the unchanged core and Cassandra store in a virtual world, and a search for schedules that break them.

Read in this order:

    choices     every random decision of a schedule, kept so that it can be replayed and shrunk
    world       a virtual clock; plain code runs as processes that can be paused and killed
    cql replica cluster driver     a Cassandra in that world: cells, quorums, hints, and what stands for the driver
    stepwise    any other store, a call at a time, and all interleavings of a few short processes
    tally       the domain under watch
    history checker                what the clients saw, and the promises that it breaks
    story       what happens in one schedule
    explore     thousands of schedules, and the smallest one that breaks a promise

    eslab simulate --schedules 1000
"""
