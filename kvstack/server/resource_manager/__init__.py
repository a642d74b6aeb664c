"""Resource manager: vaults and what is around them as resources, and who may reach them."""
