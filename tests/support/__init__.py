"""Helpers of the tests: a sample domain, real clusters, golden bytes, mutants."""
