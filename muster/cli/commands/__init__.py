"""The commands, each a thin layer of options over what does the work.

They import what they need when they run: `muster --help` has to answer at once.
"""
