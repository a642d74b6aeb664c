"""Certificates: each with its key and its secret, issued here, elsewhere, or by a certificate authority in a vault."""
