"""The `muster` command: hire, look after and fire a crew at a terminal.

Every change goes through the program, by Pulumi's Automation API: whatever `muster` does can be
done with the roster and plain `pulumi`, and both leave the same state.
"""
