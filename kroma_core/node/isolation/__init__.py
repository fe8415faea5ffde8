"""Parts of a node in processes of their own, so that work in Python that lasts delays nothing else.

A child is started anew (never forked), opens its part itself and talks with the node over a socket pair. Values cross
as pickles, between these two processes alone.
"""
