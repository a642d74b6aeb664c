"""The embedded vault as a backend."""
