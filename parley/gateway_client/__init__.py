"""The gateway's HTTP API, as far as the command line uses it."""
