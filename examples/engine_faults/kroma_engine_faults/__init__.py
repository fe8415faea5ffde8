"""The engine `faulty`: another engine, with faults by a script."""
