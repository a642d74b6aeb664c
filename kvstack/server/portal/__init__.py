"""The page for people: vaults and what is in them, shown by the server itself, without a line of JavaScript."""
