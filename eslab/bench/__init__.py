"""The cost of hydration, appends, whole commands and the import on your machine, beside bare drivers and named peers.

Read in this order: measure (clock and medians), table (printing), sample (the domain that is stored), stream (its
events over ten years) and keeper (their snapshots), meters and loads (what a hydration costs beside time), baselines
and baseline_cassandra (the bare drivers), replay and replay_cassandra (the same for whole commands), targets, peers;
then one module per command: hydrate with own_store, snapshots, compare, append, play, commands, waits, serializer,
encryption, imports, speculation, and lock, a room of its own. cost_model and chart take a report of hydrations. The
commands' options are in cli, hydrate_cli and regions_cli. docs/benchmarks.md holds figures, and what they can't show.
"""
