"""What earlier runs did, and whom they told."""
