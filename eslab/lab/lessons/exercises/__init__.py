"""The exercises of each lesson: their tasks, checks, hints and typical wrong answers.

One module for each lesson, named after the lesson without its number. `eslab.lab.course` finds all of them there.
"""
