"""One helper module for each lesson."""
