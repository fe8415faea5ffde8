"""What `kroma plugin new` writes: a distribution for one role, from the protocol of that role."""
