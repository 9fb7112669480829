"""What a persona replies, and what the reply is based on."""
