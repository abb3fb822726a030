"""What is read of a workspace: what it holds, and what its alerts and incidents say."""
