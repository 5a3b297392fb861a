"""Helpers of the tests: a sample domain, real clusters and stores on them, golden bytes, mutants, the two suites."""
