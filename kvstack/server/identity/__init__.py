"""Who asks: an OpenID provider for the vault's own principals, and the check of its tokens."""
