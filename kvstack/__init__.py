"""kvstack: infrastructure as code for key vaults."""

__version__ = "0.1.0"
