"""What hydration, appends and the import cost on your machine, beside a bare floor and named peers.

Read in this order: sample, measure, floors, peers, hydrate, append, imports; commands is `eslab bench`.
docs/benchmarks.md holds figures, and what they can't show.
"""
