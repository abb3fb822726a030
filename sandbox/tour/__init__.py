"""The tour: what the program does from night to night, step by step, against a sandbox of its own."""
