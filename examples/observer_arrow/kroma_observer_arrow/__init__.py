"""The observer `arrow`: blocks and events as files for analysis."""
