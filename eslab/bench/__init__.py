"""The cost of hydration, appends, whole commands and the import on your machine, beside bare drivers and named peers.

Read in this order: measure (clock and medians), table (printing), sample (the domain that is stored), baselines and
baseline_cassandra (the bare drivers), replay and replay_cassandra (the same for whole commands), targets, peers; then
one module per command: hydrate, append, play, commands, serializer, encryption, imports. The commands' options are in
cli. docs/benchmarks.md holds figures, and what they can't show.
"""
