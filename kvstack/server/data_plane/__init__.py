"""Azure's data plane: keys, secrets and certificates of one vault, at the vault's own host."""
