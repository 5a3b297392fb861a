"""The price of a lock: eslab's idempotent appends beside a log that locks each stream by a conditional write.

Read in this order:

    strict            the log that locks: a stale version is refused, a time-out is settled by reading again
    strict_cassandra  its table, in which nothing is ever written without a condition
    ways              both logs behind one interface, at each of their levels
    writers           one writer, several writers on aggregates of their own, several on one aggregate
    parted            a region is cut off: who answers, who refuses, and what each region holds afterwards
    unanswered        writes without an answer: did they happen, and what does it cost to find out?
    measure           all of it on one cluster, its links delayed like the real world

    eslab bench lock
"""
