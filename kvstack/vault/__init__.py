"""The embedded vault: a library of its own behind one front door; it knows nothing of stacks."""
