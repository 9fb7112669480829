"""Certificates for TLS between the processes."""
