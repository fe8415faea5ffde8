"""Recording the L1 that a node follows, with what the node derives from it.

tape.py      the file, written in a thread, kept step by step
walk.py      the L1 as it is shown to the node: recorded first, a block at a time
blobs.py     blob sources whose answers are recorded
recorder.py  the node that follows, and the chain that comes of it
"""
