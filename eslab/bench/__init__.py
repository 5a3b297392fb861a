"""What hydration, appends and the import cost on your machine, beside a bare baseline and named peers.

Read in this order: sample, measure, baselines, peers, hydrate, append, imports; commands is `eslab bench`.
docs/benchmarks.md holds figures, and what they can't show.
"""
