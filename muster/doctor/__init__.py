"""What `muster doctor` asks: one check a function, in the order of dependence.

A check yields findings: what is well, or what is wrong and the command that mends it. What a check
finds out, later ones use through the `Subject`; where it found nothing, they are not asked.
"""
