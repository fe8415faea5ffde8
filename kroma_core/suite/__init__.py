"""Recordings as a test suite for any client: made of recordings, and run on a client that is given as a command."""
