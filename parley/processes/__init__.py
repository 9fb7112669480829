"""Child processes that end with what started them."""
