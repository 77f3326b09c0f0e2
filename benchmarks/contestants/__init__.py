"""The contestants. Each module does one question's work in one way, and is run in its own process.

A module is a command, `python -m benchmarks.contestants.NAME [ARGUMENT ...]`, that ends by
`benchmarks.measure.tell` with its figures. Peers run in an environment of their own and import
nothing of Chorus but `benchmarks.measure` and `benchmarks.work`.
"""
