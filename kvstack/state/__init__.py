"""What was applied last: small, nothing secret in it, never lost."""
