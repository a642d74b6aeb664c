"""The glossary as types, and the rules about values, shared by resources and the vault."""
