"""The domain of downloads: devices, licences and download counts, under the rules of studios and plans.

Read in this order: commands, devices, downloaded, license, the rules and their policies (catalogue, plans, studios),
decisions, service; then read_tables, overshoot and reconcile. docs/downloads.md tells it as a whole.
"""
