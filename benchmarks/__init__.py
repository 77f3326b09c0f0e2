"""Every claim about speed, as something that can be run again: `make bench`.

    measure     what a contestant measures of itself, and how it tells: stdlib alone
    figures     figures, targets and their outcomes: plain values
    questions   the questions, their contestants and what is to be reached: declared, not run
    rounds      runs contestants in turn, each in a process of its own
    report      RESULTS.md from the rounds
    scale       what so many users need, by arithmetic over what was measured
    queueing    a simulation of servers on one database
    plots       a picture of each question (runs where matplotlib is)
    contestants/  one module for each way of doing the same work

Nothing here is timed by the test suite, and no other package imports this.
"""
