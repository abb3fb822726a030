"""What goes out to a destination, and what is written down of it."""
