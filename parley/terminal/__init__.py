"""What is printed: texts that a terminal only shows, lists, waterfalls, errors."""
