"""A stand-in of a Qdrant server: the part of its REST API that Chorus uses.

What it holds is in the client library's own embedded mode, so filters, conditional upserts and scores
are Qdrant's; the network, the refusals and the faults are here. `shapes` refuses what the published
description of the real server refuses, `faults` are what it does wrong when it is told to, `answers`
are its routes, and `standin` is the server.
"""
