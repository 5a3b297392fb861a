"""Chaos on a real cluster: clients under load in all regions while links are cut and regions freeze and die.

Read in this order:

    weather    what breaks when, drawn from a seed
    crowd      the clients, and the record of what they were told
    rows       what each region holds, and how far it lags behind
    run        one run: load and faults, then convergence, then the verdict of the checker

    eslab chaos --minutes 10 --seed 1
"""
