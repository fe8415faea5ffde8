"""What was withdrawn on L2, or stands in its state, proven to whoever knows an output root or a block hash.

`withdrawal` and `account` are the proofs and their verification, `portal` what a portal on L1 is called with, `text`
their form in a file, and `reading` how a file is taken apart and checked. The state may be of either trie: the last
node of a proof tells which.
"""
