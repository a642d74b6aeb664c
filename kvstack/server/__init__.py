"""The vault over HTTPS: a front door beside the command line, in Azure's words."""
