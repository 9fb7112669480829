"""`parley console`: a conversation in the terminal, with sound where the machine has any."""
