"""The language resource files are written in."""
