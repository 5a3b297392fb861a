"""The exercises of lesson 09: a statement that two regions execute, and what fills a node's link."""

from eslab.lab.lessons.exercises.link_use import Plan, link_use
from eslab.lab.lessons.exercises.one_statement import one_statement

__all__ = ["Plan", "link_use", "one_statement"]
