"""What a persona replies, and on what grounds."""
